# task: removes duplicates from a list and keeps the order
# note: a dictionary keeps its keys in insertion order, so no second pass is needed
def without_duplicates(items: list[str]) -> list[str]:
    """Each item once, in the order of its first appearance."""
    return list(dict.fromkeys(items))
