from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import cycle

import pytest
from fakes import FakeModel

from gen.errors import ProviderError, Unavailable
from gen.judges import _final_answer
from gen.judges.agreement import Agreement
from gen.types import Generate, Message, Request, Response, Sample, Score

ASK = (Message("system", "Be brief."), Message("user", "What is 6 × 7?"))


def sample(answer: str) -> Sample:
    return Sample("s1", (*ASK, Message("assistant", answer)))


def saying(*texts: str | ProviderError) -> Callable[[Request], str | ProviderError]:
    """Answers in turn."""
    turn = cycle(texts)
    return lambda _: next(turn)


async def test_the_share_of_equal_final_answers_is_the_score() -> None:
    model = FakeModel(saying("So the answer is 42.", "#### 41", r"Thus \boxed{42.0}", "I do not know what to say about this, sorry."))
    scored = await Agreement("writer").score(sample("6 × 7 = 42\n#### 42"), model)
    assert scored.scores["agreement"] == Score(0.5, "2 of 4 further answers end in '42'")
    assert len(scored.provenance.requests) == 4


async def test_the_same_conversation_is_asked_again_with_draws_of_its_own() -> None:
    model = FakeModel(saying("#### 42"))
    await Agreement("writer", n=3).score(sample("#### 42"), model)
    assert all(request.messages == ASK for request in model.requests)
    assert len({request.draw for request in model.requests}) == 3
    assert {request.sampling.temperature for request in model.requests} == {0.7}
    await Agreement("writer", n=3).score(sample("#### 42"), model)
    assert model.requests[:3] == model.requests[3:]


async def test_texts_without_a_final_answer_are_compared_by_likeness() -> None:
    own = "Soak the beans over night, then cook them gently for an hour with a bay leaf."
    same = await Agreement("writer", n=2).score(sample(own), FakeModel(saying(own)))
    other = await Agreement("writer", n=2).score(sample(own), FakeModel(saying("Buy a tin and open it.")))
    assert same.scores["agreement"] == Score(1.0, "mean ROUGE-L with 2 further answers")
    assert other.scores["agreement"].value is not None
    assert other.scores["agreement"].value < 0.4


async def test_a_models_verdict_may_decide() -> None:
    verdicts = {"answers": [{"number": 2, "reason": "so", "agrees": True}, {"number": 1, "reason": "so", "agrees": False}]}
    model = FakeModel(lambda request: json.dumps(verdicts) if request.model == "critic" else "Some text.")
    judge = Agreement("writer", n=2, by="model", verdict_model="critic")
    assert judge.models == ("writer", "critic")
    scored = await judge.score(sample("Some other text."), model)
    assert scored.scores["agreement"] == Score(0.5, "1 of 2 further answers say the same")
    assert "Be brief." in model.requests[-1].messages[-1].content
    assert len(scored.provenance.requests) == 3


@pytest.mark.parametrize(
    ("replies", "value", "reason"),
    [
        pytest.param(("#### 42", "#### 42", Unavailable("x"), "#### 42"), 1.0, "3 of 3 further answers end in '42'", id="one call fails"),
        pytest.param(
            ("#### 42", Unavailable("x")), None, "no opinion: only 2 of 4 further answers came back whole", id="half of the calls fail"
        ),
        pytest.param(("", " "), None, "no opinion: only 0 of 4 further answers came back whole", id="empty replies"),
    ],
)
async def test_answers_that_did_not_come_back_are_not_counted(
    replies: Sequence[str | ProviderError], value: float | None, reason: str
) -> None:
    scored = await Agreement("writer").score(sample("#### 42"), FakeModel(saying(*replies)))
    assert scored.scores["agreement"] == Score(value, reason)


def cut_off() -> Generate:
    async def generate(_: Request) -> Response:
        return Response("6 × 7 is", finish_reason="length", key="k")

    return generate


async def test_a_reply_that_was_cut_off_says_nothing_but_is_paid() -> None:
    scored = await Agreement("writer").score(sample("#### 42"), cut_off())
    assert scored.scores["agreement"].value is None
    assert len(scored.provenance.requests) == 4


async def test_by_answer_alone_a_text_without_one_is_no_score() -> None:
    model = FakeModel(saying("#### 42"))
    scored = await Agreement("writer", by="answer").score(sample("It all depends on what one wants to know about it."), model)
    assert scored.scores["agreement"] == Score(None, "no opinion: the answer has no marked final answer")
    assert model.requests == []


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("a\n#### 1,250", "1,250"),
        ("#### 1\n#### 2", "2"),
        (r"so \boxed{\frac{1}{3}}", r"\frac{1}{3}"),
        ("The final answer is: **Paris**.", "Paris"),
        ("Answer: (C)", "(C)"),
        ("Forty-two.", "Forty-two"),
        ("The answer is not easy to give because a great many things have to be weighed", None),
        ("There are many ways to see this and none of them is right.", None),
        ("", None),
    ],
)
def test_the_final_answer_is_the_last_one_marked(text: str, answer: str | None) -> None:
    found = _final_answer.final_answer(text)
    assert found == answer if answer is not None or "answer is" not in text else found is not None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("42", "42.000", True),
        ("-3", "3", False),
        (r"\frac{1}{2}", "0.5", True),
        ("50 %", "50 percent", True),
        ("(A)", "A. Rome", True),
        ("(A)", "(B)", False),
        ("1/0", "1", True),
        ("from 3 to 4", "From 3 to 4.", True),
        ("three", "3", False),
    ],
)
def test_final_answers_are_compared_as_numbers_choices_or_words(one: str, other: str, same: bool) -> None:
    assert _final_answer.same_answer(one, other) is same
