from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gen.errors import RecipeError
from gen.parts import MAX_SLOTS, Parts, build_parts, plan_of
from gen.recipe import Recipe, parse
from gen.types import SequenceEnd

RECIPE = """\
name: small
seed: 3
models:
  writer: {provider: simulator}
  critic: {provider: simulator, model: simulated-critic}
sources: {topics: [bread, cheese, wine]}
strategies:
  - {name: self_instruct, model: writer, share: 2}
  - {name: persona, model: writer, label: people}
judges: [{name: rubric, model: critic}]
gates:
  - schema
  - {name: length, min_words: 5, mode: warn}
  - {name: score, judge: rubric, minimum: 3}
goal: {accepted: 10}
"""


def recipe_of(old: str = "", new: str = "") -> Recipe:
    assert old in RECIPE
    return parse(RECIPE.replace(old, new) if old else RECIPE, Path("small.yaml"))


def parts_of(old: str = "", new: str = "") -> Parts:
    return build_parts(recipe_of(old, new))


def quotas(parts: Parts) -> dict[tuple[str, str], int]:
    return {(one.title, one.topic): one.quota for one in parts.sequences}


def test_a_goal_in_all_is_divided_by_topic_and_share() -> None:
    found = quotas(parts_of())
    assert sum(found.values()) == 10
    assert [found["self_instruct", topic] for topic in ("bread", "cheese", "wine")] == [3, 2, 2]
    assert [found["people", topic] for topic in ("bread", "cheese", "wine")] == [1, 1, 1]


def test_a_goal_per_topic_gives_a_new_topic_its_own_and_leaves_the_others() -> None:
    before = quotas(parts_of("{accepted: 10}", "{per_topic: 7}"))
    after = quotas(build_parts(parse(RECIPE.replace("{accepted: 10}", "{per_topic: 7}").replace("wine]", "wine, tea]"), Path("x.yaml"))))
    assert before.items() <= after.items()
    assert sum(after.values()) - sum(before.values()) == 7


def test_without_topics_each_strategy_has_one_sequence() -> None:
    assert set(quotas(parts_of("sources: {topics: [bread, cheese, wine]}\n", ""))) == {("self_instruct", ""), ("people", "")}


def test_a_goal_smaller_than_the_topics_leaves_some_with_nothing() -> None:
    found = quotas(parts_of("{accepted: 10}", "{accepted: 1}"))
    assert sorted(found.values()) == [0, 0, 0, 0, 0, 1]


def test_gates_keep_their_order_mode_and_place_after_the_judges() -> None:
    assert [(one.name, one.warn, one.scores) for one in parts_of().gates] == [
        ("schema", False, False),
        ("length", True, False),
        ("score", False, True),
    ]


def test_the_prompts_it_may_render_are_named() -> None:
    names = parts_of().prompts
    assert "self_instruct/answer" in names
    assert "judges/rubric" in names


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param("model: writer, label", "model: wirter, label", "small.yaml:9: strategies[1].model: no model 'wirter'", id="model"),
        pytest.param(
            "judge: rubric", "judge: rubrik", "gates[2].judge: no judge 'rubrik' under judges: did you mean 'rubric'?", id="judge"
        ),
        pytest.param("mode: warn", "mode: quiet", "small.yaml:13: gates[1].mode: choose from reject, warn; got 'quiet'", id="mode"),
        pytest.param(
            "{accepted: 10}", "{accepted: 10}\nexport: {formats: [packed]}", "export.formats[0]: unknown format 'packed'", id="format"
        ),
        pytest.param("name: persona", "name: persnoa", "unknown strategy 'persnoa': did you mean 'persona'?", id="strategy"),
        pytest.param(", label: people", ", labell: people", "unknown option 'labell'", id="option"),
        pytest.param("[bread, cheese, wine]", "nowhere.txt", "small.yaml:6: sources.topics: ", id="file"),
        pytest.param("[bread, cheese, wine]", "[]", "sources.topics: names no topic: write at least one", id="no topics"),
        pytest.param("name: persona", "name: magpie", "strategies[1]", id="magpie without a raw prompt's model"),
    ],
)
def test_what_cannot_be_built_names_its_place(old: str, new: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parts_of(old, new)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def plan(ends: list[SequenceEnd], old: str = "", new: str = "") -> Any:
    recipe = recipe_of(old, new)
    return plan_of(recipe, build_parts(recipe), before=ends)


def test_a_sequence_takes_up_the_goals_it_was_planned_for() -> None:
    made = plan([SequenceEnd("people", "wine", 3, 3, 5, "goal_reached", turns=4, goals=((2, 3), (3, 4)))])
    earlier = {(one.title, one.topic): one.earlier for one in made.sequences}
    assert earlier["people", "wine"] == ((2, 3), (3, 4))
    assert earlier["people", "bread"] == ()


def test_requests_in_flight_are_bounded_by_the_models_together() -> None:
    assert plan([]).slots == 64
    assert plan([], "simulated-critic", "simulated-critic, max_concurrency: 4000").slots == MAX_SLOTS


def test_caps_come_from_the_goal() -> None:
    made = plan([], "{accepted: 10}", "{accepted: 10, max_candidates: 50, max_minutes: 2}")
    assert (made.max_candidates, made.max_seconds) == (50, 120)


def test_a_goal_per_strategy_is_spread_over_the_topics() -> None:
    parts = parts_of("{accepted: 10}", "{per_strategy: {self_instruct: 10, people: 2}}")
    of = [(one.title, one.quota) for one in parts.sequences]
    assert sorted(quota for title, quota in of if title == "self_instruct") == [3, 3, 4]
    assert sorted(quota for title, quota in of if title == "people") == [0, 1, 1]


@pytest.mark.parametrize(
    ("goal", "message"),
    [
        pytest.param(
            "{self_instruct: 10}", "goal.per_strategy says nothing of 'people': give every strategy a number, 0 for none", id="left out"
        ),
        pytest.param("{self_instruct: 1, people: 1, x: 2}", "unknown strategy 'x': choose from self_instruct, people", id="unknown"),
        pytest.param("{self_instruct: 0, people: 0}", "'per_strategy' asks for nothing", id="nothing"),
        pytest.param("{self_instruct: -1, people: 0}", "greater than or equal to 0", id="negative"),
    ],
)
def test_a_wrong_goal_per_strategy_says_what_would_be_right(goal: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe_of("{accepted: 10}", f"{{per_strategy: {goal}}}")
    assert message in str(caught.value)


def test_a_cap_of_a_strategy_is_divided_by_its_topics() -> None:
    parts = parts_of("{accepted: 10}", "{accepted: 10, max_candidates_per_strategy: {self_instruct: 20}}")
    caps = {(one.title, one.topic): one.max_candidates for one in parts.sequences}
    assert [caps["self_instruct", topic] for topic in ("bread", "cheese", "wine")] == [8, 6, 6]
    assert caps["people", "bread"] is None
    with pytest.raises(
        RecipeError, match=r"goal.max_candidates_per_strategy: unknown strategy 'persona': choose from self_instruct, people"
    ):
        parts_of("{accepted: 10}", "{accepted: 10, max_candidates_per_strategy: {persona: 20}}")


def test_a_language_for_a_topic_that_is_none_is_an_error() -> None:
    def wanted(topic: str) -> Parts:
        return parts_of("- schema", f'- {{name: language, by_topic: {{"{topic}": de}}}}')

    with pytest.raises(
        RecipeError, match=r"small.yaml:12: gates\[0\].by_topic: no topic fits 'chese': did you mean 'cheese'\? choose from"
    ):
        wanted("chese")
    assert wanted("Che*").gates[0].name == "language"
