from __future__ import annotations

import pytest

from gen.errors import RecipeError
from gen.gates.score import ScoreGate
from gen.plugins import build
from gen.second_chance import worth_another
from gen.types import Message, Sample, Score


def scored(**scores: float | None) -> Sample:
    given = {
        name.replace("__", "."): Score(value, "unreadable opinion: no JSON" if value is None else "so") for name, value in scores.items()
    }
    return Sample("s1", (Message("user", "Why?"), Message("assistant", "So.")), given)


def test_a_score_at_the_minimum_is_kept() -> None:
    assert ScoreGate("rubric", minimum=4).check(scored(rubric=4.0)).keep


def test_a_score_below_the_minimum_is_rejected_with_both_numbers() -> None:
    verdict = ScoreGate("rubric", minimum=4).check(scored(rubric=3.25))
    assert (verdict.gate, verdict.reason, verdict.detail) == ("score", "below_minimum", "rubric 3.25, minimum 4")


def test_the_detail_names_the_lowest_aspect() -> None:
    verdict = ScoreGate("rubric", minimum=4).check(scored(rubric=3.5, rubric__accuracy=5.0, rubric__format=2.0))
    assert verdict.detail == "rubric 3.5, minimum 4; lowest: format 2"


def test_one_aspect_can_decide() -> None:
    sample = scored(rubric=4.5, rubric__harm=2.0)
    assert ScoreGate("rubric", minimum=4).check(sample).keep
    verdict = ScoreGate("rubric", minimum=3, aspect="harm").check(sample)
    assert (verdict.reason, verdict.detail) == ("below_minimum", "rubric.harm 2, minimum 3")


def test_a_score_above_the_maximum_is_rejected_and_never_asked_for_again() -> None:
    verdict = ScoreGate("moderation", maximum=0.5).check(scored(moderation=0.93, moderation__violence=0.93, moderation__hate=0.1))
    assert (verdict.reason, verdict.detail) == ("above_maximum", "moderation 0.93, maximum 0.5; highest: violence 0.93")
    assert not worth_another(verdict)
    assert worth_another(ScoreGate("rubric", minimum=4).check(scored(rubric=3.0)))


def test_an_unreadable_opinion_rejects_with_its_reason() -> None:
    verdict = ScoreGate("rubric", minimum=1).check(scored(rubric=None))
    assert (verdict.reason, verdict.detail) == ("no_score", "unreadable opinion: no JSON")
    assert ScoreGate("rubric", minimum=1, aspect="harm").check(scored(rubric=None)).detail == "unreadable opinion: no JSON"


def test_a_sample_that_no_judge_saw_is_rejected() -> None:
    verdict = ScoreGate("rubric", minimum=1).check(scored())
    assert (verdict.reason, verdict.detail) == ("no_score", "no score of 'rubric' on record")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"judge": "rubric"}, "give a 'minimum'"),
        ({"judge": "rubric", "minimum": 4, "maximum": 2}, "must not be above the maximum 2"),
        ({"minimum": 4}, "needs the option 'judge'"),
    ],
)
def test_wrong_bounds_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build("gates", "score", options)
