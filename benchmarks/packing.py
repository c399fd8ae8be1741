"""Packing against the plain algorithms, on one set of lengths in one run: python benchmarks/packing.py [COUNT]

Prints rows, efficiency and seconds (the median of three where short) and how many times slower each baseline is. The baselines are
first-fit in the order given and best-fit decreasing with a sorted list of free spaces, both in Python; TRL's own strategy is measured
too where trl is installed (its times include moving the tokens).
"""

from __future__ import annotations

import argparse
import bisect
import importlib
import importlib.util
import statistics
import time
from collections.abc import Callable

import numpy as np

from gen.packing import efficiency, lower_bound, pack_lengths

LIMIT = 2048
PLAIN_LIMIT = 20_000  # the quadratic baseline is not run beyond


def textbook_lengths(count: int) -> np.ndarray:
    """Log-normal lengths as in a well-known handbook: median 245 tokens, clipped to 50 … 2048."""
    return np.clip(np.random.RandomState(42).lognormal(5.5, 0.8, count), 50, LIMIT).astype(int)


def first_fit(lengths: list[int]) -> int:
    """Each sequence into the first row with room."""
    free: list[int] = []
    members: list[list[int]] = []
    for position, size in enumerate(lengths):
        place = next((index for index, room in enumerate(free) if room >= size), len(free))
        if place == len(free):
            free.append(LIMIT)
            members.append([])
        free[place] -= size
        members[place].append(position)
    return len(members)


def best_fit_decreasing(lengths: list[int]) -> int:
    """Longest first, each into the row with the least room that still fits."""
    free: list[tuple[int, int]] = []  # room and row, sorted
    members: list[list[int]] = []
    for position in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        size = lengths[position]
        place = bisect.bisect_left(free, (size, 0))
        if place == len(free):
            free.append((LIMIT, len(members)))
            members.append([])
        room, row = free.pop(place)
        members[row].append(position)
        if room > size:
            bisect.insort(free, (room - size, row))
    return len(members)


def trl_best_fit(lengths: list[int]) -> Callable[[], int]:
    """TRL's bfd over the whole set, which is made before the clock runs."""
    trl, datasets = importlib.import_module("trl"), importlib.import_module("datasets")
    datasets.disable_progress_bars()
    data = datasets.Dataset.from_dict({"input_ids": [[0] * size for size in lengths]})
    return lambda: len(trl.pack_dataset(data, seq_length=LIMIT, strategy="bfd", map_kwargs={"batch_size": len(lengths)}))


def timed(run: Callable[[], int], times: int) -> tuple[int, float]:
    seconds = []
    rows = 0
    for _ in range(times):
        start = time.perf_counter()
        rows = run()
        seconds.append(time.perf_counter() - start)
    return rows, statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", nargs="?", type=int, default=10_000, help="how many sequences (default 10000; 1000000 for the large one)")
    count = parser.parse_args().count
    lengths = textbook_lengths(count)
    plain, total = lengths.tolist(), int(lengths.sum())
    print(f"{count} sequences, {total} tokens, rows of {LIMIT}: no fewer than {lower_bound(lengths, LIMIT)} rows")
    rows, ours = timed(lambda: len(pack_lengths(lengths, LIMIT, shuffle_seed=0)), 3)
    print(f"{'gen.packing':28} {rows:8} rows {efficiency(total, rows, LIMIT):8.2%} {ours:9.3f} s")
    others: list[tuple[str, Callable[[], int]]] = [("best-fit decreasing, Python", lambda: best_fit_decreasing(plain))]
    others += [("first-fit, Python", lambda: first_fit(plain))] if count <= PLAIN_LIMIT else []
    others += [("TRL bfd", trl_best_fit(plain))] if importlib.util.find_spec("trl") else []
    for name, run in others:
        rows, seconds = timed(run, 1)
        print(f"{name:28} {rows:8} rows {efficiency(total, rows, LIMIT):8.2%} {seconds:9.3f} s  {seconds / ours:6.1f} × ours")


if __name__ == "__main__":
    main()
