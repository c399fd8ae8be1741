from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from fakes import FakeModel, words

from gen import plugins
from gen.errors import RecipeError
from gen.parts import build_parts
from gen.pipeline import NamedGate, Pipeline, Plan
from gen.recipe import parse
from gen.sequences import SequenceSpec
from gen.strategies.persona import PersonaStrategy, in_turn
from gen.types import Malformed, Message, Outcome, Persona, Pool, Request, Sample, Sources, Task, Turn, rejected

PEOPLE = tuple(Persona(f"p-{number}", f"Person number {number}.", level="expert" if number % 2 else "") for number in range(12))
POOL = Pool(Sources(personas=PEOPLE))


def model() -> FakeModel:
    def reply(request: Request) -> str:
        if not request.purpose.endswith("ask"):
            return "An answer in plain words."
        count = 3 if "Write 3 " in request.messages[-1].content else 1
        return json.dumps({"instructions": [f"How do I {words(request.draw, place)}?" for place in range(count)]})

    return FakeModel(reply)


def turn_of(index: int = 0, topic: str = "tax", attempt: int = 0, failed: Outcome | None = None) -> Turn:
    return Turn("persona", topic, index, attempt, 5, failed)


def task_of(strategy: PersonaStrategy, turn: Turn | None = None) -> Task:
    turn = turn or turn_of()
    return Task("persona", turn.topic, turn.index, turn.attempt, 5, strategy.plan(turn, POOL, Random(5)))


async def run(strategy: PersonaStrategy, fake: FakeModel, task: Task | None = None) -> list[Sample | Malformed]:
    return await strategy.run(task or task_of(strategy), POOL, fake)


@pytest.mark.parametrize("count", [1, 2, 7, 12, 204])
@pytest.mark.parametrize("topic", ["", "tax", "first aid"])
def test_nobody_asks_twice_before_all_have_asked(count: int, topic: str) -> None:
    people = tuple(Persona(f"p-{number}", f"Person {number}.") for number in range(count))
    asked = [in_turn(turn_of(index, topic), people).id for index in range(3 * count)]
    for lap in range(3):
        assert len(set(asked[lap * count : (lap + 1) * count])) == count


def test_each_topic_has_an_order_of_its_own_that_another_topic_does_not_change() -> None:
    orders = {topic: [in_turn(turn_of(index, topic), PEOPLE).id for index in range(12)] for topic in ("tax", "rent", "law")}
    assert len({tuple(order) for order in orders.values()}) == 3
    assert orders["tax"] == [in_turn(turn_of(index, "tax"), PEOPLE).id for index in range(12)]


async def test_one_person_asks_and_the_record_says_who() -> None:
    fake = model()
    (item,) = await run(PersonaStrategy(model="writer"), fake)
    persona = in_turn(turn_of(), PEOPLE)
    assert isinstance(item, Sample)
    assert f"The person: {persona.persona}" in fake.requests[0].messages[-1].content
    assert item.provenance.seeds == (persona.id,)
    assert item.provenance.notes["persona"] == persona.persona
    assert [message.role for message in item.messages] == ["user", "assistant"]


async def test_several_questions_of_one_person_are_answered_one_by_one() -> None:
    fake = model()
    strategy = PersonaStrategy(model="writer", answer_model="expert", questions_per_persona=3)
    items = await run(strategy, fake)
    assert [type(item) for item in items] == [Sample] * 3
    assert [request.model for request in fake.requests] == ["writer", "expert", "expert", "expert"]
    assert strategy.samples_per_task == 3


async def test_levels_and_the_answering_persona_reach_the_prompts() -> None:
    fake = model()
    strategy = PersonaStrategy(model="writer", ask_level="beginner", answer_level="expert", answer_persona="a senior tax adviser")
    (item,) = await run(strategy, fake)
    ask, answer = fake.requests
    assert "the prior knowledge of a beginner" in ask.messages[-1].content
    assert answer.messages[0].content.startswith("You are a senior tax adviser.")
    assert "Assume expert knowledge" in answer.messages[0].content
    told = {name: item.provenance.notes[name] for name in ("ask_level", "answer_level", "answer_persona")}
    assert told == {"ask_level": "beginner", "answer_level": "expert", "answer_persona": "a senior tax adviser"}


async def test_without_options_the_personas_own_level_counts() -> None:
    strategy = PersonaStrategy(model="writer")
    for index in range(12):
        fake, turn = model(), turn_of(index)
        (item,) = await run(strategy, fake, task_of(strategy, turn))
        expert = in_turn(turn, PEOPLE).level == "expert"
        assert ("of an expert" in fake.requests[0].messages[-1].content) == expert
        assert item.provenance.notes.get("ask_level", "") == ("expert" if expert else "")


async def test_a_system_message_of_ones_own_keeps_the_level_and_the_voice() -> None:
    fake = model()
    strategy = PersonaStrategy(model="writer", system="You are a desk.", answer_persona="a patient clerk", answer_level="beginner")
    (item,) = await run(strategy, fake)
    sent = fake.requests[1].messages[0].content
    assert isinstance(item, Sample)
    assert item.messages[0] == Message("system", "You are a desk.")
    assert sent.startswith("You are a desk.\n\nAnswer as a patient clerk would.\n\nExplain each technical term")


async def test_a_second_attempt_lets_the_same_person_ask_something_else() -> None:
    strategy = PersonaStrategy(model="writer", questions_per_persona=3)
    first = task_of(strategy, turn_of(4))
    before = (await run(strategy, model(), first))[1]
    failed = Outcome(first, before, (rejected("near_dup", "near_duplicate"),))
    task = task_of(strategy, turn_of(4, attempt=1, failed=failed))
    fake = model()
    (item,) = await run(strategy, fake, task)
    assert isinstance(item, Sample)
    assert isinstance(before, Sample)
    assert item.provenance.seeds == before.provenance.seeds
    assert item.provenance.parents == (before.id,)
    assert f"Too close to what exists: {before.first('user')}" in fake.requests[0].messages[-1].content


async def test_a_second_attempt_at_an_answer_keeps_the_question() -> None:
    strategy = PersonaStrategy(model="writer")
    first = task_of(strategy)
    (before,) = await run(strategy, model(), first)
    failed = Outcome(first, before, (rejected("length", "too_short", "3 words"),))
    fake = model()
    (item,) = await run(strategy, fake, task_of(strategy, turn_of(attempt=1, failed=failed)))
    assert isinstance(item, Sample)
    assert isinstance(before, Sample)
    assert len(fake.requests) == 1
    assert item.first("user") == before.first("user")
    assert item.provenance.notes == before.provenance.notes


async def test_what_is_no_list_or_no_question_is_malformed() -> None:
    strategy = PersonaStrategy(model="writer")
    (unread,) = await run(strategy, FakeModel(lambda _: "Let me think about it."))
    (endless,) = await run(strategy, FakeModel(lambda _: json.dumps({"instructions": ["x" * 9000]})))
    assert isinstance(unread, Malformed)
    assert isinstance(endless, Malformed)
    assert (unread.reason, endless.reason) == ("unreadable_list", "instruction_too_long")
    assert unread.provenance.seeds


async def test_quotas_are_met_with_everybody_heard_about_equally() -> None:
    specs = tuple(SequenceSpec("persona", PersonaStrategy(model="writer"), topic, 30) for topic in ("tax", "rent"))
    plan = Plan(specs, Sources(topics=("tax", "rent"), personas=PEOPLE), seed=1, attempts=1, gates=())
    outcomes = [one async for one in Pipeline(plan, model()).outcomes()]
    for topic in ("tax", "rent"):
        heard = Counter(one.item.provenance.seeds[0] for one in outcomes if one.accepted and one.task.topic == topic)
        assert sum(heard.values()) == 30
        assert set(heard.values()) == {2, 3}


async def test_latencies_never_change_who_asks_what() -> None:
    async def items(jitter: float) -> list[Any]:
        fake = model()
        fake.jitter_seconds = jitter
        specs = (SequenceSpec("persona", PersonaStrategy(model="writer", questions_per_persona=3), "tax", 30),)
        plan = Plan(specs, POOL.sources, seed=1, attempts=2, gates=(NamedGate("third", _Third()),))
        return [(one.item, one.reasons) async for one in Pipeline(plan, fake).outcomes()]

    assert await items(0.0) == await items(0.01)


class _Third:
    def check(self, sample: Sample) -> Any:
        return rejected("third", "picked") if int(sample.id, 16) % 3 == 0 else plugins.build("gates", "schema", {}).check(sample)


RECIPE = """name: p
models: {writer: {}}
strategies:
  - {name: STRATEGY, model: writer}
goal: {accepted: 1}
"""


@pytest.mark.parametrize(("strategy", "count"), [("persona", 204), ("self_instruct", 0)])
def test_the_shipped_personas_stand_in_where_a_strategy_needs_some(strategy: str, count: int) -> None:
    assert len(build_parts(parse(RECIPE.replace("STRATEGY", strategy), Path("r.yaml"))).sources.personas) == count


def test_the_recipes_own_personas_are_taken() -> None:
    text = RECIPE.replace("STRATEGY", "persona") + "sources: {personas: [A nurse., A baker.]}\n"
    assert [one.persona for one in build_parts(parse(text, Path("r.yaml"))).sources.personas] == ["A nurse.", "A baker."]


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [("questions_per_persona", 0, "must be from 1 to 20, got 0"), ("ask_level", "novice", "input should be '', 'beginner'")],
)
def test_a_wrong_option_is_named(option: str, value: object, problem: str) -> None:
    with pytest.raises(RecipeError, match=problem) as error:
        plugins.build("strategies", "persona", {"model": "writer", option: value})
    assert error.value.key == option
