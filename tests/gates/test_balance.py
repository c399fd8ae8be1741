"""No value may have more than its part of the accepted samples."""

from __future__ import annotations

import random
from typing import Any

import pytest

from gen import plugins
from gen.errors import RecipeError
from gen.gates.balance import Balance
from gen.types import Message, Provenance, Sample


def sample(prompt: str = "What is it?", reply: str = "It is a dog.", topic: str = "", **notes: Any) -> Sample:
    return Sample("s", (Message("user", prompt), Message("assistant", reply)), provenance=Provenance(topic=topic, notes=notes))


def filled(gate: Balance, *samples: Sample) -> Balance:
    for one in samples:
        gate.remember(one)
    return gate


def test_a_topic_may_have_its_share_and_no_more() -> None:
    gate = filled(Balance(topic=0.25), *[sample(topic="fraud")] * 25, *[sample(topic=f"topic {place}") for place in range(75)])
    verdict = gate.check(sample(topic="fraud"))
    assert (verdict.reason, verdict.detail) == ("topic_over_cap", "topic: 25 of 100 accepted have the same, cap 0.25 from 50 on")
    assert gate.check(sample(topic="topic 3")).keep
    assert gate.check(sample(topic="another")).keep


def test_a_share_that_is_used_up_has_room_again_when_others_came_in() -> None:
    gate = filled(Balance(topic=0.5, minimum=2), sample(topic="a"))
    assert not gate.check(sample(topic="a")).keep
    filled(gate, sample(topic="b"), sample(topic="c"))
    assert gate.check(sample(topic="a")).keep
    assert gate.wavers
    assert not Balance(topic=5).wavers


def test_a_share_is_taken_of_the_minimum_while_few_samples_are_in() -> None:
    gate = Balance(topic=0.1, minimum=50)
    for _ in range(5):
        assert gate.check(sample(topic="a")).keep
        gate.remember(sample(topic="a"))
    assert gate.check(sample(topic="a")).reason == "topic_over_cap"


def test_one_of_each_value_is_always_allowed() -> None:
    gate = filled(Balance(topic=0.001), sample(topic="a"))
    assert gate.check(sample(topic="b")).keep
    assert not gate.check(sample(topic="a")).keep


def test_a_count_holds_from_the_first_sample_on() -> None:
    gate = filled(Balance(topic=2), sample(topic="a"), sample(topic="a"))
    assert gate.check(sample(topic="a")).detail == "topic: 2 of 2 accepted have the same, cap 2"


@pytest.mark.parametrize(
    ("options", "one", "other", "reason"),
    [
        ({"persona": 1}, sample(persona="a nurse"), sample(persona="a clerk"), "persona_over_cap"),
        ({"category": 1}, sample(**{"tags.category": "law"}), sample(**{"tags.category": "tax"}), "category_over_cap"),
        ({"prompt_opening": 1}, sample("What IS the time?"), sample("Why is it late?"), "prompt_opening_over_cap"),
        ({"reply_opening": 1}, sample(reply="Sure, here is one."), sample(reply="One way is this."), "reply_opening_over_cap"),
        ({"fields": {"level": 1}}, sample(level="beginner"), sample(level="expert"), "field_over_cap"),
    ],
)
def test_each_cap_has_its_reason(options: dict[str, Any], one: Sample, other: Sample, reason: str) -> None:
    gate = filled(Balance(**options), one)
    assert gate.check(one).reason == reason
    assert gate.check(other).keep
    assert gate.check(sample("Another question here", "Another reply here")).keep


def test_what_has_no_value_is_not_counted() -> None:
    gate = filled(Balance(topic=1, persona=1, fields={"level": 1}), *[sample()] * 5)
    assert gate.check(sample()).keep


def test_a_category_waits_for_the_judge_that_tells_it() -> None:
    assert Balance(category=0.2).reads_scores
    assert not Balance(topic=0.2).reads_scores


def test_only_accepted_samples_count_and_the_order_alone_decides() -> None:
    topics = [f"topic {random.Random(5 * place).randrange(4)}" for place in range(200)]

    def fates() -> list[bool]:
        gate, kept = Balance(topic=0.3, minimum=10), []
        for topic in topics:
            kept.append(gate.check(sample(topic=topic)).keep)
            if kept[-1]:
                gate.remember(sample(topic=topic))
        return kept

    assert fates() == fates()
    accepted = [topic for topic, keep in zip(topics, fates(), strict=True) if keep]
    assert max(accepted.count(topic) for topic in set(topics)) <= 0.3 * len(accepted) + 1


@pytest.mark.parametrize("cap", [0, -1, 1.5, float("nan"), float("inf")])
def test_a_cap_is_a_share_or_a_whole_count(cap: float) -> None:
    with pytest.raises(RecipeError, match="whole count"):
        Balance(topic=cap)


def test_a_gate_without_a_cap_is_refused() -> None:
    with pytest.raises(RecipeError, match="no cap is given"):
        plugins.build("gates", "balance", {})
