"""The gate against contamination: no training sample may hold a question of a benchmark that the model will be tested on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gen.errors import InputError
from gen.likeness.overlap import Benchmark, build_index, hashed_words, join, load_index, read_index
from gen.plugins import suggest
from gen.resources import resource
from gen.turns import On, part
from gen.types import Sample, Verdict, kept, rejected

_SUFFIX = ".ngrams.jsonl.gz"


@dataclass(frozen=True)
class Contamination:
    """Rejects a sample that repeats a benchmark's item: `benchmark_overlap`, the detail names the item and how much of it is covered.

    An item is held when 35 % of its rare word 4-grams are in the text with 8 hits or more, or 60 % with 4 or more, or when it is short
    and stands there word by word; the bounds are explained in `gen.likeness.overlap`. Case, white space, moved sentences and an
    inserted word here and there don't hide it; changed names or numbers still count as the item. `benchmarks` are indexes that ship
    with Sluice (or `*.ngrams.jsonl.gz` files of that name in `data/benchmarks`): GSM8K, HumanEval, MT-Bench, Self-Instruct's user-oriented
    tasks and Vicuna's questions; no other benchmark is known here. `files` are your own: JSON Lines with a `text` field
    (`id` if there is one), or, by any other suffix, one item a line. `on` says what is searched; by default both sides, as answers leak
    too. The first 200,000 characters of a text are searched.

    >>> from gen.types import Message
    >>> trip = "Compose an engaging travel blog post about a recent trip to Hawaii, highlighting cultural experiences"
    >>> Contamination().check(Sample("s-1", (Message("user", trip),))).reason
    'benchmark_overlap'
    """

    benchmarks: tuple[str, ...] = ("gsm8k", "humaneval", "mt_bench", "self_instruct", "vicuna_bench")
    files: tuple[str, ...] = ()
    on: On = "both"
    _index: Benchmark = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        indexes = [read_index(_shipped(name)) for name in self.benchmarks]
        indexes += [load_index(build_index(_items(Path(name)))) for name in self.files]
        names = [*self.benchmarks, *(Path(name).stem for name in self.files)]
        object.__setattr__(self, "_index", join(dict(zip(names, indexes, strict=True))))

    def check(self, sample: Sample) -> Verdict:
        match = self._index.match(hashed_words(part(sample, self.on)))
        if match is None:
            return kept("contamination")
        how = f"{match.share:.0%} of its rare word 4-grams ({match.hits})" if match.hits else "word by word"
        return rejected("contamination", "benchmark_overlap", f"holds {match.item}: {how}")


def _shipped(name: str) -> Path:
    folder = resource("data", "benchmarks")
    there = sorted(path.name.removesuffix(_SUFFIX) for path in folder.glob(f"*{_SUFFIX}"))
    if name not in there:
        raise ValueError(f"unknown benchmark {name!r}: {suggest(name, there)}, or name a file of items under `files`")
    return folder / f"{name}{_SUFFIX}"


def _items(path: Path) -> Iterator[tuple[str, str]]:
    """(id, text) of every item of a file; lines count from 1. Raises InputError with file and line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no UTF-8 text"
        raise InputError(f"benchmark file {path}: {reason}; it should hold JSON Lines with a `text` field, or an item a line") from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _item(path, number, line) if path.suffix in (".jsonl", ".json") else (str(number), line)


def _item(path: Path, number: int, line: str) -> tuple[str, str]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}:{number}: no JSON; a benchmark's line should be an object with a `text` field") from error
    if not isinstance(record, dict) or not isinstance(record.get("text"), str):
        raise InputError(f"{path}:{number}: no `text` field with a text; a benchmark's line should be an object with one")
    return str(record.get("id", number)), record["text"]


PLUGIN = Contamination
