"""What `sluice gate` gains by a second process, and how much memory a million samples take.

    python benchmarks/gate_file.py [CORPUS.jsonl[.gz]] [--copies 3] [--runs 3] [--memory 200000,400000 [--gates NAMES]] [--no-speed]

Speed: the default chain over CORPUS (by default the corpus beside the checkout, else made-up texts), each copy of it with other figures so
that none is a duplicate of another copy's, with one process and with two in turn; the best of `--runs` each counts, for the whole command
with its start, and the files must be the same. Told are the seconds on the clock, which other work on the machine spoils, and the seconds
of processor time: with two processes, two free cores need half of it, or as long as the process that decides, whichever is more. Memory:
peaks of the process that remembers, over made-up texts of two sizes; the difference is what a further sample takes, and gives the figure
for a million.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from gates_speed import CORPUS, made_up, read

PROCESSES = (1, 2)
MILLION, MOST_BYTES, LEAST_RATIO = 1_000_000, 4e9, 1.7
OUTPUTS = ("accepted.jsonl", "rejected.jsonl", "unreadable.jsonl")
_TOLD = """
import atexit, json, resource, sys
from gen.commands import main

def tell():
    own, workers = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps([own.ru_utime + own.ru_stime, workers.ru_utime + workers.ru_stime, own.ru_maxrss * 1024]), file=sys.stderr)

atexit.register(tell)
main()
"""


class Taken(NamedTuple):
    """What a command took: seconds on the clock, on two free cores, of the processors altogether; its first process's peak in bytes."""

    clock: float
    free: float
    processor: float
    peak: int


def write(path: Path, pairs: Iterable[tuple[str, str]]) -> Path:
    """The pairs as JSON Lines."""
    with path.open("w", encoding="utf-8") as file:
        for prompt, reply in pairs:
            file.write(json.dumps({"instruction": prompt, "output": reply}) + "\n")
    return path


def gated(file: Path, out: Path, processes: int, *options: str) -> Taken:
    """What `sluice gate` takes, start included."""
    options = ("--out", str(out), "--processes", str(processes), "--quiet", "--json", *options)
    command = [sys.executable, "-c", _TOLD, "gate", str(file), *options]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    clock = time.perf_counter() - start
    own, workers, peak = json.loads(done.stderr.splitlines()[-1])
    return Taken(clock, max(own, (own + workers) / 2) if processes > 1 else own, own + workers, peak)


def speed(folder: Path, corpus: Path, copies: int, runs: int) -> bool:
    """Print the seconds of each and their ratio; whether the files are the same."""
    pairs = read(corpus) if corpus.is_file() else made_up(10_000)
    numbered = ((f"{prompt}\n\nCase {copy}.", reply) for copy in range(copies) for prompt, reply in pairs)
    file = write(folder / "speed.jsonl", numbered)
    taken: dict[int, list[Taken]] = {processes: [] for processes in PROCESSES}
    for _ in range(runs):
        for processes in PROCESSES:
            taken[processes].append(gated(file, folder / f"with-{processes}", processes))
    best = {processes: Taken(*map(min, zip(*several, strict=True))) for processes, several in taken.items()}
    count = copies * len(pairs)
    for processes, one in best.items():
        print(
            f"{count:,} samples, processes {processes}: {one.clock:6.1f} s on the clock, {one.processor:6.1f} s of the processors", end=""
        )
        print(f", {count / one.free:,.0f} samples/s on free cores")
    same = all((folder / "with-1" / name).read_bytes() == (folder / "with-2" / name).read_bytes() for name in OUTPUTS)
    clock, free = best[1].clock / best[2].clock, best[1].free / best[2].free
    print(f"two processes are {clock:.2f} times as fast on this clock, {free:.2f} times on two free cores (aim {LEAST_RATIO})")
    print(f"the files are {'the same' if same else 'DIFFERENT'}")
    return same


def memory(folder: Path, sizes: list[int], gates: str) -> bool:
    """Print the peaks, their slope and the figure for a million; whether it is below the bound."""
    peaks = []
    for count in sizes:
        file = write(folder / f"{count}.jsonl", made_up(count))
        seconds, _, _, peak = gated(file, folder / "out", 1, *(("--gates", gates) if gates else ()))
        peaks.append(peak)
        print(f"{count:,} samples: peak {peak / 2**20:,.0f} MiB, {seconds:,.0f} s", flush=True)
        file.unlink()
    each = (peaks[-1] - peaks[0]) / (sizes[-1] - sizes[0])
    whole = peaks[-1] + each * max(0, MILLION - sizes[-1])
    print(f"{each:,.0f} bytes a further sample; {MILLION:,} samples: {whole / 1e9:.2f} GB (bound {MOST_BYTES / 1e9:.0f} GB)")
    return whole < MOST_BYTES


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", nargs="?", type=Path, default=CORPUS)
    parser.add_argument("--copies", type=int, default=3, help="of the corpus")
    parser.add_argument("--runs", type=int, default=3, help="with each number of processes")
    parser.add_argument("--memory", default="", metavar="SMALL,LARGE", help="measure memory with so many samples")
    parser.add_argument("--gates", default="", help="those whose memory is measured; by default the default chain")
    parser.add_argument("--no-speed", action="store_true", help="leave the measurement of speed out")
    options = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory() as name:
        if options.memory:
            good = memory(Path(name), [int(size) for size in options.memory.split(",")], options.gates)
        if not options.no_speed:
            good = speed(Path(name), options.corpus, options.copies, options.runs) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
