# task: adds a retention period in days to a date and says whether the deadline has passed
# note: today is an argument, so a test can choose it freely
from datetime import date, timedelta


def deletion_due(created: date, keep_days: int, today: date) -> bool:
    """Whether a record created on `created` must be deleted by now."""
    return created + timedelta(days=keep_days) <= today
