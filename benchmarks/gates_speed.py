"""What the default chain of gates costs, beside a baseline in the same run, and how much memory `sluice gate` takes.

    python benchmarks/gates_speed.py [CORPUS.jsonl[.gz]] [--datatrove-python PATH] [--no-memory]

CORPUS holds objects with `instruction`, `input` and `output`; by default the corpus beside the checkout, else texts are made up. Samples
of 73 to 80 words are timed on one core, processor time, each gate alone and the chain as `sluice gate` runs it, after a warm-up on
samples a little shorter and longer. The baseline is datatrove's four filters (Gopher repetition and quality, C4, FineWeb) where PATH is a
Python that has datatrove; then the chain has to be 8 times as fast, and the exit status is 1 where it is not. Else the baseline is the
same n-gram measures in plain Python, without a bound. Chain and baseline take turns at every fifty samples, so that other work on the
machine hits both alike, and of each fifty the fastest of several rounds counts. Each round of the chain is a new process that sees the
samples for the first time. Memory is the peak of a process over files of two sizes: the difference per sample is what a run keeps.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from gen.gating.chain import judge
from gen.pipeline import NamedGate
from gen.plugins import build
from gen.recipe import DEFAULT_GATES
from gen.types import Message, Sample

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "data" / "corpus.jsonl.gz"
WORDS = (73, 80)
WARM_UP_WORDS = (65, 88)
AT_LEAST = 8.0  # times as fast as datatrove's filters
BLOCK = 50  # samples, after which it is the other's turn
ROUNDS = 5  # of each block the fastest counts
RUNS = 3  # of each gate alone
MEMORY_SAMPLES = (5_000, 25_000)
DUPLICATES = ("exact_dup", "near_dup")
_PEAK = (
    "import atexit, resource, sys; from gen.commands import main;"
    " atexit.register(lambda: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)); main()"
)


def read(path: Path) -> list[tuple[str, str]]:
    """(prompt, reply) of every record."""
    raw = path.read_bytes()
    lines = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8").split("\n")
    rows = [json.loads(line) for line in lines if line]
    return [("\n\n".join(filter(None, (row["instruction"], row.get("input")))), row["output"]) for row in rows]


def made_up(count: int, seed: int = 1) -> list[tuple[str, str]]:
    """Pairs of about 76 words in English sentences of made-up nouns and verbs, no two alike, so that every gate keeps them."""
    rng = random.Random(seed)
    syllables = [first + second for first in "bdfgklmnprst" for second in ("a", "e", "i", "o", "u", "an", "el", "or")]
    vocabulary = ["".join(rng.choices(syllables, k=rng.randint(2, 4))) for _ in range(8_000)]

    def sentence() -> str:
        return "The {} of the {} was {} because their {} would {} the {}.".format(*rng.choices(vocabulary, k=6))

    return [(f"Describe what happens here. {sentence()}", " ".join(sentence() for _ in range(5))) for _ in range(count)]


def chosen(pairs: list[tuple[str, str]], lengths: range) -> list[Sample]:
    """The pairs of so many words as samples."""
    found = [pair for pair in pairs if len(f"{pair[0]} {pair[1]}".split()) in lengths]
    return [Sample(f"s-{at}", (Message("user", prompt), Message("assistant", reply))) for at, (prompt, reply) in enumerate(found)]


def rate(gates: Sequence[NamedGate], samples: Sequence[Sample]) -> float:
    """Samples a second of processor time."""
    start = time.process_time()
    for sample in samples:
        judge(sample, gates)
    return len(samples) / (time.process_time() - start)


def chain(names: tuple[str, ...]) -> list[NamedGate]:
    return [NamedGate(name, build("gates", name, {})) for name in names]


def plain(text: str) -> float:
    """What datatrove's filters compute, in plain Python: lines, sentences, words and the duplicate n-grams of ten sizes."""
    words = re.findall(r"\w+", text.lower())
    found = 0.0
    for size in range(2, 11):
        grams = Counter(tuple(words[at : at + size]) for at in range(len(words) - size + 1))
        found += sum(count for count in grams.values() if count > 1)
    for kind in (text.split("\n"), text.split("\n\n"), re.split(r"(?<=[.!?])\s", text)):
        found += len(kind) - len(set(kind)) + sum(map(len, kind)) / max(1, len(kind))
    return found + sum(map(len, words)) / max(1, len(words)) + sum(any(map(str.isalpha, word)) for word in words)


Times = Callable[[Sequence[Sample]], float]  # seconds of processor time that some samples take


@contextmanager
def fresh_chain(others: Sequence[Sample]) -> Iterator[Times]:
    """The default chain in a process of its own, warmed up."""
    context = multiprocessing.get_context("fork")  # of a sample nothing has to be sent: the child has them all
    ours, its = context.Pipe()
    worker = context.Process(target=_serve, args=(its, others))
    worker.start()

    def seconds(block: Sequence[Sample]) -> float:
        ours.send([(one.id, one.first("user"), one.last("assistant")) for one in block])
        return float(ours.recv())

    try:
        yield seconds
    finally:
        ours.send(None)
        worker.join()


def _serve(connection: Connection, others: Sequence[Sample]) -> None:
    rate(chain(DEFAULT_GATES), others)
    gates = chain(DEFAULT_GATES)
    while (texts := connection.recv()) is not None:
        block = [Sample(name, (Message("user", prompt), Message("assistant", reply))) for name, prompt, reply in texts]
        connection.send(len(block) / rate(gates, block))


@contextmanager
def baseline(python: str) -> Iterator[Times]:
    """datatrove's filters in their own Python, or the plain measures in this one."""
    if not python:
        yield plain_seconds
        return
    script = Path(__file__).with_name("_datatrove_filters.py")
    with subprocess.Popen([python, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        source, sink = process.stdout, process.stdin

        def seconds(block: Sequence[Sample]) -> float:
            sink.write(json.dumps([text_of(one) for one in block]) + "\n")
            sink.flush()
            answer = source.readline()
            if not answer:
                sys.exit(f"{python} could not run datatrove's filters: see its message above")
            return float(answer)

        yield seconds
        sink.close()


def text_of(sample: Sample) -> str:
    return f"{sample.first('user')}\n{sample.last('assistant')}"


def plain_seconds(block: Sequence[Sample]) -> float:
    start = time.process_time()
    for one in block:
        plain(text_of(one))
    return time.process_time() - start


def by_turns(samples: Sequence[Sample], others: Sequence[Sample], python: str) -> tuple[float, float]:
    """Samples a second of the chain and of the baseline."""
    blocks = [samples[first : first + BLOCK] for first in range(0, len(samples), BLOCK)]
    best = [[float("inf"), float("inf")] for _ in blocks]
    with baseline(python) as theirs:
        theirs(blocks[0])  # what it loads is loaded here
        for _ in range(ROUNDS):
            with fresh_chain(others) as ours:
                for block, least in zip(blocks, best, strict=True):
                    least[:] = min(least[0], ours(block)), min(least[1], theirs(block))
    return len(samples) / sum(one for one, _ in best), len(samples) / sum(other for _, other in best)


def peak_bytes(file: Path, out: Path, without: tuple[str, ...]) -> int:
    """Peak resident bytes of `sluice gate` over the file."""
    command = [
        sys.executable,
        "-c",
        _PEAK,
        "gate",
        str(file),
        "--out",
        str(out),
        "--processes",
        "1",
        *(("--without", ",".join(without)) if without else ()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return 1024 * int(done.stderr.split()[-1])


def memory() -> None:
    """Bytes a sample with and without the gates that remember."""
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for count in MEMORY_SAMPLES:
            files.append(Path(folder) / f"{count}.jsonl")
            rows = ({"instruction": prompt, "output": reply} for prompt, reply in made_up(count))
            files[-1].write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        for title, without in (("with duplicate gates", ()), ("without them", DUPLICATES)):
            small, large = (peak_bytes(file, Path(folder) / "out", without) for file in files)
            each = (large - small) / (MEMORY_SAMPLES[1] - MEMORY_SAMPLES[0])
            print(f"memory {title:<21} {large / 2**20:6,.0f} MiB at {MEMORY_SAMPLES[1]:,} samples, {each:8,.0f} bytes a further sample")


def main() -> int:
    """Print the figures; 1 when the chain misses its bound."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", nargs="?", type=Path, default=CORPUS)
    parser.add_argument("--datatrove-python", default="", metavar="PATH", help="a Python in whose environment datatrove is installed")
    parser.add_argument("--no-memory", action="store_true", help="leave the measurement of memory out")
    options = parser.parse_args()
    if not options.no_memory:
        memory()  # first: a child's peak starts at what its parent holds
    pairs = read(options.corpus) if options.corpus.is_file() else made_up(3_000)
    if not options.corpus.is_file():
        print(f"no corpus in {options.corpus}: made-up texts")
    low, high = WORDS
    samples = chosen(pairs, range(low, high + 1))
    others = [*chosen(pairs, range(WARM_UP_WORDS[0], low)), *chosen(pairs, range(high + 1, WARM_UP_WORDS[1] + 1))]
    print(f"{len(samples):,} samples of {low} to {high} words, one core, processor time")
    ours, other = by_turns(samples, others or samples, options.datatrove_python)
    rate(chain(DEFAULT_GATES), others or samples)  # models and word lists are loaded here
    for name in DEFAULT_GATES:
        each = 1e6 / max(rate(chain((name,)), samples) for _ in range(RUNS))
        print(f"gate {name:<14} {each:7.1f} µs a sample")
    bound = f", at least {AT_LEAST:g} wanted" if options.datatrove_python else ""
    name = "datatrove's four filters" if options.datatrove_python else "n-gram measures in plain Python"
    print(f"default chain             {ours:7,.0f} samples/s that it sees for the first time")
    print(f"{name:<25} {other:7,.0f} samples/s: the chain is {ours / other:.1f} times as fast{bound}")
    return int(bool(options.datatrove_python) and ours < AT_LEAST * other)


if __name__ == "__main__":
    sys.exit(main())
