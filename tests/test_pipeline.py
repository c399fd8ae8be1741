from __future__ import annotations

import asyncio
import gc
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from fakes import FakeModel, RejectsWhen, SameLast, instructions_and_answers, request_name

from gen.errors import RequestRejected, ServiceStopped, StorageError
from gen.pipeline import NamedGate, Pipeline, Plan
from gen.sequences import Sequence, SequenceSpec
from gen.strategies.self_instruct import SelfInstruct
from gen.types import Generate, Json, Malformed, Outcome, Pool, Request, Sample, Score, SeedTask, Sources, Task, Turn, digest

SEEDS = tuple(SeedTask(f"seed-{place}", f"Do the thing called {digest(place)}", "Done.") for place in range(12))


def plan(*gates: Any, quotas: dict[str, int] | None = None, **changes: Any) -> Plan:
    strategy = changes.pop("strategy", None) or SelfInstruct(model="writer", lag=changes.pop("lag", 4))
    quotas = quotas or {"alpha": 12, "beta": 12}
    return Plan(
        sequences=tuple(SequenceSpec("self_instruct", strategy, topic, quota) for topic, quota in quotas.items()),
        sources=Sources(topics=tuple(quotas), seed_tasks=SEEDS),
        seed=changes.pop("seed", 7),
        attempts=changes.pop("attempts", 2),
        gates=tuple(NamedGate(f"gate {place}", gate, scores=getattr(gate, "reads_scores", False)) for place, gate in enumerate(gates)),
        slots=changes.pop("slots", 8),
        **changes,
    )


async def outcomes_of(given: Plan, model: FakeModel) -> list[Outcome]:
    return [outcome async for outcome in Pipeline(given, model).outcomes()]


def fates(outcomes: list[Outcome]) -> list[tuple[str, str]]:
    return [(outcome.item.id, "/".join(outcome.reasons)) for outcome in outcomes]


def a_third(sample: Sample) -> bool:
    return int(digest(sample.last("assistant"), length=2), 16) % 3 == 0


async def test_latencies_never_change_the_outcomes() -> None:
    first = await outcomes_of(plan(RejectsWhen(a_third), SameLast()), FakeModel(instructions_and_answers))
    slow = await outcomes_of(plan(RejectsWhen(a_third), SameLast()), FakeModel(instructions_and_answers, jitter_seconds=0.02))
    assert fates(slow) == fates(first)
    assert len({outcome.item.id for outcome in first}) == len(first)


async def test_the_number_of_slots_never_changes_the_outcomes() -> None:
    few = await outcomes_of(plan(RejectsWhen(a_third), SameLast(), slots=1), FakeModel(instructions_and_answers))
    many = await outcomes_of(plan(RejectsWhen(a_third), SameLast(), slots=64), FakeModel(instructions_and_answers, jitter_seconds=0.01))
    assert fates(few) == fates(many)


async def test_every_topic_gets_exactly_its_quota() -> None:
    outcomes = await outcomes_of(
        plan(RejectsWhen(a_third), quotas={"alpha": 7, "beta": 3, "gamma": 11}), FakeModel(instructions_and_answers)
    )
    accepted = Counter(outcome.task.topic for outcome in outcomes if outcome.accepted)
    assert accepted == {"alpha": 7, "beta": 3, "gamma": 11}


async def test_samples_beyond_the_goal_are_on_record_as_surplus() -> None:
    outcomes = await outcomes_of(plan(quotas={"alpha": 3}), FakeModel(instructions_and_answers))
    assert [outcome.reasons for outcome in outcomes if not outcome.accepted] == [("goal/surplus",)] * 2


async def test_no_more_than_needed_is_asked_for() -> None:
    model = FakeModel(instructions_and_answers, jitter_seconds=0.005)
    await outcomes_of(plan(quotas={"alpha": 5, "beta": 5}), model)
    assert sum(request.purpose == "self_instruct.instruct" for request in model.requests) <= 4


async def test_another_topic_changes_nothing_for_the_others() -> None:
    two = await outcomes_of(plan(RejectsWhen(a_third)), FakeModel(instructions_and_answers))
    three = await outcomes_of(
        plan(RejectsWhen(a_third), quotas={"alpha": 12, "beta": 12, "gamma": 12}), FakeModel(instructions_and_answers)
    )
    assert fates(two) == [fate for fate, outcome in zip(fates(three), three, strict=True) if outcome.task.topic != "gamma"]


async def test_a_larger_goal_continues_the_same_sequences() -> None:
    small, large = FakeModel(instructions_and_answers), FakeModel(instructions_and_answers)
    first = await outcomes_of(plan(RejectsWhen(a_third)), small)
    more = await outcomes_of(plan(RejectsWhen(a_third), quotas={"alpha": 30, "beta": 30}), large)
    kept = {outcome.item.id for outcome in first if outcome.accepted}
    assert kept <= {outcome.item.id for outcome in more if outcome.accepted}


async def test_a_rejected_sample_is_asked_again_with_the_reason_and_its_parent() -> None:
    model = FakeModel(instructions_and_answers)
    outcomes = await outcomes_of(plan(RejectsWhen(a_third), attempts=3), model)
    again = [outcome for outcome in outcomes if outcome.task.attempt == 1]
    rejects = {outcome.item.id: outcome for outcome in outcomes if not outcome.accepted}
    assert again
    for outcome in again:
        assert outcome.task.inputs["feedback"]["reason"] == "picked"
        assert outcome.item.provenance.parents[0] in rejects
    assert any("was rejected (picked: by the test)" in request.messages[-1].content for request in model.requests)


async def test_attempts_are_never_exceeded() -> None:
    given = plan(RejectsWhen(lambda _: True), quotas={"alpha": 5}, attempts=3)
    outcomes = await outcomes_of(given, FakeModel(instructions_and_answers))
    assert max(outcome.task.attempt for outcome in outcomes) == 2


async def test_a_sequence_that_yields_nothing_stops_and_says_why() -> None:
    pipeline = Pipeline(plan(RejectsWhen(lambda _: True), quotas={"alpha": 50}), FakeModel(instructions_and_answers))
    count = len([outcome async for outcome in pipeline.outcomes()])
    (end,) = pipeline.ends()
    assert (end.stop, end.accepted) == ("rejecting", 0)
    assert "0 of the last 60 candidates accepted; most often picky/picked" in end.detail
    assert count < 80


async def test_a_saturated_topic_stops_and_says_so() -> None:
    def always_the_same(request: Request) -> str:
        if request.purpose.endswith("instruct"):
            return '{"instructions": ["Explain the one and only question of this topic"]}'
        return "An answer with enough words in it."

    pipeline = Pipeline(plan(SameLast(), quotas={"alpha": 50}), FakeModel(always_the_same))
    async for _ in pipeline.outcomes():
        pass
    (end,) = pipeline.ends()
    assert end.stop == "saturated"
    assert "topic 'alpha' saturated: " in end.detail


async def test_one_request_that_always_fails_costs_one_candidate() -> None:
    def answer(request: Request) -> str | RequestRejected:
        if request.purpose.endswith("answer") and "number 3 " in request.messages[-1].content:
            return RequestRejected("the provider says no", reason="bad_request", status=400)
        return instructions_and_answers(request)

    outcomes = await outcomes_of(plan(quotas={"alpha": 4}), FakeModel(answer))
    failed = [outcome for outcome in outcomes if not outcome.accepted]
    assert [outcome.reasons for outcome in failed] == [("provider/bad_request",)]
    assert isinstance(failed[0].item, Malformed)
    assert failed[0].item.detail == "the provider says no"
    assert sum(outcome.accepted for outcome in outcomes) == 4


async def test_a_stopped_service_ends_the_run_and_keeps_what_is_out() -> None:
    asked = 0

    def answer(request: Request) -> str | ServiceStopped:
        nonlocal asked
        asked += 1
        return ServiceStopped("the key is invalid", reason="invalid_key", status=401) if asked > 30 else instructions_and_answers(request)

    pipeline = Pipeline(plan(quotas={"alpha": 40, "beta": 40}), FakeModel(answer))
    outcomes = [outcome async for outcome in pipeline.outcomes()]
    assert 0 < len(outcomes) < 40
    assert {end.stop for end in pipeline.ends()} == {"invalid_key"}
    assert {end.detail for end in pipeline.ends()} == {"the key is invalid"}


async def test_leaving_early_leaves_no_task_behind() -> None:
    model = FakeModel(instructions_and_answers, jitter_seconds=0.05)
    async with aclosing(Pipeline(plan(), model).outcomes()) as outcomes:
        async for _ in outcomes:
            break
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_the_cap_on_candidates_is_a_reason_to_stop() -> None:
    pipeline = Pipeline(plan(quotas={"alpha": 500}, max_candidates=25), FakeModel(instructions_and_answers))
    count = len([outcome async for outcome in pipeline.outcomes()])
    assert 25 <= count < 30
    assert pipeline.ends()[0].stop == "candidates_spent"


async def test_a_rejected_sample_never_enters_a_memory() -> None:
    memory = SameLast()
    outcomes = await outcomes_of(plan(RejectsWhen(a_third), memory), FakeModel(instructions_and_answers))
    accepted = {
        digest(outcome.item.last("user"), length=2) for outcome in outcomes if outcome.accepted and isinstance(outcome.item, Sample)
    }
    assert memory.seen == accepted


@dataclass(frozen=True)
class Marks:
    """A judge whose opinion costs a call and depends on the reply alone."""

    asked: list[str] = field(default_factory=list)

    async def score(self, sample: Sample, generate: Generate) -> Sample:
        self.asked.append(sample.id)
        await asyncio.sleep(0)
        value = float(int(digest(sample.last("assistant"), length=2), 16) % 5)
        return Sample(sample.id, sample.messages, {"marks": Score(value, "as it is")}, sample.provenance)


@dataclass(frozen=True)
class AtLeastTwo:
    reads_scores = True

    def check(self, sample: Sample) -> Any:
        value = sample.scores["marks"].value or 0
        return RejectsWhen(lambda _: value < 2, "score").check(sample)


async def test_no_opinion_is_bought_for_a_sample_that_an_offline_gate_rejects() -> None:
    judge = Marks()
    outcomes = await outcomes_of(plan(RejectsWhen(a_third), AtLeastTwo(), judges=(judge,)), FakeModel(instructions_and_answers))
    by_gate = {outcome.item.id for outcome in outcomes if "picky/picked" in outcome.reasons}
    assert by_gate
    assert not by_gate & set(judge.asked)
    assert any(outcome.reasons == ("score/picked",) for outcome in outcomes)


async def test_a_duplicate_carries_no_opinion_whatever_the_timing() -> None:
    runs = []
    for jitter in (0.0, 0.02):
        given = plan(SameLast(), AtLeastTwo(), judges=(Marks(),), quotas={"alpha": 40})
        outcomes = await outcomes_of(given, FakeModel(instructions_and_answers, jitter_seconds=jitter))
        assert all(not outcome.item.scores for outcome in outcomes if isinstance(outcome.item, Sample) and "same/seen" in outcome.reasons)
        runs.append([(outcome.item, outcome.reasons) for outcome in outcomes])
    assert runs[0] == runs[1]


async def test_warn_mode_records_the_reason_and_keeps_the_sample() -> None:
    given = plan(quotas={"alpha": 5})
    warned = Plan(
        **{name: getattr(given, name) for name in given.__slots__} | {"gates": (NamedGate("w", RejectsWhen(a_third), warn=True),)}
    )
    outcomes = await outcomes_of(warned, FakeModel(instructions_and_answers))
    assert all(outcome.accepted for outcome in outcomes)


async def test_ordered_candidates_are_asked_for_again_after_the_goal() -> None:
    first = await outcomes_of(plan(RejectsWhen(a_third), attempts=1), FakeModel(instructions_and_answers))
    failed = [outcome.item.id for outcome in first if outcome.reasons == ("picky/picked",)]
    again = await outcomes_of(plan(RejectsWhen(a_third), attempts=1, regenerate=frozenset(failed)), FakeModel(instructions_and_answers))
    assert fates(again)[: len(first)] == fates(first)
    extra = again[len(first) :]
    assert sorted(outcome.item.provenance.parents[0] for outcome in extra) == sorted(failed)


@dataclass(frozen=True)
class Silent:
    """A strategy that returns nothing for its first task."""

    lag = 4

    def plan(self, turn: Turn, pool: Pool, rng: Random) -> dict[str, Json]:
        return {"number": turn.index}

    async def run(self, task: Task, pool: Pool, generate: Generate) -> list[Sample | Malformed]:
        return [] if task.index == 0 else [Sample(digest([task.id, 0]), ())]


async def test_a_task_that_returns_nothing_has_a_fate() -> None:
    outcomes = await outcomes_of(plan(quotas={"alpha": 2}, strategy=Silent()), FakeModel(instructions_and_answers))
    assert [outcome.reasons for outcome in outcomes] == [("parse/nothing_returned",), (), ()]


@pytest.mark.parametrize("lag", [1, 3, 16])
async def test_a_pool_is_never_newer_than_its_lag(lag: int) -> None:
    seen: dict[int, int] = {}

    class Watching(SelfInstruct):
        def plan(self, turn: Turn, pool: Pool, rng: Random) -> Any:
            seen[turn.index] = len(pool.samples)
            return super().plan(turn, pool, rng)

    given = plan(strategy=Watching(model="writer", lag=lag), quotas={"alpha": 60}, attempts=1)
    await outcomes_of(given, FakeModel(instructions_and_answers, jitter_seconds=0.005))
    again = dict(seen)
    seen.clear()
    await outcomes_of(given, FakeModel(instructions_and_answers))
    assert seen == again
    assert all(size <= 5 * max(0, index) for index, size in seen.items())


def test_a_request_is_named_by_its_content() -> None:
    assert request_name(Request("m", prompt="a")) != request_name(Request("m", prompt="b"))


@dataclass(frozen=True)
class OddFirst:
    """A gate with memory that changes its mind: it rejects while it remembers an odd number of samples."""

    seen: list[str] = field(default_factory=list)

    def check(self, sample: Sample) -> Any:
        return RejectsWhen(lambda _: len(self.seen) % 2 == 1, "odd").check(sample)

    def remember(self, sample: Sample) -> None:
        self.seen.append(sample.id)


async def test_a_sample_that_is_kept_only_in_plan_order_is_judged_all_the_same() -> None:
    given = plan(OddFirst(), judges=(Marks(),), quotas={"alpha": 6}, attempts=2)
    outcomes = await outcomes_of(given, FakeModel(instructions_and_answers, jitter_seconds=0.01))
    scored = [bool(outcome.item.scores) for outcome in outcomes if isinstance(outcome.item, Sample) and outcome.accepted]
    assert scored
    assert all(scored)


async def test_an_order_does_not_reach_what_must_never_be_asked_for_again() -> None:
    gate = RejectsWhen(a_third, "safety")
    first = await outcomes_of(plan(gate), FakeModel(instructions_and_answers))
    failed = frozenset(outcome.item.id for outcome in first if not outcome.accepted)
    again = await outcomes_of(plan(gate, regenerate=failed), FakeModel(instructions_and_answers))
    assert failed
    assert fates(again) == fates(first)


async def test_what_is_ordered_again_is_counted_where_it_belongs() -> None:
    gate = RejectsWhen(a_third)
    first = await outcomes_of(plan(gate, attempts=1), FakeModel(instructions_and_answers))
    failed = frozenset(outcome.item.id for outcome in first if outcome.reasons == ("picky/picked",))
    pipeline = Pipeline(plan(gate, attempts=1, regenerate=failed), FakeModel(instructions_and_answers))
    outcomes = [outcome async for outcome in pipeline.outcomes()]
    assert sum(end.candidates for end in pipeline.ends()) == len(outcomes)
    assert sum(end.accepted for end in pipeline.ends()) == sum(outcome.accepted for outcome in outcomes)


async def test_an_error_of_ours_ends_the_run_and_the_others_say_nothing() -> None:
    def full(_: Request) -> str:
        raise StorageError("the disk is full")

    loud: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: loud.append(context))
    with pytest.raises(StorageError, match="the disk is full"):
        await outcomes_of(plan(), FakeModel(full))
    gc.collect()
    assert loud == []


async def test_a_thousand_topics_are_planned_without_looking_at_each_for_each() -> None:
    looks = 0

    class Counting(Sequence):
        def next_task(self) -> Any:
            nonlocal looks
            looks += 1
            return super().next_task()

    pipeline = Pipeline(plan(quotas={f"topic {place}": 1 for place in range(1000)}, strategy=Silent()), FakeModel(instructions_and_answers))
    pipeline.sequences = [Counting(one.spec, one.sources, one.seed, one.attempts) for one in pipeline.sequences]
    outcomes = [outcome async for outcome in pipeline.outcomes()]
    assert sum(outcome.accepted for outcome in outcomes) == 1000
    assert looks < 10 * len(outcomes)
