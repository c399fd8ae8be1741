"""Find the items of a benchmark that a text repeats, by hashed word 4-grams: training on test questions makes every score a lie.

An index knows of each item only hashes (32 bits of each 4-gram, 64 of its whole wording when it is short), so it can be shipped where
the items themselves may not be. 4-grams that many items share are a benchmark's boilerplate and are left out. A text holds an item when
it covers enough of the item's remaining 4-grams; the bounds were chosen on labelled data, where GPT-3's single 13-gram (Brown et al. 2020,
appendix C) misses a sixth of the edited copies.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gen.errors import InputError
from gen.folding import fold

GRAM = 4  # words
MAX_CHARS = 200_000  # characters of a text that are searched: 30,000 words
COVERED, HITS = 0.35, 8  # this share of an item's 4-grams with this many hits,
WELL_COVERED, FEW_HITS = 0.60, 4  # or this share with this many
SHORT_WORDS = 12  # an item of at most so many words also counts when it stands in the text word by word
FEWEST_WORDS = 5  # … and has at least so many: "Good morning" is no evidence
BOILERPLATE_ITEMS = 4  # a 4-gram of so many items of one benchmark, and of one in a hundred, is its boilerplate
_VERSION = 1

_WORD = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]|[^\W_]{1,64}")
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd: of the polynomial hash over a run of words

Hashes = NDArray[np.uint64]  # of words
Grams = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Match:
    """The item that a text covers best: `share` of its rare 4-grams, `hits` how many; 1.0 and 0 for a short item word by word."""

    item: str
    share: float
    hits: int


@dataclass(frozen=True, slots=True)
class Benchmark:
    """An index: item i has `sizes[i]` rare 4-grams; `grams` is sorted, and gram j belongs to item `owners[j]`. `shorts` are the
    short items as (length in words, hash of the wording, item)."""

    items: tuple[str, ...]
    sizes: NDArray[np.int64]
    grams: Grams
    owners: NDArray[np.int64]
    shorts: tuple[tuple[int, int, int], ...]
    short_hashes: Hashes

    def match(self, words: Hashes) -> Match | None:
        """The item that a text holds, given as `hashed_words` of it; None when it holds none."""
        if len(words) >= GRAM:
            grams = np.unique(_grams(words))
            lows, highs = np.searchsorted(self.grams, grams, "left"), np.searchsorted(self.grams, grams, "right")
            found = [self.owners[lows[at] : highs[at]] for at in np.flatnonzero(highs > lows)]
            if len(found) >= FEW_HITS and (best := self._best(np.concatenate(found))) is not None:
                return best
        return self._short(words)

    def _best(self, owners: NDArray[np.int64]) -> Match | None:
        items, hits = np.unique(owners, return_counts=True)
        shares = hits / self.sizes[items]
        held = ((shares >= COVERED) & (hits >= HITS)) | ((shares >= WELL_COVERED) & (hits >= FEW_HITS))
        if not held.any():
            return None
        best = int(np.argmax(np.where(held, shares, 0.0)))
        return Match(self.items[items[best]], float(shares[best]), int(hits[best]))

    def _short(self, words: Hashes) -> Match | None:
        for length in sorted({length for length, _, _ in self.shorts if length <= len(words)}):
            runs = _runs(words, length)
            found = runs[np.isin(runs, self.short_hashes)]
            if len(found):
                return Match(next(self.items[item] for _, wording, item in self.shorts if wording == int(found[0])), 1.0, 0)
        return None


def hashed_words(text: str) -> Hashes:
    """The text's words in order, case and compatibility forms folded, as 64-bit hashes."""
    words = _WORD.findall(fold(text[:MAX_CHARS])[:MAX_CHARS].casefold())
    return np.fromiter(map(_word_hash, words), np.uint64, len(words))


def build_index(items: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    """The records of an index, a header and one for each item with words, from (item id, text) pairs of one benchmark.

    A record holds `id`, `grams` (base64 of little-endian 32-bit hashes of its rare 4-grams) and `short` (its length in words and the
    hash of its wording, or null).
    """
    worded = [(name, words) for name, text in items if len(words := hashed_words(text))]
    grams = [np.unique(_grams(words)) for _, words in worded]
    counts = Counter(np.concatenate(grams).tolist() if grams else [])
    common = {gram for gram, count in counts.items() if count >= max(BOILERPLATE_ITEMS, len(worded) / 100)}
    records: list[dict[str, Any]] = [{"index": "word 4-grams", "version": _VERSION, "items": len(worded)}]
    for (name, words), own in zip(worded, grams, strict=True):
        rare = own[[gram not in common for gram in own.tolist()]] if len(own) else own
        short = [len(words), int(_runs(words, len(words))[0])] if FEWEST_WORDS <= len(words) <= SHORT_WORDS else None
        records.append({"id": name, "grams": base64.b64encode(rare.astype("<u4").tobytes()).decode("ascii"), "short": short})
    return records


def load_index(records: Iterable[Mapping[str, Any]]) -> Benchmark:
    """The index out of the records that `build_index` made. Raises ValueError, KeyError or TypeError when they are something else."""
    header, *rows = records
    if header["version"] != _VERSION:
        raise ValueError(f"an index of version {header['version']}, this release reads {_VERSION}")
    grams = [np.frombuffer(base64.b64decode(row["grams"], validate=True), "<u4").astype(np.uint32) for row in rows]
    shorts = [(int(row["short"][0]), int(row["short"][1]), position) for position, row in enumerate(rows) if row["short"]]
    return _assemble([str(row["id"]) for row in rows], grams, shorts)


def join(benchmarks: Mapping[str, Benchmark]) -> Benchmark:
    """One index over the items of several, each item as `benchmark/item`."""
    items: list[str] = []
    grams: list[Grams] = []
    shorts: list[tuple[int, int, int]] = []
    for name, benchmark in benchmarks.items():
        shorts += [(length, wording, position + len(items)) for length, wording, position in benchmark.shorts]
        grams += np.split(benchmark.grams[np.argsort(benchmark.owners, kind="stable")], np.cumsum(benchmark.sizes))[:-1]
        items += [f"{name}/{item}" for item in benchmark.items]
    return _assemble(items, grams, shorts)


def read_index(path: Path) -> Benchmark:
    """The index in a file of `build_index`'s records, JSON Lines, gzipped when the name ends in `.gz`. Raises InputError."""
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
        return load_index(json.loads(line) for line in text.splitlines() if line.strip())
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"benchmark index {path}: {reason}; it should be written by gen.likeness.overlap.build_index") from error


def _assemble(items: list[str], grams: list[Grams], shorts: list[tuple[int, int, int]]) -> Benchmark:
    sizes = np.array([len(own) for own in grams], np.int64)
    together = np.concatenate(grams) if grams else np.empty(0, np.uint32)
    order = np.argsort(together, kind="stable")
    owners = np.repeat(np.arange(len(items)), sizes)[order]
    wordings = np.array([wording for _, wording, _ in shorts], np.uint64)
    return Benchmark(tuple(items), sizes, together[order], owners, tuple(shorts), wordings)


def _grams(words: Hashes) -> Grams:
    return (_runs(words, GRAM) >> np.uint64(32)).astype(np.uint32)


def _runs(words: Hashes, length: int) -> Hashes:
    """The hash of every run of `length` neighbouring words."""
    count = max(0, len(words) - length + 1)
    hashes = np.full(count, np.uint64(length), np.uint64)
    for offset in range(length):
        hashes = (hashes * _BASE) ^ words[offset : offset + count]
        hashes ^= hashes >> np.uint64(29)
    return hashes


@lru_cache(maxsize=65_536)
def _word_hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
