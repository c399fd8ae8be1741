# task: splits a list into chunks of a given size
# note: slicing past the end of a list is harmless, so the last chunk needs no special case
def chunks(items: list[int], size: int) -> list[list[int]]:
    """Neighbouring items in lists of `size`; the last may be shorter."""
    if size < 1:
        raise ValueError("size must be at least 1")
    return [items[start : start + size] for start in range(0, len(items), size)]
