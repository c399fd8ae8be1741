"""How fast `sluice audit` reads a dataset, and that its memory stays far below the file's size.

    python benchmarks/audit.py [--records 100000] [--processes 1]

Records of a seed: prompts of 8 to 60 words and replies of 15 to 70, drawn from 50,000 made-up words by Zipf's law, so that few are alike.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from itertools import accumulate
from pathlib import Path
from random import Random

from gen.audit.measures import audit
from gen.audit.targets import targets_of

_WORDS = 50_000
_SYLLABLES = "ba ce di fo gu ha je ki lo mu na pe qui ro su ta ve wi xo zu".split()


def write(path: Path, records: int) -> None:
    rng = Random(7)
    words = ["".join(rng.choices(_SYLLABLES, k=rng.randint(1, 4))) + rng.choice("stnr") for _ in range(_WORDS)]
    weights = list(accumulate(1 / (rank + 10) for rank in range(_WORDS)))
    with path.open("w", encoding="utf-8") as file:
        for at in range(records):
            said = [" ".join(rng.choices(words, cum_weights=weights, k=rng.randint(*bounds))) for bounds in ((8, 60), (15, 70))]
            file.write(json.dumps({"instruction": said[0], "output": said[1], "topic": f"topic {at % 20}"}) + "\n")


def megabytes(who: int) -> float:
    return resource.getrusage(who).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.jsonl"
        write(path, options.records)
        before, started, spent = megabytes(resource.RUSAGE_SELF), time.perf_counter(), time.process_time()
        found = audit(targets_of([path]), processes=options.processes)
        wall, cpu = time.perf_counter() - started, time.process_time() - spent
        print(f"{found.records:,} records, {path.stat().st_size / 1e6:,.0f} MB, {options.processes} processes")
        print(f"{wall:.1f} s ({found.records / wall:,.0f} records/s), {cpu:.1f} s of processor time in the first process")
        peak, others = megabytes(resource.RUSAGE_SELF), megabytes(resource.RUSAGE_CHILDREN)
        print(f"peak memory {peak:,.0f} MB, {before:,.0f} MB of them before it began; the largest other process {others:,.0f} MB")


if __name__ == "__main__":
    main()
