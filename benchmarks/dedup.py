"""The duplicate gates against plain methods, in one run: python benchmarks/dedup.py [CORPUS.jsonl[.gz]] [--pairs FILE] [--scale COUNT]

CORPUS holds objects with `instruction`, `input` and `output`; by default the corpus beside the checkout, else texts are made up. FILE holds
pairs with `a`, `b` and `label` (1: the same task), by default those beside the checkout; the gate is asked for each whether b repeats a.
A batch below 5,000 texts a second, and a recall below .99 in the batch at Jaccard .7 or over the pairs, give exit status 1.

Printed are texts (or pairs) a second of processor time, each baseline as a ratio to ours, and recall and precision against an exact join
of a part of the corpus. The baselines are MinHash with the same 125 functions in plain Python, its LSH with datasketch where that is
installed, an exact join over Python sets, and ROUGE-L by the textbook's dynamic programming. `--scale` measures time and peak memory of a
batch of so many made-up texts.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import importlib
import importlib.util
import json
import random
import resource
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

from gen.gates.contamination import Contamination
from gen.gates.exact_dup import ExactDup
from gen.gates.near_dup import NearDup
from gen.gates.novelty import Novelty
from gen.likeness.minhash import BANDS, ROWS, content_words, families, near_duplicates
from gen.likeness.rouge import coded, nearest_coded
from gen.types import Message, Sample

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
TEXTS_PER_SECOND, RECALL = 5_000, 0.99  # at least
PRIME = 2**61 - 1
PLAIN_TEXTS = 400  # the plain baselines see so many
JOINED_TEXTS = 3_000
PLAIN_PAIRS = 2_000
POOL_SIZES = (1_000, 10_000)


def made_up(count: int) -> Iterator[str]:
    """Texts of 40 to 100 words out of 50,000, frequent ones first; one in ten is an earlier text with three words exchanged."""
    rng = random.Random(1)
    kept: list[list[str]] = []
    for _ in range(count):
        if kept and rng.random() < 0.1:
            words = list(rng.choice(kept))
            for _ in range(3):
                words[rng.randrange(len(words))] = f"w{rng.randrange(50_000)}"
        else:
            words = [f"w{int(50_000 ** rng.random())}" for _ in range(rng.randrange(40, 100))]
            if len(kept) < 5_000:
                kept.append(words)
        yield " ".join(words)


def read_corpus(path: Path | None) -> list[str]:
    if path is None:
        return list(made_up(10_000))
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    return ["\n".join(record.get(key) or "" for key in ("instruction", "input", "output")) for record in records]


def seconds(work: Callable[[], Any]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def plain_minhash(texts: list[str]) -> list[tuple[int, int]]:
    """Signatures word by word and function by function, buckets in a dictionary, exact verification."""
    rng = random.Random(1)
    functions = [(rng.randrange(1, PRIME), rng.randrange(PRIME)) for _ in range(BANDS * ROWS)]
    buckets: dict[tuple[int, ...], list[int]] = {}
    sets, pairs = [content_words(text) for text in texts], set()
    for position, words in enumerate(sets):
        hashes = [
            int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little") for word in words
        ]
        signature = [min((factor * value + term) % PRIME for value in hashes) for factor, term in functions]
        for band in range(BANDS):
            bucket = buckets.setdefault((band, *signature[band * ROWS : (band + 1) * ROWS]), [])
            pairs.update((earlier, position) for earlier in bucket)
            bucket.append(position)
    return [(one, other) for one, other in pairs if len(sets[one] & sets[other]) >= 0.7 * len(sets[one] | sets[other])]


def with_datasketch(texts: list[str]) -> None:
    datasketch = importlib.import_module("datasketch")
    index = datasketch.MinHashLSH(params=(BANDS, ROWS), num_perm=BANDS * ROWS)
    for position, text in enumerate(texts):
        signature = datasketch.MinHash(num_perm=BANDS * ROWS)
        signature.update_batch([word.encode("utf-8", "surrogatepass") for word in content_words(text)])
        index.query(signature)
        index.insert(str(position), signature)


def exact_join(sets: list[frozenset[str]]) -> set[tuple[int, int]]:
    return {(i, j) for i, j in combinations(range(len(sets)), 2) if len(sets[i] & sets[j]) >= 0.7 * len(sets[i] | sets[j])}


def plain_rouge(one: list[str], other: list[str]) -> float:
    row = [0] * (len(other) + 1)
    for word in one:
        diagonal = 0
        for column, other_word in enumerate(other, 1):
            above = row[column]
            row[column] = diagonal + 1 if word == other_word else max(above, row[column - 1])
            diagonal = above
    return 2 * row[-1] / max(1, len(one) + len(other))


def batch(texts: list[str]) -> bool:
    ours = len(texts) / min(seconds(lambda: list(near_duplicates(texts))) for _ in range(3))
    print(f"batch, candidates and verification   {ours:10,.0f} texts/s, at least {TEXTS_PER_SECOND:,} wanted")
    print(f"families (split without leaks)       {len(texts) / seconds(lambda: families(texts)):10,.0f} texts/s")
    part = texts[:: max(1, len(texts) // PLAIN_TEXTS)]
    plain = len(part) / seconds(lambda: plain_minhash(part))
    print(f"MinHash in plain Python              {plain:10,.0f} texts/s   ours is {ours / plain:.0f} times as fast")
    if importlib.util.find_spec("datasketch"):
        other = min(2_000, len(texts)) / seconds(lambda: with_datasketch(texts[:2_000]))
        print(f"datasketch, unverified               {other:10,.0f} texts/s   ours is {ours / other:.1f} times as fast")
    return ours >= TEXTS_PER_SECOND


def recall(texts: list[str]) -> bool:
    """Against the exact join, over different word sets: copies are found by definition."""
    step = max(1, len(texts) // JOINED_TEXTS)
    sets = list(dict.fromkeys(content_words(text) for text in texts[::step]))
    joined: set[tuple[int, int]] = set()
    taken = seconds(lambda: joined.update(exact_join(sets)))
    part = [" ".join(words) for words in sets]
    found = {(min(i, j), max(i, j)) for i, j, _ in near_duplicates(part)}
    print(f"exact join of {len(sets):,}                  {len(sets) / taken:10,.0f} texts/s   {len(joined):,} pairs at Jaccard 0.7")
    share = len(found & joined) / max(1, len(joined))
    print(f"recall {share:.4f}, at least {RECALL:g} wanted, precision {len(found & joined) / max(1, len(found)):.4f}")
    return share >= RECALL


def reworded(path: Path) -> bool:
    """The gate on labelled pairs: how many of the same task it finds, and how many of another it takes for the same."""
    asked, hits = Counter[int](), Counter[int]()
    with path.open(encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            gate = NearDup()
            gate.remember(Sample("a", (Message("user", row["a"]),)))
            asked[row["label"]] += 1
            hits[row["label"]] += not gate.check(Sample("b", (Message("user", row["b"]),))).keep
    share = hits[1] / max(1, asked[1])
    print(
        f"gate near_dup on labelled pairs: recall {share:.4f} of {asked[1]:,}, at least {RECALL:g} wanted;"
        f" {hits[0]} of {asked[0]:,} other tasks taken for the same"
    )
    return share >= RECALL


def gates(texts: list[str]) -> None:
    """One sample after the other: checked, and remembered when kept."""
    samples = [Sample(f"s-{position}", (Message("user", text),)) for position, text in enumerate(texts)]
    for name, gate in (("exact_dup", ExactDup()), ("near_dup", NearDup()), ("contamination", Contamination())):
        kept = 0
        started = time.process_time()
        for sample in samples:
            if gate.check(sample).keep:
                kept += 1
                if not isinstance(gate, Contamination):
                    gate.remember(sample)
        each = (time.process_time() - started) / len(samples)
        print(f"gate {name:13} {each * 1e6:8,.0f} µs a sample, {kept:,} of {len(samples):,} kept")
    for gate in (ExactDup(), NearDup()):
        tracemalloc.start()
        for sample in samples:
            gate.remember(sample)
        held = tracemalloc.get_traced_memory()[0] / len(samples)
        print(f"gate {type(gate).__name__:13} {held:8,.0f} bytes a remembered sample, caches included")
        tracemalloc.stop()


def novelty(texts: list[str]) -> None:
    rng = random.Random(1)
    instructions = [" ".join(text.split()[:20]) for text in texts]
    pairs = [(rng.choice(instructions), rng.choice(instructions)) for _ in range(PLAIN_PAIRS)]
    plain = PLAIN_PAIRS / seconds(lambda: [plain_rouge(one.split(), other.split()) for one, other in pairs])
    for size in POOL_SIZES:
        pool = [coded(text) for text in rng.choices(instructions, k=size)]
        asked = [coded(text) for text in rng.choices(instructions, k=100)]
        every = 100 * size / seconds(lambda asked=asked, pool=pool: [nearest_coded(text, pool) for text in asked])
        gate = Novelty()
        for position, text in enumerate(rng.choices(instructions, k=size)):
            gate.remember(Sample(str(position), (Message("user", text),)))
        one = seconds(lambda gate=gate: [gate.check(Sample("s", (Message("user", text),))) for text in instructions[:200]]) / 200
        print(
            f"ROUGE-L, pool of {size:6,}: highest value {every / 1e6:6.1f} million pairs/s, {every / plain:,.0f} times plain Python;"
            f" gate novelty {one * 1e6:,.0f} µs a sample"
        )


def scale(count: int) -> None:
    found = 0

    def work() -> None:
        nonlocal found
        found = sum(1 for _ in near_duplicates(made_up(count)))

    making = seconds(lambda: sum(1 for _ in made_up(count)))
    taken = seconds(work) - making
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"batch of {count:,}: {count / taken:,.0f} texts/s, {found:,} pairs, peak {peak:.2f} GiB")


def main() -> int:
    """Print the figures; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", nargs="?", type=Path, default=DATA / "corpus.jsonl.gz")
    parser.add_argument("--pairs", type=Path, default=DATA / "near_dups.jsonl")
    parser.add_argument("--scale", type=int, default=0, metavar="COUNT")
    options = parser.parse_args()
    if options.scale:
        scale(options.scale)
        return 0
    texts = read_corpus(options.corpus if options.corpus.is_file() else None)
    print(f"{len(texts):,} texts, {sum(len(text.split()) for text in texts) / len(texts):.0f} words on average")
    good = [batch(texts), recall(texts)]
    if options.pairs.is_file():
        good.append(reworded(options.pairs))
    gates(texts)
    novelty(texts)
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
