"""The arithmetic of a mix: which share each dataset gets, and how often each of its samples stands in the mix to make it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random


def by_temperature(sizes: Sequence[int], temperature: float) -> list[float]:
    """Shares proportional to size^(1/T): as the sizes are at T = 1, towards equal parts as T grows (Arivazhagan et al. 2019, "Massively
    Multilingual Neural Machine Translation in the Wild").

    >>> [round(share, 3) for share in by_temperature([900, 100], 1)], [round(share, 3) for share in by_temperature([900, 100], 2)]
    ([0.9, 0.1], [0.75, 0.25])
    """
    largest = max(sizes)
    return normalised([(size / largest) ** (1 / temperature) for size in sizes])


def by_square_root(sizes: Sequence[int]) -> list[float]:
    """Shares proportional to the square root of the size: temperature 2."""
    return by_temperature(sizes, 2)


def normalised(weights: Sequence[float]) -> list[float]:
    """The weights as shares of 1.

    >>> normalised([3, 1])
    [0.75, 0.25]
    """
    whole = sum(weights)
    return [weight / whole for weight in weights]


@dataclass(frozen=True, slots=True)
class Drawn:
    """How often each sample of a dataset is taken (`copies`, in its order), what that comes to, and what the cap left out."""

    copies: tuple[int, ...]
    got: int
    short: int


def draw(sizes: Sequence[int], target: int, most: int, rng: Random) -> Drawn:
    """Samples worth `target`, each taken k or k + 1 times and never more than `most`.

    `sizes` are ones when samples are counted, else tokens; then the last pass takes samples in random order as long as each brings the
    sum nearer to the target.

    >>> draw([1, 1, 1], 7, 4, Random(1)).copies.count(3), draw([1, 1, 1], 20, 4, Random(1)).short
    (1, 8)
    """
    whole = sum(sizes)
    passes = min(target // whole, most) if whole else 0
    copies = [passes] * len(sizes)
    rest = target - passes * whole
    if passes == most or not whole:
        return Drawn(tuple(copies), passes * whole, rest)
    order = list(range(len(sizes)))
    rng.shuffle(order)
    for at in order:
        if rest <= 0:
            break
        if abs(rest - sizes[at]) < rest:
            copies[at] += 1
            rest -= sizes[at]
    return Drawn(tuple(copies), target - rest, 0)


def spread(copies: Sequence[int], rng: Random) -> list[tuple[int, int]]:
    """(place of the sample, number of the copy from 1) in the order of the mix: random, the copies of one sample evenly apart."""
    keyed: list[tuple[float, int, int]] = []
    for place, count in enumerate(copies):
        start = rng.random()
        keyed += [((number + start) / count, place, number + 1) for number in range(count)]
    return [(place, number) for _, place, number in sorted(keyed)]
