"""The gate against near-duplicates: the same task again in other words, order, case, punctuation or politeness."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from gen.bounds import to_try
from gen.likeness.minhash import BANDS, ROWS, Index, Scheme, Sketch
from gen.likeness.reading import Reading, read, unpack
from gen.likeness.same_task import may_be_same, similarity
from gen.turns import On, part
from gen.types import Sample, Verdict, kept, rejected

_LEEWAY = 0.8  # of the threshold: slips of the pen lower the overlap of the sets, the verification forgives them
_MOST_VERIFIED = 64  # candidates with the same figures, the most alike first
_read = lru_cache(maxsize=4)(read)  # what is checked is remembered next
_FACTS = struct.Struct("<q")
_unpacked = lru_cache(maxsize=2_048)(unpack)  # texts of one template are each other's candidates again and again


@dataclass(frozen=True)
class NearDup:
    """Rejects a sample that asks for the same task as an accepted one: `near_duplicate`, the detail names its id and the similarity.

    Candidates come from a MinHash index over content words (`bands` × `rows`; 25 × 5 finds .99 of the pairs at Jaccard .7 and all but
    one in 50,000 at .9). `gen.likeness.same_task` then decides: another number, name, negation or replaced word is another task, and
    `threshold` is the share of content words both must have (0.7, the usual bound for near-duplicates: Lee et al. 2022 use .8 on
    longer texts). `on` says what is compared: the instruction (all user turns), the reply or both.

    >>> from gen.types import Message
    >>> gate = NearDup()
    >>> gate.remember(Sample("s-1", (Message("user", "Find the square root of 64."),)))
    >>> gate.check(Sample("s-2", (Message("user", "Please calculate the square root of 64!"),))).detail
    'same task as s-1 (similarity 1.00, threshold 0.7)'
    >>> gate.check(Sample("s-3", (Message("user", "Find the square root of 81."),))).keep
    True
    """

    threshold: float = 0.7
    on: On = "instruction"
    bands: int = BANDS
    rows: int = ROWS
    _index: Index = field(init=False, repr=False, compare=False)
    _ids: list[str] = field(init=False, repr=False, compare=False, default_factory=list)
    _readings: list[bytes] = field(init=False, repr=False, compare=False, default_factory=list)

    thresholds = to_try(threshold=(0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95))

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold is a share of words, more than 0 and at most 1, got {self.threshold}")
        if not (1 <= self.bands <= 256 and 1 <= self.rows <= 32):
            raise ValueError(f"bands are 1 to 256 and rows 1 to 32, got {self.bands} × {self.rows}")
        object.__setattr__(self, "_index", Index(Scheme(self.bands, self.rows)))

    def check(self, sample: Sample) -> Verdict:
        reading = _read(part(sample, self.on))
        return self._verdict(self._index.sketch(reading.content, reading.facts), reading.facts, lambda: reading)

    def remember(self, sample: Sample) -> None:
        reading = _read(part(sample, self.on))
        self._add(self._index.sketch(reading.content, reading.facts), reading.facts, reading.pack(), sample.id)

    def fingerprint(self, sample: Sample) -> bytes:
        """The reading's facts (8 bytes), signature (2 bytes a hash function), bucket keys (4 bytes a band) and its packed form."""
        reading = _read(part(sample, self.on))
        facts = reading.facts
        signature, keys = self._index.sketch(reading.content, facts)
        return b"".join((_FACTS.pack(facts), signature.tobytes(), keys.tobytes(), reading.pack()))

    def check_fingerprint(self, fingerprint: bytes) -> Verdict:
        facts, sketch, packed = self._opened(fingerprint)
        return self._verdict(sketch, facts, lambda: _unpacked(packed))

    def remember_fingerprint(self, fingerprint: bytes, sample_id: str) -> None:
        facts, sketch, packed = self._opened(fingerprint)
        self._add(sketch, facts, packed, sample_id)

    def _verdict(self, sketch: Sketch, facts: int, reading: Callable[[], Reading]) -> Verdict:
        candidates = self._index.alike_sketch(sketch, self.threshold * _LEEWAY, facts, most=_MOST_VERIFIED)
        if not candidates:
            return kept("near_dup")
        one = reading()
        for position, _ in candidates:
            other = _unpacked(self._readings[position])
            share = similarity(one, other) if may_be_same(one, other) else 0.0
            if share >= self.threshold:
                detail = f"same task as {self._ids[position]} (similarity {share:.2f}, threshold {self.threshold:g})"
                return rejected("near_dup", "near_duplicate", detail)
        return kept("near_dup")

    def _add(self, sketch: Sketch, facts: int, packed: bytes, sample_id: str) -> None:
        self._index.add_sketch(sketch, facts)
        self._ids.append(sample_id)
        self._readings.append(packed)

    def _opened(self, fingerprint: bytes) -> tuple[int, Sketch, bytes]:
        keys_at = _FACTS.size + 2 * self.bands * self.rows
        packed_at = keys_at + 4 * self.bands
        signature = np.frombuffer(fingerprint, np.uint16, self.bands * self.rows, _FACTS.size)
        keys = np.frombuffer(fingerprint, np.uint32, self.bands, keys_at)
        return _FACTS.unpack_from(fingerprint)[0], (signature, keys), fingerprint[packed_at:]


PLUGIN = NearDup
