"""What happens when a reply cannot be read: corrections, a fresh start, and what they save in a whole run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fakes import FakeModel

from gen.answering import ask_instructions
from gen.asking import Asking
from gen.errors import ServiceStopped, Unavailable
from gen.llm.cache import Cache
from gen.llm.client import Client
from gen.llm.structured import Unreadable, ask_structured, correction, fresh_start, parse_json
from gen.recipe import ModelLine
from gen.types import Malformed, Message, Request, Response, Sampling, Task

ASKED = Request("writer", (Message("system", "Be exact."), Message("user", "Give numbers as a JSON list.")), draw=7)


def numbers(reply: Response) -> list[int] | Unreadable:
    return parse_json(reply.text, list[int])


async def test_a_reply_that_can_be_read_is_asked_for_once() -> None:
    model = FakeModel(lambda _: "[1, 2]")
    said = await ask_structured(model, ASKED, numbers)
    assert (said.value, said.problem, len(said.replies)) == ([1, 2], "", 1)
    assert model.requests == [ASKED]


async def test_a_bad_reply_is_shown_to_the_model_with_what_was_wrong() -> None:
    model = FakeModel(lambda asked: "[3]" if len(asked.messages) > 2 else '["three"]')
    said = await ask_structured(model, ASKED, numbers)
    assert said.value == [3]
    before, reply, told = model.requests[1].messages[:2], model.requests[1].messages[2], model.requests[1].messages[3]
    assert before == ASKED.messages
    assert reply == Message("assistant", '["three"]')
    assert told.role == "user"
    assert "not the form that was asked for (0: input should be a valid integer" in told.content


async def test_after_two_corrections_it_starts_afresh_at_another_temperature_and_then_gives_up() -> None:
    model = FakeModel(lambda _: "no numbers today")
    said = await ask_structured(model, ASKED, numbers)
    assert (said.value, said.problem, len(said.replies)) == (None, "it holds no JSON", 4)
    assert [len(asked.messages) for asked in model.requests] == [2, 4, 4, 2]
    afresh = model.requests[3]
    assert (afresh.messages, afresh.sampling.temperature) == (ASKED.messages, 0.7)
    assert afresh.draw != ASKED.draw
    again = FakeModel(lambda _: "no numbers today")
    await ask_structured(again, ASKED, numbers)
    assert again.requests == model.requests


@pytest.mark.parametrize(("given", "fresh"), [(None, 0.7), (0.0, 0.2), (0.8, 1.0), (0.9, 0.7), (1.0, 0.8), (1.5, 1.3)])
def test_a_fresh_start_has_another_temperature_within_reach_of_every_service(given: float | None, fresh: float) -> None:
    request = Request("w", sampling=Sampling(temperature=given, max_tokens=9, stop=("x",)))
    assert fresh_start(request).sampling == Sampling(fresh, None, 9, ("x",))


def test_an_empty_reply_is_no_turn() -> None:
    again = correction(ASKED, Response("  "), "it holds no JSON", 1)
    assert again.messages == ASKED.messages
    assert again.draw not in (ASKED.draw, correction(ASKED, Response(""), "it holds no JSON", 2).draw)


async def test_a_call_that_fails_for_good_ends_the_asking_with_what_came_before() -> None:
    model = FakeModel(lambda asked: Unavailable("down", reason="overloaded") if len(asked.messages) > 2 else "none")
    said = await ask_structured(model, ASKED, numbers)
    assert said.value is None
    assert said.error is not None
    assert (said.error.reason, len(said.replies)) == ("overloaded", 1)
    with pytest.raises(ServiceStopped):
        await ask_structured(FakeModel(lambda _: ServiceStopped("key")), ASKED, numbers)


async def instructions_of(answer: Callable[[Request], Any], model: FakeModel | None = None) -> Any:
    task = Task("self_instruct", "tides", 0, 0, 1)
    asking = Asking(task, model or FakeModel(answer))
    messages = [Message("user", 'Write 2 questions. Reply with JSON only: {"instructions": ["…"]}.')]
    return await ask_instructions(asking, "writer", messages, count=2, part="instruct", prompt="p@1", sampling=Sampling())


async def test_a_strategy_has_every_request_on_record_and_the_text_where_nothing_helped() -> None:
    found = await instructions_of(lambda asked: "I would rather not." if len(asked.messages) == 1 else '["Why tides?", "When?"]')
    assert found.value == ["Why tides?", "When?"]
    assert len({reply.response.key for reply in found.replies}) == 2
    failed = await instructions_of(lambda _: "I would rather not.")
    assert isinstance(failed, Malformed)
    assert (failed.reason, failed.text) == ("unreadable_list", "I would rather not.")
    assert failed.detail == "it holds no list of instructions; finish reason stop"
    assert len(failed.provenance.requests) == 4


async def test_corrections_save_most_replies_of_a_model_that_breaks_its_json(tmp_path: Any) -> None:
    """Over the simulator's wire with a third of the JSON replies broken: the share that stays unreadable, and what it cost in calls."""
    line = ModelLine.model_validate({"provider": "simulator", "simulator": {"flaws": {"broken_json": 0.35}}})
    cache = Cache(tmp_path / "cache.db")
    asked = [
        Request("writer", (Message("user", f'Write 3 questions about tides in year {year}. Reply with JSON only: {{"questions": ["…"]}}'),))
        for year in range(120)
    ]

    def strictly(reply: Response) -> list[str] | Unreadable:
        found = parse_json(reply.text, dict[str, list[str]])
        return found if isinstance(found, Unreadable) else next((items for items in found.values() if len(items) == 3), Unreadable("not 3"))

    async with Client({"writer": line}, cache=cache) as client:
        alone = [await ask_structured(client.generate, one, strictly, corrections=0, fresh=None) for one in asked]
        helped = [await ask_structured(client.generate, one, strictly) for one in asked]
        stats = client.stats
    async with Client({"writer": line}, cache=cache) as replayed:
        again = [await ask_structured(replayed.generate, one, strictly) for one in asked]
        assert replayed.stats.requests == 0
    await cache.close()
    failures, left = sum(one.value is None for one in alone), sum(one.value is None for one in helped)
    assert failures >= 10
    assert left <= failures / 8
    assert stats.requests - len(asked) <= 1.3 * failures
    assert [one.value for one in again] == [one.value for one in helped]
