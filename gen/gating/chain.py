"""A chain of gates in two halves: those without memory, which any process asks in any order, and those with one, asked here in order.

What a gate with memory looks at may be costly to make of a sample (a MinHash signature). Such a gate offers three methods beside `check`
and `remember`: `fingerprint(sample)`, bytes that any process makes alike, and `check_fingerprint(fingerprint)` and
`remember_fingerprint(fingerprint, sample_id)`, which stand for the other two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gen.gating.packed import Packed, pack, pack_turns, unpack, unpack_turns
from gen.pipeline import NamedGate
from gen.records import Record
from gen.types import Sample, Verdict

Failure = Sequence[int | str]  # place in the chain, gate, reason, detail
Findings = tuple[list[Failure], list[Failure]]  # failures, warnings
_BOTH_SIDES = ("pii", "secrets")  # gates that look at a pair's rejected answer too
_FOR_TURNS = ("schema",)  # gates that ask nothing of a plain text


@dataclass(frozen=True, slots=True)
class Work:
    """A record for the gates without memory. `rejected` is a pair's other answer. Of a `settled` record, which was accepted as it came,
    only the fingerprints are wanted."""

    sample: Packed
    is_text: bool = False
    rejected: Packed | None = None
    settled: bool = False


@dataclass(frozen=True, slots=True)
class Assessed:
    """What came of it: the failures and the warnings in the chain's order, the sample and the pair's other answer where gates redacted
    them, and a fingerprint per gate with memory, empty where the gate makes none."""

    failures: Sequence[Failure]
    warnings: Sequence[Failure]
    replaced: Packed | None
    other: Packed | None
    fingerprints: Sequence[bytes]


def judge(sample: Sample, gates: Sequence[NamedGate]) -> tuple[Sample, list[Verdict]]:
    """Every gate's verdict in the order of `gates`; the sample as redacting gates left it. A gate with memory looks at that, wherever it
    stands: it remembers what all gates kept, so it must look at the same text."""
    sample, early = _early(sample, gates)
    verdicts = [verdict or one.check(sample) for one, verdict in zip(gates, early, strict=True)]
    if all(verdict.keep for verdict in verdicts):
        for one in gates:
            if one.remembers:
                one.gate.remember(sample)
    return sample, verdicts


def work_of(record: Record, *, settled: bool = False) -> Work:
    """A record as the gates without memory take it."""
    return Work(pack(record.sample), record.is_text, pack_turns(record.pair.rejected) if record.pair else None, settled)


def assess(work: Work, gates: Sequence[NamedGate]) -> Assessed:
    """Ask the gates without memory, and make the fingerprints for the others. The same for the same work, in whatever process.

    Of a pair's rejected answer the gates against personal data and secrets are asked too, since it is given away with it; the other gates
    ask how good an answer is, and this one is meant to be worse."""
    sample = unpack(work.sample)
    if work.settled:
        return Assessed((), (), None, None, _fingerprints(sample, gates))
    after, early = _early(sample, gates, leave_out=_FOR_TURNS if work.is_text else ())
    findings = list(enumerate(early))
    other = None
    if work.rejected is not None:
        side = replace(sample, messages=unpack_turns(work.rejected))
        blotted, objections = _early(side, [one for one in gates if one.name in _BOTH_SIDES])
        findings += [(len(gates), verdict) for verdict in objections]
        other = pack_turns(blotted.messages) if blotted is not side else None
    failures, warnings = _told(findings)
    return Assessed(failures, warnings, pack(after) if after is not sample else None, other, _fingerprints(after, gates))


class Memory:
    """The gates with memory of a chain, to be asked and told about one sample after the other."""

    def __init__(self, gates: Sequence[NamedGate]) -> None:
        self._gates = [(place, one, hasattr(one.gate, "fingerprint")) for place, one in enumerate(gates) if one.remembers]

    def __bool__(self) -> bool:
        return bool(self._gates)

    @property
    def needs_samples(self) -> bool:
        """Whether a gate makes no fingerprints and so must see the sample itself."""
        return not all(prints for _, _, prints in self._gates)

    def findings(self, sample: Sample, fingerprints: Sequence[bytes]) -> Findings:
        """What speaks against a sample, and what is only worth a warning."""
        verdicts: list[tuple[int, Verdict | None]] = []
        for (place, one, prints), fingerprint in zip(self._gates, fingerprints, strict=True):
            verdict: Verdict = one.gate.check_fingerprint(fingerprint) if prints else one.gate.check(sample)
            verdicts.append((place, one.as_meant(verdict)))
        return _told(verdicts)

    def remember(self, sample: Sample, fingerprints: Sequence[bytes]) -> None:
        """Take an accepted sample in."""
        for (_, one, prints), fingerprint in zip(self._gates, fingerprints, strict=True):
            if prints:
                one.gate.remember_fingerprint(fingerprint, sample.id)
            else:
                one.gate.remember(sample)


def in_order(*failures: Sequence[Failure]) -> list[Failure]:
    """Failures in the chain's order; those of one place stay as they came."""
    return sorted((failure for some in failures for failure in some), key=lambda failure: failure[0])


def _early(sample: Sample, gates: Sequence[NamedGate], *, leave_out: Sequence[str] = ()) -> tuple[Sample, list[Verdict | None]]:
    """The verdicts of the gates without memory, None for the others; each looks at what redacting ones before it left."""
    early: list[Verdict | None] = []
    for one in gates:
        verdict = None if one.remembers or one.name in leave_out else one.check(sample)
        sample = (verdict and verdict.replacement) or sample
        early.append(verdict)
    return sample, early


def _told(verdicts: Sequence[tuple[int, Verdict | None]]) -> Findings:
    """The failures, and the warnings: what a gate objects to and keeps all the same."""
    told: Findings = ([], [])
    for place, verdict in verdicts:
        if verdict and verdict.reason:
            told[verdict.keep].append((place, verdict.gate, verdict.reason, verdict.detail))
    return told


def _fingerprints(sample: Sample, gates: Sequence[NamedGate]) -> list[bytes]:
    return [one.gate.fingerprint(sample) if hasattr(one.gate, "fingerprint") else b"" for one in gates if one.remembers]
