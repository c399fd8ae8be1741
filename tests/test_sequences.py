from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gen.pipeline import NamedGate, Pipeline, Plan
from gen.sequences import PATIENCE, Sequence, SequenceSpec
from gen.types import Json, Malformed, Message, Outcome, Pool, Sample, SequenceEnd, Sources, Task, Turn, Verdict, digest, kept, rejected


@dataclass(frozen=True)
class Numbered:
    """Tasks that record what they were planned on: the size and content of the pool, and what they are another attempt at."""

    lag: int = 4
    samples_per_task: int = 3

    def plan(self, turn: Turn, pool: Pool, rng: Random) -> Mapping[str, Json]:
        again = turn.rejected.item.id if turn.rejected else ""
        return {"pool": digest([sample.id for sample in pool.samples]), "again": again, "random": rng.random()}

    async def run(self, task: Task, pool: Pool, generate: Any) -> list[Sample | Malformed]:
        await generate(task)
        count = 1 if task.inputs["again"] else self.samples_per_task
        return [Sample(digest([task.id, place]), (Message("user", task.id),)) for place in range(count)]


@dataclass(frozen=True)
class ByDigest:
    """A gate that rejects a fixed part of all ids: which ones is decided by `salt`."""

    salt: int
    rejected_of_16: int

    def check(self, sample: Sample) -> Verdict:
        bad = int(digest([self.salt, sample.id], length=1), 16) < self.rejected_of_16
        return rejected("by_digest", "bad") if bad else kept("by_digest")


def outcomes_of(
    quotas: list[int], gate: Any, *, waits: Random, earlier: Mapping[str, Any] | None = None, lag: int = 4, slots: int = 4
) -> tuple[list[tuple[str, str]], list[SequenceEnd]]:
    """Fates by id and the ends, where each task takes as many turns of the event loop as `waits` says."""

    async def generate(_: Task) -> None:
        for _turn in range(waits.randrange(6)):
            await asyncio.sleep(0)

    specs = [
        SequenceSpec("numbered", Numbered(lag), f"topic {place}", quota, earlier=(earlier or {}).get(f"topic {place}", ()))
        for place, quota in enumerate(quotas)
    ]
    plan = Plan(tuple(specs), Sources(), seed=5, attempts=3, gates=(NamedGate("by_digest", gate),), slots=slots)

    async def main() -> tuple[list[tuple[str, str]], list[SequenceEnd]]:
        pipeline = Pipeline(plan, generate)  # type: ignore[arg-type]
        fates = [(outcome.item.id, "/".join(outcome.reasons)) async for outcome in pipeline.outcomes()]
        return fates, pipeline.ends()

    return asyncio.run(main())


def accepted(fates: list[tuple[str, str]]) -> set[str]:
    return {name for name, reasons in fates if not reasons}


GATES = st.builds(ByDigest, salt=st.integers(0, 10_000), rejected_of_16=st.integers(0, 12))
QUOTAS = st.lists(st.integers(0, 25), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(quotas=QUOTAS, gate=GATES, waits=st.integers(), lag=st.sampled_from([1, 2, 5, 16]), slots=st.sampled_from([1, 2, 16]))
def test_the_plan_is_the_same_whatever_order_the_tasks_end_in(quotas: list[int], gate: Any, waits: int, lag: int, slots: int) -> None:
    in_order = outcomes_of(quotas, gate, waits=Random(0), lag=lag)
    assert outcomes_of(quotas, gate, waits=Random(waits), lag=lag, slots=slots) == in_order


@settings(max_examples=60, deadline=None)
@given(gate=GATES, steps=st.lists(st.integers(1, 40), min_size=2, max_size=4), lag=st.sampled_from([1, 2, 5, 16]))
def test_another_goal_continues_a_sequence_and_running_again_repeats_it(gate: Any, steps: list[int], lag: int) -> None:
    goals: dict[str, Any] = {}
    met: dict[int, set[str]] = {}
    for quota in steps:
        fates, (end,) = outcomes_of([quota], gate, waits=Random(quota), earlier=goals, lag=lag)
        goals = {"topic 0": end.goals}
        again, (end_again,) = outcomes_of([quota], gate, waits=Random(1), earlier=goals, lag=lag)
        assert again == fates
        assert end_again.goals == end.goals
        for before, ids in met.items():
            smaller, larger = (ids, accepted(fates)) if before <= quota else (accepted(fates), ids)
            assert smaller <= larger
        met[quota] = accepted(fates)


@settings(max_examples=40, deadline=None)
@given(quotas=QUOTAS, gate=GATES, more=st.integers(1, 20))
def test_a_new_topic_changes_nothing_for_the_others(quotas: list[int], gate: Any, more: int) -> None:
    before, _ = outcomes_of(quotas, gate, waits=Random(0))
    after, _ = outcomes_of([*quotas, more], gate, waits=Random(0))
    assert [fate for fate in after if fate in set(before)] == before


@settings(max_examples=40, deadline=None)
@given(quotas=QUOTAS, gate=GATES)
def test_every_sequence_gets_its_quota_or_says_why_not(quotas: list[int], gate: Any) -> None:
    fates, ends = outcomes_of(quotas, gate, waits=Random(0))
    assert len({name for name, _ in fates}) == len(fates) == sum(end.candidates for end in ends)
    for end, quota in zip(ends, quotas, strict=True):
        assert (end.accepted == quota) if end.stop == "goal_reached" else (end.accepted < quota and end.detail)


def sequence(quota: int = 10, **options: Any) -> Sequence:
    attempts = options.pop("attempts", 3)
    return Sequence(SequenceSpec("numbered", Numbered(**options), "a topic", quota), Sources(), seed=1, attempts=attempts)


def outcome(task: Task, place: int = 0, *failed: Verdict) -> Outcome:
    return Outcome(task, Sample(digest([task.id, place]), ()), failed)


def planned(one: Sequence) -> Task:
    found = one.next_task()
    assert found is not None
    return found[0]


def test_a_quota_of_zero_is_reached_before_anything_is_asked() -> None:
    one = sequence(0)
    assert one.done
    assert one.next_task() is None
    assert (one.stop, one.detail) == ("goal_reached", "nothing to do: its share of the goal is 0")


def test_no_more_than_the_lag_are_under_way() -> None:
    one = sequence(1000, lag=3)
    for _ in range(3):
        planned(one)
    assert one.next_task() is None


def test_no_more_than_the_goal_needs_are_under_way() -> None:
    one = sequence(5, lag=64)
    planned(one)
    planned(one)
    planned(one)
    assert one.next_task() is None  # nine samples at an expected yield of four in five are enough


def test_a_rejected_sample_goes_before_a_new_task() -> None:
    one = sequence(20, lag=1)
    first = planned(one)
    one.take([outcome(first, 0, rejected("length", "too_short")), outcome(first, 1)])
    again = planned(one)
    assert (again.index, again.attempt, again.inputs["again"]) == (0, 1, digest([first.id, 0]))
    one.take([outcome(again)])
    assert (planned(one).index, one.accepted) == (1, 2)


@pytest.mark.parametrize("place", [0, 1], ids=["as the reason", "behind another reason"])
def test_what_is_unsafe_is_never_asked_for_again(place: int) -> None:
    verdicts = [rejected("length", "too_short")]
    verdicts.insert(place, rejected("safety", "weapons"))
    one = sequence(20, lag=1)
    first = planned(one)
    one.take([outcome(first, 0, *verdicts)])
    assert planned(one).attempt == 0


def test_a_reply_that_was_unreadable_is_made_up_for_by_a_new_task() -> None:
    one = sequence(20, lag=1)
    first = planned(one)
    one.take([Outcome(first, Malformed(id="x", reason="not_a_list"))])
    assert planned(one).attempt == 0


@pytest.mark.parametrize(("gate", "stop"), [("near_dup", "saturated"), ("length", "rejecting")])
def test_a_sequence_without_yield_ends_and_names_what_it_met(gate: str, stop: str) -> None:
    one = sequence(1000, lag=1, attempts=1)
    while not one.done:
        task = planned(one)
        one.take([outcome(task, place, rejected(gate, "met")) for place in range(3)])
    assert one.candidates == PATIENCE
    assert one.stop == stop
    assert "topic 'a topic'" in one.detail
    assert one.next_task() is None


@pytest.mark.parametrize(
    ("novel", "met", "stop", "detail"),
    [
        (2, "near_dup", "saturated", "topic 'a topic' saturated: 3 % novel in the last 60"),
        (2, "balance", "saturated", "topic 'a topic' saturated: 3 % novel in the last 60"),
        (0, "novelty", "saturated", "topic 'a topic' saturated: 0 % novel in the last 60"),
        (2, "length", "rejecting", "topic 'a topic': 2 of the last 60 candidates accepted; most often length/met (58 in all)"),
        (3, "near_dup", "", ""),
    ],
)
def test_the_reason_to_stop_tells_the_share_that_was_new(novel: int, met: str, stop: str, detail: str) -> None:
    one = sequence(1000, lag=1, attempts=1)
    for number in range(PATIENCE):
        one.take([outcome(planned(one), 0, *(() if number < novel else (rejected(met, "met"),)))])
    assert (one.stop, one.detail) == (stop, detail)


def test_a_cap_on_candidates_ends_a_sequence_and_a_larger_one_goes_on_with_the_same_turns() -> None:
    def run(cap: int | None) -> tuple[list[str], Sequence]:
        one = Sequence(SequenceSpec("numbered", Numbered(1), "a topic", 8, max_candidates=cap), Sources(), seed=1, attempts=3)
        tasks = []
        while not one.done:
            tasks.append(planned(one))
            one.take([outcome(tasks[-1], 0, *((rejected("length", "too_short"),) if len(tasks) % 2 else ()))])
        return [task.id for task in tasks], one

    capped, short = run(5)
    whole, _ = run(None)
    assert (short.stop, short.candidates, short.goals()) == ("candidates_spent", 5, ())
    assert short.detail == "topic 'a topic': 5 candidates, the strategy's cap leaves it 5"
    assert capped == whole[:5]
    assert run(0)[0] == []


def test_what_was_ordered_again_counts_towards_the_end() -> None:
    one = sequence(2, lag=1, attempts=1)
    task = planned(one)
    one.take([outcome(task, 0), outcome(task, 1, rejected("length", "too_short"))])
    assert not one.done
    one.take_regenerated([outcome(task, 2)])
    assert (one.accepted, one.candidates, one.stop) == (2, 3, "goal_reached")


def test_an_end_that_is_none_leaves_the_goals_of_earlier_runs() -> None:
    spec = SequenceSpec("numbered", Numbered(), "a topic", 9, earlier=((4, 2),))
    one = Sequence(spec, Sources(), seed=1, attempts=3)
    assert one.goals() == ((4, 2),)
