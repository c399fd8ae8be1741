# task: parses a date that may be written in one of three formats
# note: the first format that fits wins, and a text that fits none is reported with its content
from datetime import date, datetime


def parse_date(text: str) -> date:
    """The date in `text`; ValueError when no format fits."""
    for pattern in ("%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y"):
        try:
            return datetime.strptime(text.strip(), pattern).date()
        except ValueError:
            continue
    raise ValueError(f"not a date: {text!r}")
