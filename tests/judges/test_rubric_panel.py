"""A rubric judged by several models: one number, how far they lie apart, and what becomes of opinions that are missing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeModel

from gen.errors import RecipeError, RequestRejected
from gen.gates.score import ScoreGate
from gen.judges.rubric import Rubric
from gen.parts import build_parts
from gen.plugins import build
from gen.recipe import parse
from gen.types import Message, Request, Sample, Score, freeze

SAMPLE = Sample("s1", (Message("user", "How long are invoices kept?"), Message("assistant", "Ten years.")))
TWO = ("accuracy", "reasoning")


def panel(marks: Mapping[str, tuple[int, int] | None]) -> FakeModel:
    """Each model's marks for accuracy and reasoning; None answers in prose."""

    def answer(request: Request) -> str:
        own = marks[request.model]
        if own is None:
            return "Good!"
        return json.dumps({name: {"reason": f"{request.model} says", "score": mark} for name, mark in zip(TWO, own, strict=True)})

    return FakeModel(answer)


@pytest.mark.parametrize(
    ("combine", "accuracy", "reasoning"), [("mean", 3.3333, 4.0), ("median", 4.0, 4.0), ("minimum", 1.0, 3.0)], ids=str
)
async def test_each_aspect_is_the_panels_number(combine: str, accuracy: float, reasoning: float) -> None:
    judge = build("judges", "rubric", freeze({"models": ["a", "b", "c"], "combine": combine, "aspects": TWO}))
    scored = await judge.score(SAMPLE, panel({"a": (5, 4), "b": (4, 5), "c": (1, 3)}))
    assert scored.scores["rubric.accuracy"] == Score(accuracy, "a 5: a says; b 4: b says; c 1: c says")
    assert scored.scores["rubric.reasoning"].value == reasoning
    assert scored.scores["rubric"].value == round((accuracy + reasoning) / 2, 4)
    assert scored.scores["rubric"].reason == f"mean of accuracy, reasoning; {combine} of a, b, c"


async def test_how_far_the_models_lie_apart_can_be_gated() -> None:
    judge = Rubric(models=("a", "b"), aspects=TWO)
    scored = await judge.score(SAMPLE, panel({"a": (5, 4), "b": (2, 5)}))
    assert scored.scores["rubric.spread"] == Score(3.0, "accuracy")
    verdict = ScoreGate("rubric", maximum=2, aspect="spread").check(scored)
    assert (verdict.reason, verdict.detail) == ("above_maximum", "rubric.spread 3, maximum 2")
    assert ScoreGate("rubric", minimum=5).check(scored).detail == "rubric 4, minimum 5; lowest: accuracy 3.5"


async def test_each_models_numbers_stand_in_the_notes_and_all_requests_count() -> None:
    scored = await Rubric(models=("a", "b"), aspects=TWO).score(SAMPLE, panel({"a": (5, 4), "b": (2, 5)}))
    assert {model: dict(marks) for model, marks in scored.provenance.notes["rubric"].items()} == {
        "a": {"accuracy": 5.0, "reasoning": 4.0},
        "b": {"accuracy": 2.0, "reasoning": 5.0},
    }
    assert len(scored.provenance.requests) == 2


async def test_more_than_half_of_the_opinions_speak_for_the_panel() -> None:
    judge = Rubric(models=("a", "b", "c"), aspects=TWO, tries=0)
    scored = await judge.score(SAMPLE, panel({"a": (5, 4), "b": None, "c": (3, 4)}))
    assert scored.scores["rubric"].value == 4
    assert scored.scores["rubric"].reason.endswith("mean of a, c; b: unreadable opinion: the reply is no JSON object")
    short = await judge.score(SAMPLE, panel({"a": (5, 4), "b": None, "c": None}))
    assert short.scores == {"rubric": Score(None, "1 of 3 opinions; b: unreadable opinion: the reply is no JSON object")}
    assert len(short.provenance.requests) == 3


async def test_one_model_gives_no_spread_and_no_notes() -> None:
    scored = await Rubric(models=("a",), aspects=TWO).score(SAMPLE, panel({"a": (5, 4)}))
    assert sorted(scored.scores) == ["rubric", "rubric.accuracy", "rubric.reasoning"]
    assert "rubric" not in scored.provenance.notes


async def test_reasoning_has_a_wording_of_its_own_and_is_not_asked_unless_named() -> None:
    model = panel({"a": (5, 4)})
    await Rubric("a", aspects=TWO).score(SAMPLE, model)
    assert "reasoning: does each step follow" in model.requests[0].messages[-1].content
    assert "reasoning" not in Rubric("a").asked


def comparing(answers: Mapping[str, tuple[float, ...] | None]) -> FakeModel:
    def answer(request: Request) -> Any:
        own = answers[request.model]
        if own is None:
            return RequestRejected("x", reason="bad_request")
        return json.dumps({"answers": [{"number": place, "reason": "so", "score": score} for place, score in enumerate(own, 1)], "best": 0})

    return FakeModel(answer)


async def test_several_models_compare_answers_together() -> None:
    judge = Rubric(models=("a", "b"), combine="minimum")
    found = await judge.compare(SAMPLE.messages[:1], ["x", "y"], comparing({"a": (5, 2), "b": (4, 3)}), about="s1")
    assert found.value == (4.0, 2.0)
    assert len(found.requests) == 2
    missing = await judge.compare(SAMPLE.messages[:1], ["x", "y"], comparing({"a": (5, 2), "b": None}), about="s1")
    assert (missing.value, missing.problem) == (None, "no opinion: the call failed (bad_request)")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "name one `model`, or several"),
        ({"model": "a", "models": ["b"]}, "name one `model`, or several"),
        ({"models": ["a", "a"]}, "stands here twice"),
        ({"models": list("abcdefghij")}, "at most 9 models"),
        ({"model": "a", "combine": "best"}, "'mean', 'median' or 'minimum'"),
        ({"model": "a", "aspects": {"spread": "how wide?"}}, "no name of an aspect"),
    ],
)
def test_wrong_options_name_themselves(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build("judges", "rubric", freeze(options))


RECIPE = """\
name: small
models: {{a: {{provider: simulator}}, b: {{provider: simulator}}}}
strategies: [{{name: self_instruct, model: a}}]
judges: [{{name: rubric, models: {models}}}]
gates: [{{name: score, judge: rubric, aspect: spread, maximum: 2}}]
goal: {{accepted: 2}}
"""


def test_a_gate_on_the_spread_needs_several_models(tmp_path: Path) -> None:
    build_parts(parse(RECIPE.format(models="[a, b]"), tmp_path / "r.yaml"))
    with pytest.raises(RecipeError, match="no aspect 'spread'"):
        build_parts(parse(RECIPE.format(models="[a]"), tmp_path / "r.yaml"))
    with pytest.raises(RecipeError, match="no model 'c' under models"):
        build_parts(parse(RECIPE.format(models="[a, c]"), tmp_path / "r.yaml"))
