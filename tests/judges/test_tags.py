from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeModel

from gen.candidates import accepted_rows
from gen.errors import RecipeError
from gen.gates.score import ScoreGate
from gen.judges.tags import Tags
from gen.ledger import Ledger
from gen.plugins import build
from gen.types import Message, Outcome, Sample, Score, Task, freeze

SAMPLE = Sample(
    "s1", (Message("system", "Be brief."), Message("user", "Why is the sky blue?"), Message("assistant", "Rayleigh scattering."))
)


def said(*categories: Any, difficulty: Any = 3) -> str:
    return json.dumps({"difficulty": {"reason": "one idea", "score": difficulty}, "categories": list(categories)})


async def test_difficulty_is_a_score_and_categories_stand_in_the_notes() -> None:
    scored = await Tags("critic").score(SAMPLE, FakeModel(lambda _: said("Physics", "physics ", "Explanation")))
    assert scored.scores == {"tags": Score(3.0, "one idea"), "tags.difficulty": Score(3.0, "one idea")}
    assert scored.provenance.notes["tags.category"] == "physics"
    assert list(scored.provenance.notes["tags.categories"]) == ["physics", "explanation"]
    assert ScoreGate("tags", minimum=2, maximum=4, aspect="difficulty").check(scored).keep


async def test_a_listed_category_keeps_the_recipes_spelling_and_another_is_no_opinion() -> None:
    judge = Tags("critic", categories={"Physics": "forces and light", "Law": ""})
    model = FakeModel(lambda _: said("PHYSICS"))
    scored = await judge.score(SAMPLE, model)
    assert scored.provenance.notes["tags.category"] == "Physics"
    assert "* Physics: forces and light\n* Law\n" in model.requests[0].messages[-1].content
    schema = json.loads(model.requests[0].response_schema or "")
    assert schema["properties"]["categories"]["items"]["enum"] == ["Physics", "Law"]
    wrong = await judge.score(SAMPLE, FakeModel(lambda _: said("Sport")))
    assert wrong.scores["tags"] == Score(None, "unreadable opinion: a category is not one of those listed")
    assert "tags.category" not in wrong.provenance.notes


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (said("a", difficulty=6), "difficulty has no score from 1 to 5"),
        (said(), "'categories' must be a list of names"),
        (said(7), "'categories' must be a list of names"),
        (said("x" * 41), "a category is empty or longer than 40 characters"),
        (said("\x00 \u202e"), "a category is empty or longer than 40 characters"),
    ],
)
async def test_tags_that_cannot_be_read_are_no_score(reply: str, problem: str) -> None:
    scored = await Tags("critic", tries=0).score(SAMPLE, FakeModel(lambda _: reply))
    assert scored.scores["tags"] == Score(None, f"unreadable opinion: {problem}")


async def test_the_answer_may_be_left_out() -> None:
    model = FakeModel(lambda _: said("physics"))
    await Tags("critic", with_answer=False).score(SAMPLE, model)
    assert "Rayleigh" not in model.requests[0].messages[-1].content
    assert "Be brief." in model.requests[0].messages[-1].content


async def test_a_label_names_scores_and_notes() -> None:
    scored = await Tags("critic", name="field").score(SAMPLE, FakeModel(lambda _: said("physics", "optics", "light", "air")))
    assert sorted(scored.scores) == ["field", "field.difficulty"]
    assert list(scored.provenance.notes["field.categories"]) == ["physics", "optics", "light"]


async def test_tags_survive_the_ledger_and_reach_accepted_jsonl(tmp_path: Path) -> None:
    scored = await Tags("critic").score(SAMPLE, FakeModel(lambda _: said("physics")))
    outcome = Outcome(Task("self_instruct", "t", 0, 0, 1), scored)
    ledger = Ledger(tmp_path / "run.db")
    ledger.write([(0, outcome)], [])
    (stored,) = ledger.outcomes()
    ledger.close()
    assert stored.item.provenance.notes["tags.category"] == "physics"
    (row,) = accepted_rows([stored])
    assert row["provenance"]["notes"]["tags.categories"] == ["physics"]
    assert row["scores"]["tags.difficulty"] == 3.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"categories": ["a", "A "]}, "twice"),
        ({"categories": [""]}, "is no category"),
        ({"categories": ["a\nb"]}, "is no category"),
        ({"categories": [str(place) for place in range(101)]}, "at most 100"),
        ({"max_categories": 0}, "from 1 to 10"),
    ],
)
def test_wrong_options_name_themselves(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build("judges", "tags", freeze({"model": "critic"} | options))
