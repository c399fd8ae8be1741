"""One pass over a run's candidates: what the figures need of each, without its text."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from gen.record import RunRecord
from gen.text import count_words, ngrams, words
from gen.types import Call, Json, Outcome, Sample

_PROMPT_WORDS = 60  # of a prompt that count for novelty: a pasted document is no new question
_OPENING_WORDS = 3
_DEPTH = 3  # levels of a task's inputs in which the id of the rejected candidate is looked for
SCANNERS = ("pii", "secrets")
DUPLICATE_GATES = ("novelty", "exact_dup", "near_dup", "semantic_dup")
WARNED_SHOWN = 20  # of each reason


@dataclass(frozen=True, slots=True)
class Fact:
    """One candidate. `attempt` counts from 1; `again` is the `gate/reason` it was asked again for, empty on a first attempt; `new` the
    share of its prompt's word pairs not seen before in its topic (accepted samples only); `repeats` the id of the accepted candidate that
    a gate against duplicates says it is like; `cost` and `calls` cover the replies that no
    earlier candidate was made from, `cost` None when one of them has no known price."""

    id: str
    topic: str
    strategy: str
    attempt: int
    accepted: bool
    gate: str = ""
    reason: str = ""
    again: str = ""
    prompt_words: int = 0
    reply_words: int = 0
    turns: int = 0
    opening: str = ""
    new: float | None = None
    scores: tuple[tuple[str, float | None], ...] = ()
    repeats: str = ""
    cost: float | None = 0.0
    calls: int = 0


@dataclass(frozen=True, slots=True)
class Scan:
    """What one scanning gate saw: samples scanned, rejected and redacted."""

    gate: str
    scanned: int
    rejected: int
    redacted: int


@dataclass(frozen=True, slots=True)
class Warned:
    """What a gate in `warn` mode would have rejected for one reason, `fate` (gate/reason): how many candidates, and of the first ones the
    id, the gate's detail and whether they were accepted."""

    fate: str
    count: int
    first: tuple[tuple[str, str, bool], ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """All candidates in plan order, the scans of `pii` and `secrets`, whether the simulator wrote any of it, and what gates warned of, the
    most frequent first."""

    candidates: tuple[Fact, ...]
    scans: tuple[Scan, ...]
    simulated: bool
    warned: tuple[Warned, ...] = ()

    @property
    def accepted(self) -> tuple[Fact, ...]:
        return tuple(fact for fact in self.candidates if fact.accepted)


def gather(record: RunRecord) -> Facts:
    """The facts of a run; linear in its candidates."""
    calls = {call.key: call for call in record.calls}
    billed: set[str] = set()
    seen: defaultdict[str, set[int]] = defaultdict(set)
    fates: dict[str, str] = {}
    kept: set[str] = set()
    counts: Counter[tuple[str, str]] = Counter()
    warned: defaultdict[str, list[tuple[str, str, bool]]] = defaultdict(list)
    simulated = any(call.simulated for call in record.calls) or any(pair.provenance.simulated for pair in record.pairs)
    facts = []
    for outcome in record.outcomes():
        failure = outcome.failure
        if failure:
            fates[outcome.item.id] = f"{failure.gate}/{failure.reason}"
        else:
            kept.add(outcome.item.id)
        simulated = simulated or outcome.item.provenance.simulated
        _count_scans(outcome, counts)
        for verdict in (one for one in outcome.verdicts if one.keep and one.reason):
            warned[f"{verdict.gate}/{verdict.reason}"].append((outcome.item.id, verdict.detail, outcome.accepted))
        facts.append(_fact(outcome, calls, billed, seen, fates, kept))
    ran = {line.name for line in record.gates} | {gate for gate, _ in counts}
    scans = tuple(Scan(gate, *(counts[gate, what] for what in ("scanned", "rejected", "redacted"))) for gate in SCANNERS if gate in ran)
    listed = [Warned(fate, len(found), tuple(found[:WARNED_SHOWN])) for fate, found in warned.items()]
    return Facts(tuple(facts), scans, simulated, tuple(sorted(listed, key=lambda one: (-one.count, one.fate))))


def _fact(
    outcome: Outcome,
    calls: Mapping[str, Call],
    billed: set[str],
    seen: Mapping[str, set[int]],
    fates: Mapping[str, str],
    kept: Container[str],
) -> Fact:
    item, task, failure = outcome.item, outcome.task, outcome.failure
    topic = item.provenance.topic or task.topic
    fresh = [calls[key] for key in dict.fromkeys(item.provenance.requests) if key in calls and key not in billed]
    billed.update(call.key for call in fresh)
    costs = [call.cost for call in fresh if call.cost is not None]
    prompt = item.last("user") if isinstance(item, Sample) else ""
    spoken = words(prompt) if isinstance(item, Sample) else ()
    return Fact(
        id=item.id,
        topic=topic,
        strategy=item.provenance.strategy or task.strategy,
        attempt=task.attempt + 1,
        accepted=outcome.accepted,
        gate=failure.gate if failure else "",
        reason=failure.reason if failure else "",
        again=_asked_again_for(outcome, fates),
        prompt_words=count_words(prompt),
        reply_words=count_words(item.last("assistant")) if isinstance(item, Sample) else 0,
        turns=sum(message.role == "assistant" for message in item.messages) if isinstance(item, Sample) else 0,
        opening=" ".join(spoken[:_OPENING_WORDS]),
        new=_share_of_new(spoken[:_PROMPT_WORDS], seen[topic]) if outcome.accepted else None,
        scores=tuple((name, score.value) for name, score in item.scores.items()) if isinstance(item, Sample) else (),
        repeats=_named_in(failure.detail, kept) if failure and failure.gate in DUPLICATE_GATES else "",
        cost=sum(costs) if len(costs) == len(fresh) else None,
        calls=len(fresh),
    )


def _named_in(detail: str, ids: Container[str]) -> str:
    """The first of the ids that a gate's detail names."""
    return next((name for word in detail.split() if (name := word.strip("'\",.:;()")) in ids), "")


def _count_scans(outcome: Outcome, counts: Counter[tuple[str, str]]) -> None:
    for verdict in outcome.verdicts:
        if verdict.gate in SCANNERS:
            counts[verdict.gate, "scanned"] += 1
            counts[verdict.gate, "rejected"] += not verdict.keep
            counts[verdict.gate, "redacted"] += verdict.keep and verdict.replacement is not None


def _share_of_new(spoken: tuple[str, ...], seen: set[int]) -> float | None:
    pairs = {hash(pair) for pair in ngrams(spoken, 2)}
    if not pairs:
        return None
    share = len(pairs - seen) / len(pairs)
    seen |= pairs
    return share


def _asked_again_for(outcome: Outcome, fates: Mapping[str, str]) -> str:
    """The fate of the candidate that this one replaces: its id is among the parents or somewhere in the task's inputs."""
    if outcome.task.attempt == 0:
        return ""
    named = (*outcome.item.provenance.parents, *_texts(outcome.task.inputs, _DEPTH))
    return next((fates[name] for name in named if name in fates), "")


def _texts(value: Json, depth: int) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif depth and isinstance(value, Mapping | tuple):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(inner, depth - 1)
