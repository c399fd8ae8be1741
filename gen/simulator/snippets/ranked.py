# task: sorts records by score from high to low and then by name
# note: the negative score turns the order around for numbers while names stay in alphabetical order
def ranked(people: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Highest score first, equal scores by name."""
    return sorted(people, key=lambda person: (-person[1], person[0]))
