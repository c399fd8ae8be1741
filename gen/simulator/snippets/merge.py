# task: merges two sorted lists into one sorted list
# note: each comparison moves one number, so the work grows only with the total length
def merge(left: list[int], right: list[int]) -> list[int]:
    """All numbers of both lists, sorted."""
    merged, i, j = [], 0, 0
    while i < len(left) and j < len(right):
        if left[i] <= right[j]:
            merged.append(left[i])
            i += 1
        else:
            merged.append(right[j])
            j += 1
    return merged + left[i:] + right[j:]
