from __future__ import annotations

import json
from collections import Counter
from random import Random
from typing import Any

import pytest
from fakes import FakeModel, words

from gen import plugins
from gen.errors import RecipeError, RequestRejected
from gen.pipeline import Pipeline, Plan
from gen.sequences import SequenceSpec
from gen.strategies.evol_instruct import OPERATIONS, EvolInstruct
from gen.types import Malformed, Message, Outcome, Pool, Provenance, Request, Sample, SeedTask, Sources, Task, Turn, rejected

SEEDS = (SeedTask("seed-1", "Explain tides."), SeedTask("seed-2", "Explain winds."))
POOL = Pool(Sources(seed_tasks=SEEDS))
STRATEGY = EvolInstruct(model="writer")


def model(
    *, evolved: str = "", answer: str = "The moon pulls at the water, and the sun does too.", verdict: str = "better", **faults: str
) -> FakeModel:
    """Writes a start, appends four words to what it evolves, thinks well of it, and answers."""

    def reply(request: Request) -> str | RequestRejected:
        part = request.purpose.partition(".")[2]
        if part in faults:
            return RequestRejected(faults[part], reason="bad_request", status=400)
        if part == "first":
            return json.dumps({"instructions": [f"Say something about {words(request.draw)}"]})
        if part == "evolve":
            before = request.messages[-1].content.partition("<instruction>\n")[2].partition("\n</instruction>")[0]
            return json.dumps({"instruction": evolved or f"{before} {words(request.draw, 'more')}"})
        return json.dumps({"reason": "It asks for more.", "verdict": verdict}) if part == "eliminate" else answer

    return FakeModel(reply)


def task_of(
    strategy: EvolInstruct = STRATEGY, pool: Pool = POOL, *, topic: str = "", seed: int = 5, failed: Outcome | None = None, attempt: int = 0
) -> Task:
    inputs = strategy.plan(Turn("evol_instruct", topic, 0, attempt, seed, failed), pool, Random(seed))
    return Task("evol_instruct", topic, 0, attempt, seed, inputs)


async def candidate(fake: FakeModel, strategy: EvolInstruct = STRATEGY, task: Task | None = None) -> Sample | Malformed:
    (item,) = await strategy.run(task or task_of(strategy), POOL, fake)
    return item


def accepted(round_number: int, name: str = "own", parents: tuple[str, ...] = ()) -> Sample:
    notes = {"operation": "deepen", "round": round_number, "start": "Explain tides."}
    messages = (Message("user", f"Explain tides to round {round_number} of {name}."), Message("assistant", "Yes."))
    return Sample(f"{name}-{round_number}", messages, provenance=Provenance(parents=parents, seeds=("seed-1",), notes=notes))


async def test_without_a_topic_a_seed_task_is_evolved_judged_and_answered() -> None:
    fake = model()
    item = await candidate(fake)
    assert isinstance(item, Sample)
    assert [request.purpose.partition(".")[2] for request in fake.requests] == ["evolve", "eliminate", "answer"]
    assert item.first("user").startswith(str(item.provenance.notes["start"]))
    assert item.provenance.seeds in (("seed-1",), ("seed-2",))
    assert item.provenance.notes["round"] == 1
    assert len(item.provenance.requests) == 3


async def test_with_a_topic_the_start_is_written_first_and_noted() -> None:
    fake = model()
    item = await candidate(fake, task=task_of(topic="tides"))
    assert isinstance(item, Sample)
    assert [request.step for request in fake.requests] == [0, 1, 2, 3]
    assert str(item.provenance.notes["start"]).startswith("Say something about ")
    assert item.first("user").startswith(str(item.provenance.notes["start"]))


def test_all_six_operations_are_drawn_about_equally() -> None:
    drawn = Counter(task_of(seed=seed).inputs["operation"] for seed in range(1200))
    assert set(drawn) == set(OPERATIONS)
    assert 150 < min(drawn.values()) <= max(drawn.values()) < 250


async def test_each_operation_has_a_prompt_of_its_own() -> None:
    for operation in OPERATIONS:
        strategy = EvolInstruct(model="writer", operations=(operation,))
        item = await candidate(model(), strategy, task_of(strategy))
        assert any(name.startswith(f"evol_instruct/{operation}@") for name in item.provenance.prompts)
        assert item.provenance.notes["operation"] == operation


def test_an_accepted_sample_is_evolved_further_until_its_rounds_are_spent() -> None:
    strategy = EvolInstruct(model="writer", rounds=3)
    inputs = [task_of(strategy, Pool(POOL.sources, (accepted(2),)), seed=seed).inputs for seed in range(60)]
    further = [one for one in inputs if "evolves" in one]
    assert 30 <= len(further) <= 50  # two thirds: as many as keeps three rounds alike
    assert {(one["evolves"], one["round"], one["start"]) for one in further} == {("own-2", 3, "Explain tides.")}
    spent = Pool(POOL.sources, (accepted(3),))
    assert all("evolves" not in task_of(strategy, spent, seed=seed).inputs for seed in range(60))


def test_a_parent_that_was_evolved_with_success_rests() -> None:
    pool = Pool(POOL.sources, (accepted(1), accepted(2, parents=("own-1",))))
    chosen = {task_of(pool=pool, seed=seed).inputs.get("evolves") for seed in range(60)}
    assert chosen == {None, "own-2"}


async def test_the_child_names_its_parent_and_the_seed_of_the_lineage() -> None:
    pool = Pool(POOL.sources, (accepted(1),))
    task = next(one for one in (task_of(pool=pool, seed=seed) for seed in range(60)) if "evolves" in one.inputs)
    item = await candidate(model(), task=task)
    assert item.provenance.parents == ("own-1",)
    assert item.provenance.seeds == ("seed-1",)
    assert item.provenance.notes["round"] == 2


@pytest.mark.parametrize(
    ("fake", "reason", "detail"),
    [
        (model(verdict="equal"), "no_gain", "It asks for more."),
        (model(verdict="broken"), "evolution_broken", "It asks for more."),
        (model(verdict="perhaps"), "unreadable_verdict", 'its "verdict" is none of better, equal and broken; finish reason stop'),
        (model(evolved="Here is the rewritten prompt: explain tides."), "leaked_prompt", "it says 'rewritten prompt'"),
        (model(evolved="Answer the #Given Prompt# on tides."), "leaked_prompt", "it says 'given prompt'"),
        (model(answer="I'm sorry, but I can't help with that."), "evolution_refused", "declined in 8 words, below 80"),
        (model(answer="… and then? --- so, it is!"), "evolution_empty", "the answer has no word of content"),
        (model(evolved="x" * 9000), "instruction_too_long", "9000 characters, at most 8000"),
    ],
    ids=["equal", "broken", "verdict", "leaked", "leaked-hash", "refused", "empty", "too-long"],
)
async def test_a_failed_evolution_is_eliminated_with_its_reason(fake: FakeModel, reason: str, detail: str) -> None:
    item = await candidate(fake)
    assert isinstance(item, Malformed)
    assert (item.gate, item.reason, item.detail) == ("parse", reason, detail)
    assert item.provenance.notes["round"] == 1
    assert len(item.provenance.requests) == len(fake.requests)


async def test_the_same_words_again_are_no_gain_and_cost_no_judgement() -> None:
    task = task_of()
    fake = model(evolved=str(task.inputs["before"]).upper())
    item = await candidate(fake, task=task)
    assert (item.reason, len(fake.requests)) == ("no_gain", 1)  # type: ignore[union-attr]


async def test_a_rewrite_that_cannot_be_read_is_kept_as_it_came() -> None:
    item = await candidate(FakeModel(lambda _: "Gladly!"))
    assert isinstance(item, Malformed)
    assert (item.reason, item.text) == ("unreadable_rewrite", "Gladly!")


async def test_words_of_the_prompt_that_the_parent_had_are_no_leak() -> None:
    task = Task("evol_instruct", "", 0, 0, 1, {"operation": "deepen", "round": 1, "start": "s", "before": "Improve the given prompt."})
    item = await candidate(model(evolved="Improve the given prompt, and say why."), task=task)
    assert isinstance(item, Sample)


async def test_a_long_answer_that_opens_with_sorry_is_no_refusal() -> None:
    item = await candidate(model(answer="I'm sorry, but I cannot help with that directly. " + "Tides rise and fall with the moon. " * 20))
    assert isinstance(item, Sample)


async def test_a_failed_judgement_costs_one_candidate_and_keeps_its_calls_on_record() -> None:
    fake = model(eliminate="the judge is away")
    item = await candidate(fake)
    assert isinstance(item, Malformed)
    assert (item.gate, item.reason, item.detail) == ("provider", "bad_request", "the judge is away")
    assert len(item.provenance.requests) == 1
    assert item.provenance.notes["start"]


async def test_judge_and_answer_go_to_the_models_named() -> None:
    strategy = EvolInstruct(model="writer", judge_model="judge", answer_model="expert", system="Be brief.", answer_style="in one line")
    fake = model()
    item = await candidate(fake, strategy, task_of(strategy))
    assert isinstance(item, Sample)
    assert [request.model for request in fake.requests] == ["writer", "judge", "expert"]
    assert strategy.models == ("writer", "judge", "expert")
    assert item.messages[0] == Message("system", "Be brief.")
    assert "Answer in one line." in fake.requests[-1].messages[-1].content


async def test_a_rejected_answer_is_asked_for_again_and_stays_in_its_lineage() -> None:
    first = task_of(topic="tides")
    before = await candidate(model(), task=first)
    failed = Outcome(first, before, (rejected("length", "too_short", "3 words, at least 20"),))
    fake = model()
    item = await candidate(fake, task=task_of(topic="tides", failed=failed, attempt=1))
    assert isinstance(item, Sample)
    assert isinstance(before, Sample)
    assert [request.purpose for request in fake.requests] == ["evol_instruct.answer"]
    assert item.first("user") == before.first("user")
    assert item.provenance.parents == (before.id,)
    assert item.provenance.notes == before.provenance.notes


async def test_a_duplicate_is_evolved_anew_from_the_same_start_by_another_operation() -> None:
    first = task_of(topic="tides")
    before = await candidate(model(), task=first)
    failed = Outcome(first, before, (rejected("near_dup", "near_duplicate"),))
    task = task_of(topic="tides", failed=failed, attempt=1)
    assert task.inputs["before"] == before.provenance.notes["start"]
    assert task.inputs["operation"] != first.inputs["operation"]
    fake = model()
    await candidate(fake, task=task)
    assert "The last attempt was rejected (near duplicate)" in fake.requests[0].messages[-1].content


async def run(goal: int, jitter: float = 0.0, **options: Any) -> list[Outcome]:
    strategy = EvolInstruct(model="writer", lag=4, **options)
    spec = SequenceSpec("evol_instruct", strategy, "tides", goal)
    fake = model()
    fake.jitter_seconds = jitter
    return [one async for one in Pipeline(Plan((spec,), POOL.sources, seed=3, attempts=2, gates=()), fake).outcomes()]


async def test_a_run_reaches_every_round_and_no_further() -> None:
    outcomes = await run(80, rounds=3)
    rounds = Counter(int(one.item.provenance.notes["round"]) for one in outcomes)
    assert set(rounds) == {1, 2, 3}
    ids = {one.item.id for one in outcomes}
    assert all(set(one.item.provenance.parents) <= ids for one in outcomes)
    assert all(one.item.provenance.parents for one in outcomes if one.item.provenance.notes["round"] != 1)


async def test_latencies_do_not_change_the_evolutions() -> None:
    assert [one.item for one in await run(40)] == [one.item for one in await run(40, jitter=0.01)]


async def test_a_failed_evolution_leaves_its_parent_in_the_pool() -> None:
    pool = Pool(POOL.sources, (accepted(1),))
    tasks = [one for one in (task_of(pool=pool, seed=seed) for seed in range(60)) if "evolves" in one.inputs]
    failed = await candidate(model(verdict="equal"), task=tasks[0])
    assert isinstance(failed, Malformed)
    assert failed.provenance.parents == ("own-1",)
    assert tasks[1].inputs["evolves"] == "own-1"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rounds": 0}, "must be from 1 to 20, got 0"),
        ({"operations": ()}, "name at least one of add_constraints, deepen"),
        ({"operations": ("harder",)}, "input should be 'add_constraints', 'deepen'"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as error:
        plugins.build("strategies", "evol_instruct", {"model": "writer", **options})
    assert error.value.key == next(iter(options))
