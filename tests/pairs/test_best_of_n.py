from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from fakes import FakeModel

from gen.errors import ProviderError, RecipeError, RequestRejected, ServiceStopped
from gen.judges.rubric import Rubric
from gen.pairs.best_of_n import BestOfN
from gen.plugins import build
from gen.types import Dropped, Malformed, Message, Outcome, Preference, Provenance, Request, Sample, Task, rejected

TASK = Task("self_instruct", "bread", 0, 0, 1)
JUDGE = Rubric("critic", tries=1)


def accepted(name: str = "s1", *, answer: str = "The accepted answer.", system: str = "") -> Outcome:
    before = (Message("system", system),) if system else ()
    messages = (*before, Message("user", f"How is bread {name} baked?"), Message("assistant", answer))
    return Outcome(TASK, Sample(name, messages, provenance=Provenance(topic="bread", model="writer", finish_reason="stop")))


def world(score: Callable[[str], Any], write: Callable[[Request], str | ProviderError] | None = None) -> FakeModel:
    """A writer whose replies are numbered by their draw, and a critic that gives each shown answer `score(text)`."""

    def answer(request: Request) -> str | ProviderError:
        if request.model == "critic":
            shown = shown_answers(request)
            scores = [score(text) for text in shown]
            return json.dumps(
                {"answers": [{"number": place, "reason": "so", "score": one} for place, one in enumerate(scores, 1)], "best": 0}
            )
        return write(request) if write else f"Reply {request.draw}."

    return FakeModel(answer)


def shown_answers(request: Request) -> list[str]:
    return re.findall(r"BEGIN ANSWER \d+ \d+\n(.*?)\nEND ANSWER", request.messages[-1].content, re.DOTALL)


def by_digest(text: str) -> float:
    """Scores that differ: 5 for the accepted answer, less for the others, in steps of 0.5."""
    return 5 if "accepted" in text else 1 + 0.5 * (sum(map(ord, text)) % 5)


async def made(model: FakeModel, *outcomes: Outcome, **options: Any) -> list[Preference | Dropped]:
    return await BestOfN("writer", **options).make(outcomes or (accepted(),), model, JUDGE)


async def test_the_best_stands_against_the_worst_with_scores_and_margin() -> None:
    model = world(by_digest)
    (pair,) = await made(model, minimum_margin=0.5)
    assert isinstance(pair, Preference)
    shown = shown_answers(model.requests[-1])
    assert pair.chosen[0].content == max(shown, key=by_digest)
    assert pair.rejected[0].content == min(shown, key=by_digest)
    assert pair.margin == pair.chosen_score - pair.rejected_score  # type: ignore[operator]
    assert pair.prompt == (Message("user", "How is bread s1 baked?"),)
    assert (pair.source, pair.sample, pair.provenance.parents) == ("best_of_n", "s1", ("s1",))
    assert len(pair.provenance.requests) == 4
    assert pair.provenance.finish_reason == "stop"


@pytest.mark.parametrize(("reuse", "asked"), [(True, 3), (False, 4)])
async def test_the_accepted_reply_is_one_of_n_where_it_is_reused(reuse: bool, asked: int) -> None:
    model = world(by_digest)
    await made(model, reuse=reuse)
    assert sum(request.model == "writer" for request in model.requests) == asked
    assert len(shown_answers(model.requests[-1])) == 4
    assert ("The accepted answer." in shown_answers(model.requests[-1])) == reuse


async def test_every_draw_differs_and_is_the_same_on_every_run() -> None:
    first, again = world(by_digest), world(by_digest)
    assert await made(first) == await made(again)
    assert first.requests == again.requests
    assert len({request.draw for request in first.requests}) == 4


async def test_the_order_shown_is_shuffled_by_the_sample() -> None:
    model = world(by_digest)
    await made(model, *(accepted(f"s{number}") for number in range(30)))
    places = {shown_answers(request).index("The accepted answer.") for request in model.requests if request.model == "critic"}
    assert places == {0, 1, 2, 3}


async def test_the_samples_system_prompt_and_the_style_reach_the_writer_and_the_style_stays_out_of_the_pair() -> None:
    model = world(by_digest)
    (pair,) = await made(model, accepted(system="Speak as a baker."), answer_style="in one sentence", minimum_margin=0.5)
    assert [message.role for message in model.requests[0].messages] == ["system", "user"]
    assert model.requests[0].messages[0].content == "Speak as a baker."
    assert "Answer in one sentence." in model.requests[0].messages[1].content
    assert isinstance(pair, Preference)
    assert [message.content for message in pair.prompt] == ["Speak as a baker.", "How is bread s1 baked?"]


async def test_earlier_turns_are_part_of_what_is_answered() -> None:
    turns = (Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "And bread?"), Message("assistant", "Knead."))
    model = world(by_digest)
    await made(model, Outcome(TASK, Sample("s1", turns)))
    assert [message.content for message in model.requests[0].messages][1:] == ["Hi", "Hello", "And bread?"]


@pytest.mark.parametrize(
    ("score", "reason", "detail"),
    [
        pytest.param(lambda _: 4, "tie", "all 4 replies got 4", id="tie"),
        pytest.param(lambda text: 4.5 if "accepted" in text else 4, "below_margin", "4.5 − 4 = 0.5, minimum 1", id="below the margin"),
        pytest.param(lambda _: "good", "no_score", "unreadable opinion: an answer has no score from 1 to 5", id="unreadable"),
    ],
)
async def test_a_pair_from_which_nothing_can_be_learned_is_dropped(score: Callable[[str], Any], reason: str, detail: str) -> None:
    (one,) = await made(world(score))
    assert isinstance(one, Dropped)
    assert (one.source, one.sample, one.reason, one.detail) == ("best_of_n", "s1", reason, detail)


async def test_the_margin_itself_is_enough() -> None:
    (pair,) = await made(world(lambda text: 4.3 if "accepted" in text else 3.3), minimum_margin=1)
    assert isinstance(pair, Preference)
    assert pair.margin == 1


async def test_the_closest_rejected_is_the_best_that_is_still_a_margin_below() -> None:
    scores: dict[str, float] = {}

    def score(text: str) -> float:
        if "accepted" in text:
            return 5
        return scores.setdefault(text, 4.5 - len(scores) * 1.5)

    (pair,) = await made(world(score), rejected="closest", minimum_margin=1)
    assert isinstance(pair, Preference)
    assert (pair.chosen_score, pair.rejected_score) == (5, 3)


async def test_both_ways_asks_in_the_reverse_order_and_averages() -> None:
    def favours_the_first(request: Request) -> str:
        scores = [5, 3, 3, 1]
        return json.dumps({"answers": [{"number": place, "score": one} for place, one in enumerate(scores, 1)], "best": 1})

    model = FakeModel(lambda request: favours_the_first(request) if request.model == "critic" else f"Reply {request.draw}.")
    (one,) = await made(model, both_ways=True)
    first, second = (shown_answers(request) for request in model.requests if request.model == "critic")
    assert first == second[::-1]
    assert isinstance(one, Dropped)
    assert one.reason == "tie"


async def test_failed_replies_are_missed_and_too_few_drop_the_pair() -> None:
    replies = iter(["One.", RequestRejected("no", reason="content_policy"), "Two."])
    (pair,) = await made(world(by_digest, lambda _: next(replies)), minimum_margin=0.5)
    assert isinstance(pair, Preference)
    (one,) = await made(world(by_digest, lambda _: RequestRejected("no", reason="content_policy")))
    assert isinstance(one, Dropped)
    assert (one.reason, one.detail) == ("provider", "1 of 4 replies: content_policy")
    (empty,) = await made(world(by_digest, lambda _: "  "))
    assert isinstance(empty, Dropped)
    assert (empty.reason, empty.detail) == ("provider", "1 of 4 replies: the others are empty")


async def test_equal_replies_are_no_question_for_the_judge() -> None:
    model = world(by_digest, lambda _: "The accepted answer. ")
    (one,) = await made(model)
    assert isinstance(one, Dropped)
    assert one.reason == "equal"
    assert all(request.model == "writer" for request in model.requests)


async def test_every_accepted_sample_ends_as_a_pair_or_with_a_reason_in_their_order() -> None:
    bad = Outcome(TASK, Sample("bad", accepted().item.messages), (rejected("length", "too_short"),))  # type: ignore[union-attr]
    broken = Outcome(TASK, Malformed("m1", "unreadable_list"))
    bare = Outcome(TASK, Sample("bare", (Message("assistant", "Nobody asked."),)))
    outcomes = [accepted("a"), bad, broken, bare, *(accepted(f"s{number}") for number in range(600))]
    model = world(by_digest)
    results = await made(model, *outcomes, minimum_margin=2)
    assert [one.sample for one in results] == ["a", "bare", *(f"s{number}" for number in range(600))]
    assert {one.reason for one in results if isinstance(one, Dropped)} <= {"tie", "below_margin", "no_answer"}
    assert len({one.id for one in results}) == len(results)


async def test_only_a_few_hundred_samples_are_under_way_at_once() -> None:
    model = world(by_digest)
    model.jitter_seconds = 0.001
    await made(model, *(accepted(f"s{number}") for number in range(600)), n=2)
    assert model.most_in_flight <= 256


async def test_what_ends_the_run_passes_through() -> None:
    with pytest.raises(ServiceStopped):
        await made(world(by_digest, lambda _: ServiceStopped("no key")))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 1}, "must be from 2 to 10"),
        ({"minimum_margin": 0}, "must be above 0"),
        ({"minimum_margin": -1}, "must be above 0"),
        ({"rejected": "random"}, "option 'rejected'"),
    ],
)
def test_wrong_options_name_themselves(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build("pairs", "best_of_n", {"model": "writer"} | options)
