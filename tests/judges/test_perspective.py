from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeModel

from gen.commands.check import judge_notes
from gen.errors import RecipeError, RequestRejected
from gen.gates.score import ScoreGate
from gen.judges.perspective import Perspective
from gen.parts import build_parts
from gen.plugins import build
from gen.recipe import parse
from gen.types import Message, Sample, Score, freeze

SAMPLE = Sample("s1", (Message("system", "Be kind."), Message("user", "Hello?"), Message("assistant", "Go away.")))
TWO = ("TOXICITY", "THREAT")


def values(**scores: Any) -> str:
    return json.dumps({"TOXICITY": 0.1, "THREAT": 0.2} | scores)


async def test_each_attribute_keeps_its_highest_value_over_the_turns() -> None:
    model = FakeModel(lambda request: values(TOXICITY=0.91234567) if "away" in request.messages[-1].content else values(THREAT=0.3))
    scored = await Perspective("p", attributes=TWO).score(SAMPLE, model)
    assert {name: score.value for name, score in scored.scores.items()} == {
        "perspective": 0.9123,
        "perspective.toxicity": 0.9123,
        "perspective.threat": 0.3,
    }
    assert scored.scores["perspective"].reason == "toxicity"
    assert [request.messages[-1].content for request in model.requests] == ["Hello?", "Go away."]
    assert list(json.loads(model.requests[0].response_schema or "")["properties"]) == sorted(TWO)
    assert ScoreGate("perspective", maximum=0.5).check(scored).reason == "above_maximum"


async def test_one_turn_alone_may_be_looked_at() -> None:
    model = FakeModel(lambda _: values())
    await Perspective("p", attributes=TWO, on="response").score(SAMPLE, model)
    assert [request.messages[-1].content for request in model.requests] == ["Go away."]


@pytest.mark.parametrize("text", ['{"TOXICITY": 0.1}', values(THREAT=1.5), values(THREAT=True), values(THREAT="low"), "[]"])
async def test_a_missing_value_is_no_score(text: str) -> None:
    scored = await Perspective("p", attributes=TWO).score(SAMPLE, FakeModel(lambda _: text))
    assert scored.scores["perspective"].value is None
    assert scored.scores["perspective"].reason.startswith("unreadable opinion: no value from 0 to 1 for T")


async def test_a_text_that_the_api_does_not_take_is_no_score() -> None:
    scored = await Perspective("p").score(SAMPLE, FakeModel(lambda _: RequestRejected("x", reason="context_too_long")))
    assert scored.scores["perspective"] == Score(None, "no opinion: the call failed (context_too_long)")


@pytest.mark.parametrize("attributes", [[], ["toxicity"], ["TOXICITY?"]])
def test_attributes_are_the_apis_own_names(attributes: list[str]) -> None:
    with pytest.raises(RecipeError, match="attribute"):
        build("judges", "perspective", freeze({"model": "p", "attributes": attributes}))


RECIPE = """\
name: small
models:
  writer: {{provider: simulator}}
  p: {{provider: {provider}}}
strategies: [{{name: self_instruct, model: writer}}]
judges: [{{name: perspective, model: {model}}}]
goal: {{accepted: 2}}
"""


def test_check_says_that_the_api_closes(tmp_path: Path) -> None:
    parts = build_parts(parse(RECIPE.format(provider="perspective", model="p"), tmp_path / "r.yaml"))
    (note,) = judge_notes(parts)
    assert note.startswith("perspective: Google closes the Perspective API at the end of 2026")


def test_another_kind_of_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="'p' is a line of provider 'anthropic', which does not answer this: take one of perspective"):
        build_parts(parse(RECIPE.format(provider="anthropic", model="p"), tmp_path / "r.yaml"))
