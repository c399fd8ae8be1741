"""The gate against exact duplicates: no text twice, whatever its case, white space, compatibility forms or invisible characters."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache

from gen.text import normalise
from gen.turns import On, part
from gen.types import Sample, Verdict, kept, rejected

MAX_CHARS = 100_000  # characters that are normalised; beyond them the text is compared as it stands


@dataclass(frozen=True)
class ExactDup:
    """Rejects a sample whose text is that of an accepted one after normalisation: `exact_duplicate`, the detail names the earlier id.

    `on` says what is compared: the instruction (all user turns), the reply (all assistant turns) or both. There is no threshold. The
    memory is a 64-bit digest and the id per accepted sample; two different texts meet by chance once in 37 million runs of a million.

    >>> from gen.types import Message
    >>> gate = ExactDup()
    >>> gate.remember(Sample("s-1", (Message("user", "Sort a list."),)))
    >>> gate.check(Sample("s-2", (Message("user", "  sort a LIST."),))).detail
    'same text as s-1 (similarity 1.00)'
    """

    on: On = "instruction"
    _seen: dict[int, str] = field(init=False, repr=False, compare=False, default_factory=dict)

    def check(self, sample: Sample) -> Verdict:
        return self._verdict(_digest(part(sample, self.on)))

    def remember(self, sample: Sample) -> None:
        self._seen.setdefault(_digest(part(sample, self.on)), sample.id)

    def fingerprint(self, sample: Sample) -> bytes:
        """The digest of the normalised text."""
        return _digest(part(sample, self.on)).to_bytes(8, "little")

    def check_fingerprint(self, fingerprint: bytes) -> Verdict:
        return self._verdict(int.from_bytes(fingerprint, "little"))

    def remember_fingerprint(self, fingerprint: bytes, sample_id: str) -> None:
        self._seen.setdefault(int.from_bytes(fingerprint, "little"), sample_id)

    def _verdict(self, digest: int) -> Verdict:
        earlier = self._seen.get(digest)
        if earlier is None:
            return kept("exact_dup")
        return rejected("exact_dup", "exact_duplicate", f"same text as {earlier} (similarity 1.00)")


@lru_cache(maxsize=4)  # what is checked is remembered next
def _digest(text: str) -> int:
    folded = normalise(text[:MAX_CHARS]) + text[MAX_CHARS:]
    return int.from_bytes(hashlib.blake2b(folded.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


PLUGIN = ExactDup
