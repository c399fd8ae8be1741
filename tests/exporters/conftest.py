"""A run that never ran: outcomes, calls and sequences made from a seed, so that papers can be tested without a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from random import Random

import pytest

from gen.card import CardFields
from gen.record import Export, GateLine, ModelLine, Packed, RunRecord
from gen.types import (
    Call,
    Dropped,
    Malformed,
    Message,
    Outcome,
    Preference,
    Provenance,
    Sample,
    Score,
    SequenceEnd,
    Session,
    Task,
    Usage,
    Verdict,
    kept,
    rejected,
)

TOPICS = (
    "GDPR data retention requirements",
    "PSD2 strong customer authentication",
    "Anti-money-laundering transaction monitoring",
    "Whistleblower protection",
    "Sanctions screening",
)
STRATEGIES = ("self_instruct", "evol_instruct")
GATES = (
    GateLine("schema"),
    GateLine("length", (("min_words", 20), ("max_words", 600))),
    GateLine("language", (("allowed", ["en"]),)),
    GateLine("refusal"),
    GateLine("near_dup", (("threshold", 0.7),)),
    GateLine("pii"),
    GateLine("secrets"),
    GateLine("score", (("judge", "rubric"), ("minimum", 4))),
)
CARD = CardFields(
    title="Compliance questions",
    source="Topics chosen by our compliance team",
    license="CC-BY-4.0",
    language="en",
    usage_rights=("training", "evaluation"),
    sensitivity="internal",
    retention="24 months",
    deletion="delete the run folder and the cache",
    owner="Ada Example",
    owner_approved=date(2026, 11, 1),
)
_FATES = (
    ("length", "too_short", "9 words, at least 20"),
    ("refusal", "refused", "opens with an apology"),
    ("near_dup", "near_duplicate", "Jaccard 0.81 with s-4"),
    ("near_dup", "near_duplicate", "Jaccard 0.77 with s-9"),
    ("pii", "email", "1 address"),
    ("score", "below_minimum", "3 < 4"),
    ("score", "below_minimum", "2 < 4"),
)
_STARTS = ("How does a bank", "What should a controller", "Explain why the", "Which records must", "When may an", "Describe the steps")
_WORDS = (
    "customer payment consent record audit transfer account deadline officer report threshold exemption regulator evidence purpose "
    "retention policy review processor breach notice identity device risk score alert screening list match escalation contract"
).split()


def text(rng: Random, count: int) -> str:
    body = " ".join(rng.choice(_WORDS) for _ in range(count))
    return f"The {body} is what the rule asks for, and this is why it matters."


def verdicts(fate: tuple[str, str, str] | None, sample: Sample, rng: Random) -> tuple[Verdict, ...]:
    found = []
    for gate in GATES:
        if fate and gate.name == fate[0]:
            found.append(rejected(*fate))
            if gate.name == "score":
                break
        elif gate.name == "secrets" and rng.random() < 0.02:
            found.append(Verdict(keep=True, gate="secrets", detail="1 key redacted", replacement=sample))
        else:
            found.append(kept(gate.name))
    return tuple(found)


def candidate(at: int, topic: str, strategy: str, attempt: int, parent: str, rng: Random) -> tuple[Outcome, list[Call]]:
    task = Task(strategy, topic, at, attempt, rng.getrandbits(32), {"rejected": {"id": parent}} if parent else {})
    ask = Call(f"k{at}a{attempt}", "writer", "gpt-4.1-mini", f"{strategy}.instruct", Usage(600, 60), 0.00034, "stop")
    answer = Call(f"k{at}b{attempt}", "writer", "gpt-4.1-mini", f"{strategy}.answer", Usage(200, 300), 0.00056, "stop")
    judge = Call(f"k{at}c{attempt}", "critic", "claude-haiku-4-5", "rubric.score", Usage(700, 80), 0.0011, "stop")
    source = Provenance(
        task=task.id,
        strategy=strategy,
        topic=topic,
        attempt=attempt,
        parents=(parent,) if parent else (),
        model="writer",
        prompts=("self_instruct/instruct@1f2e", "self_instruct/answer@3d4c"),
        requests=(ask.key, answer.key, judge.key),
        finish_reason="stop",
    )
    if rng.random() < 0.04:
        lost = Malformed(
            f"s-{at}-{attempt}", "not_json", "Here is a list of", "no JSON found", provenance=replace(source, requests=(ask.key,))
        )
        return Outcome(task, lost), [ask]
    fate = rng.choice(_FATES) if rng.random() < 0.25 - 0.05 * attempt else None
    words = 6 if fate and fate[0] == "length" else int(20 + rng.lognormvariate(3.6 if strategy == "self_instruct" else 4.4, 0.5))
    said = f"{rng.choice(_STARTS)} {' '.join(rng.choice(_WORDS) for _ in range(rng.randint(4, 14)))}?"
    score = float(fate[2][0]) if fate and fate[0] == "score" else float(rng.choice((4, 5, 5)))
    sample = Sample(
        f"s-{at}-{attempt}",
        (Message("user", said), Message("assistant", text(rng, words))),
        {"rubric": Score(score, "clear and correct")} if not fate or fate[0] == "score" else {},
        source,
    )
    return Outcome(task, sample, verdicts(fate, sample, rng)), [ask, answer, judge]


def preference(at: int, rng: Random) -> Preference:
    prompt, low = (Message("user", f"{rng.choice(_STARTS)} {rng.choice(_WORDS)}?"),), float(rng.randint(1, 3))
    good, bad = (Message("assistant", text(rng, 40)),), (Message("assistant", text(rng, rng.randint(10, 70))),)
    return Preference(f"p-{at}", prompt, good, bad, 5.0, low, 5.0 - low, "best_of_n", f"s-{at}-0", Provenance(model="writer"))


def build(
    tasks: int = 40, *, topics: Sequence[str] = TOPICS, simulated: bool = False, priced: bool = True, extras: bool = False
) -> RunRecord:
    """A record of `tasks` first attempts; every second reject of them is asked for again."""
    rng = Random(7)
    outcomes: list[Outcome] = []
    calls: list[Call] = []
    for at in range(tasks):
        topic, strategy = topics[at % len(topics)], STRATEGIES[(at // len(topics)) % 2]
        parent, attempt = "", 0
        while attempt < 3:
            outcome, paid = candidate(at, topic, strategy, attempt, parent, rng)
            outcomes.append(outcome)
            calls += [replace(call, cost=call.cost if priced else None, simulated=simulated) for call in paid]
            if outcome.accepted or rng.random() < 0.4:
                break
            parent, attempt = outcome.item.id, attempt + 1
    ends = [end_of(topic, strategy, outcomes) for topic in topics for strategy in STRATEGIES]
    accepted = sum(outcome.accepted for outcome in outcomes)
    record = RunRecord(
        name="compliance",
        recipe_hash="3f9c0a12bb45",
        seed=7,
        goal=tasks,
        version="0.1.0",
        date="2026-11-22",
        models=(ModelLine("writer", "openai", "gpt-4.1-mini"), ModelLine("critic", "anthropic", "claude-haiku-4-5")),
        prompts=("self_instruct/instruct@1f2e", "self_instruct/answer@3d4c", "rubric@99aa"),
        gates=GATES,
        sequences=tuple(ends),
        calls=tuple(calls),
        sessions=(
            Session(
                "2026-11-21T09:00:00Z",
                "2026-11-21T09:31:00Z",
                1860.0,
                len(calls),
                12,
                3,
                5,
                90_000,
                40_000,
                0.41 if priced else None,
                "interrupted",
            ),
            Session(
                "2026-11-22T08:00:00Z", "2026-11-22T08:10:00Z", 600.0, 40, 300, 0, 0, 9_000, 4_000, 0.05 if priced else None, "goal_reached"
            ),
        ),
        outcomes=lambda: outcomes,
        card=CARD,
        leaks=0,
        exports=(
            Export(
                "chatml",
                "sft",
                {"train": accepted - 2, "validation": 1, "test": 1},
                {"messages": [{"role": "string", "content": "string"}]},
            ),
        ),
    )
    if not extras:
        return record
    pairs = tuple(preference(at, rng) for at in range(max(8, tasks // 4)))
    dropped = (Dropped("d-1", "best_of_n", "s-1-0", "tie", "5 = 5"), Dropped("d-2", "best_of_n", "s-2-0", "below_margin", "0.5 < 1"))
    packed = Packed("packed", "sluice-bpe", 2048, accepted - 1, 1, max(1, accepted // 8), accepted * 230, accepted * 170)
    return replace(record, pairs=pairs, dropped=dropped, packed=packed, reviewed=(47, 50))


def end_of(topic: str, strategy: str, outcomes: Sequence[Outcome]) -> SequenceEnd:
    mine = [outcome for outcome in outcomes if (outcome.task.topic, outcome.task.strategy) == (topic, strategy)]
    saturated = topic == TOPICS[3]
    return SequenceEnd(
        topic=topic,
        strategy=strategy,
        goal=max(1, len(mine)),
        accepted=sum(outcome.accepted for outcome in mine),
        candidates=len(mine),
        stop="saturated" if saturated else "goal_reached",
        detail="3 % novel in the last 60" if saturated else "",
    )


@pytest.fixture(name="build")
def _build() -> Callable[..., RunRecord]:
    return build
