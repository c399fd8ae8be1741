# task: computes the median of a list of numbers
# note: sorting a copy leaves the caller's list as it was
def median(numbers: list[float]) -> float:
    """The middle value; the mean of both middle values for an even count."""
    if not numbers:
        raise ValueError("the list is empty")
    ordered = sorted(numbers)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2
