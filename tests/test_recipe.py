from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gen.apportion import largest_remainder
from gen.errors import RecipeError
from gen.parts import build_parts
from gen.recipe import MAX_GOAL, fixed_part, load, parse

GOOD = """\
name: small
models:
  writer: {provider: simulator}
sources:
  topics: [bread, cheese]
strategies:
  - {name: self_instruct, model: writer}
gates:
  - schema
  - {name: length, min_words: 20}
goal: {per_topic: 4}
"""


def broken(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_a_recipe_is_read_with_its_defaults() -> None:
    recipe = parse(GOOD, Path("small.yaml"))
    assert recipe.config.attempts == 3
    assert recipe.config.export.formats == ("chatml",)
    assert [line.name for line in recipe.config.gates] == ["schema", "length"]
    assert recipe.config.models["writer"].max_tokens == 1024


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        pytest.param("goal:", "gaol:", 11, "gaol: unknown key: did you mean 'goal'?", id="unknown key"),
        pytest.param(
            "provider: simulator",
            "provider: simulator, temprature: 1",
            3,
            "models.writer.temprature: unknown key: did you mean 'temperature'?",
            id="nested",
        ),
        pytest.param("per_topic: 4", "per_topic: four", 11, "goal.per_topic: input should be a valid integer", id="wrong type"),
        pytest.param("per_topic: 4", "per_topic: 0", 11, "greater than or equal to 1, got 0", id="out of bounds"),
        pytest.param(
            "{per_topic: 4}",
            "{per_topic: 4, accepted: 9}",
            11,
            "give exactly one of 'accepted' (in all), 'per_topic' and 'per_strategy'",
            id="both goals",
        ),
        pytest.param("name: small", "name: ../small", 1, "use up to 80 letters, digits", id="a name that is a path"),
        pytest.param("name: small\n", "", None, "name: this key is needed", id="missing key"),
        pytest.param("- schema", "- shema", 9, "gates[0]: unknown gate 'shema': did you mean 'schema'?", id="unknown gate"),
        pytest.param(
            "min_words: 20", "min_word: 20", 10, "gates[1].min_word: unknown option 'min_word' of gate 'length'", id="unknown option"
        ),
        pytest.param(
            "min_words: 20", "min_words: many", 10, "option 'min_words' of gate 'length': input should be a valid integer", id="option type"
        ),
        pytest.param("model: writer", "model: critic", 7, "no model 'critic' under models: choose from writer", id="unknown model"),
        pytest.param("[bread, cheese]", "missing.txt", 5, "missing.txt", id="missing file"),
        pytest.param("[bread, cheese]", "[bread, Bread]", 5, "sources.topics", id="a topic twice"),
        pytest.param("goal: {per_topic: 4}", "goal: {per_topic: 4}\ngoal: {per_topic: 5}", 12, "duplicate key", id="key twice"),
        pytest.param("  topics: [bread, cheese]", "  topics: [bread, cheese", 6, "not valid YAML", id="broken YAML"),
        pytest.param(
            "{name: self_instruct, model: writer}", "{name: self_instruct, model: writer, share: -1}", 7, "greater than 0", id="share"
        ),
    ],
)
def test_an_error_names_file_line_key_and_what_would_be_right(old: str, new: str, line: int | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(broken(old, new), encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        build_parts(load(file))
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{file}:{line}: " if line else f"{file}: ")
    assert "\n" not in str(caught.value)


def test_words_that_old_yaml_takes_for_booleans_stay_words() -> None:
    text = broken("- schema", "- {name: near_dup, on: reply}\n  - {name: language, language: no}")
    lines = parse(text, Path("r.yaml")).config.gates
    assert lines[0].options == {"on": "reply"}
    assert lines[1].options == {"language": "no"}


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words", "name: [", "a: &a [*a]"])
def test_what_is_no_recipe_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse(text, Path("r.yaml"))
    assert "\n" not in str(caught.value)


def test_a_missing_recipe_names_those_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "compliance.yaml").write_text(GOOD)
    with pytest.raises(RecipeError, match=r"did you mean 'compliance.yaml'"):
        load(tmp_path / "complience.yaml")


def test_comments_do_not_change_the_hash_and_values_do() -> None:
    recipe = parse(GOOD, Path("r.yaml"))
    assert parse("# hello\n" + GOOD, Path("other.yaml")).hash == recipe.hash
    assert parse(broken("per_topic: 4", "per_topic: 5"), Path("r.yaml")).hash != recipe.hash


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        pytest.param("provider: simulator", "provider: simulator, temperature: 0.3", "models.writer.temperature", id="temperature"),
        pytest.param(
            "provider: simulator", "provider: simulator, simulator: {seed: 4}", "models.writer.simulator.seed", id="simulated seed"
        ),
        pytest.param("name: small", "name: small\nseed: 3", "seed", id="seed"),
    ],
)
def test_what_changes_samples_is_part_of_what_a_run_is_bound_to(old: str, new: str, key: str) -> None:
    before, after = (fixed_part(parse(text, Path("r.yaml")).config) for text in (GOOD, broken(old, new)))
    assert [name for name in after if before.get(name) != after[name]] == [key]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("per_topic: 4", "per_topic: 40", id="goal"),
        pytest.param("- schema", "- schema\n  - refusal", id="gates"),
        pytest.param("provider: simulator", "provider: simulator, requests_per_minute: 60, timeout_seconds: 5", id="rates"),
        pytest.param("provider: simulator", "provider: simulator, simulator: {latency_ms: 5}", id="simulated latency"),
        pytest.param("goal:", "budget: {usd: 1}\ngoal:", id="budget"),
        pytest.param("goal:", "export: {formats: [alpaca]}\ncard: {owner: me}\ngoal:", id="export and card"),
    ],
)
def test_what_cannot_change_samples_may_change_between_runs(old: str, new: str) -> None:
    before, after = (fixed_part(parse(text, Path("r.yaml")).config) for text in (GOOD, broken(old, new)))
    assert before == after


def test_a_goal_is_divided_by_shares_without_losing_one() -> None:
    assert largest_remainder(10, [0.7, 0.3]) == [7, 3]
    assert sum(largest_remainder(17, [1.0] * 5)) == 17
    assert largest_remainder(2, [1.0] * 5) == [1, 1, 0, 0, 0]


def test_every_sequence_gets_its_quota() -> None:
    two = "  - {name: self_instruct, model: writer, share: 0.75}\n  - {name: self_instruct, model: writer, share: 0.25, label: other}"
    text = broken("  - {name: self_instruct, model: writer}", two)
    parts = build_parts(parse(text, Path("r.yaml")))
    assert [(one.title, one.topic, one.quota) for one in parts.sequences] == [
        ("self_instruct", "bread", 3),
        ("other", "bread", 1),
        ("self_instruct", "cheese", 3),
        ("other", "cheese", 1),
    ]


def test_two_uses_of_one_strategy_need_labels() -> None:
    line = "  - {name: self_instruct, model: writer}"
    with pytest.raises(RecipeError, match="'self_instruct' stands here twice: give each use a 'label' of its own"):
        parse(broken(line, f"{line}\n{line}"), Path("r.yaml"))


EXAMPLES = [path for path in sorted((Path(__file__).parents[1] / "examples").glob("*.yaml")) if path.name != "mix.yaml"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_valid_and_needs_no_key(path: Path) -> None:
    recipe = load(path)
    assert {line.provider for line in recipe.config.models.values()} == {"simulator"}
    assert build_parts(recipe).sequences
    assert "(real)" in recipe.text


def test_the_template_of_init_is_valid() -> None:
    path = Path(__file__).parents[1] / "data" / "recipe_template.yaml"
    assert sum(one.quota for one in build_parts(load(path)).sequences) == 30


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param("[a, b]", "[a, 2]", "sources.topics[1]: input should be a valid string, got 2", id="an item of the wrong kind"),
        pytest.param("goal:", "gates: schema\ngoal:", "gates: input should be a list, got 'schema'", id="no list"),
        pytest.param("goal:", "gates: [3]\ngoal:", "gates[0]: input should be a mapping of keys, got 3", id="no mapping"),
        pytest.param("seed: 1", "seed: .nan", "seed: must be a finite number, got nan", id="not a number"),
        pytest.param(
            "{provider: simulator}", "{extra_body: {x: .inf}}", "models.writer.extra_body.x: must be a finite number", id="infinite"
        ),
        pytest.param("share: 1", "share: 1.0e+300", "share: input should be less than or equal to 1000000", id="a share beyond reason"),
        pytest.param(
            "accepted: 2", "accepted: 1" + "0" * 30, "goal.accepted: input should be less than or equal to", id="a goal beyond reason"
        ),
        pytest.param("seed: 1", "seed: 1" + "0" * 30, "seed: input should be less than", id="a seed beyond 64 bits"),
        pytest.param("goal:", "---\ngoal:", "expected a single document in the stream, but found another document", id="two documents"),
        pytest.param(
            "seed: 1", "seed: 1\ncard: {owner: " + "[" * 2000 + "]" * 2000 + "}", "brackets nested too deep", id="nested without end"
        ),
        pytest.param("[a, b]", "&a [*a]", "sources.topics[0]: input should be a valid string", id="a list within itself"),
        pytest.param("[a, b]", "&a [[x, x], *a]", "sources.topics[0]: input should be a valid string", id="a list within a list"),
    ],
)
def test_odd_values_are_refused_in_one_line_that_names_the_key(old: str, new: str, message: str) -> None:
    text = """\
name: odd
seed: 1
models: {writer: {provider: simulator}}
sources: {topics: [a, b]}
strategies: [{name: self_instruct, model: writer, share: 1}]
goal: {accepted: 2}
"""
    assert old in text
    with pytest.raises(RecipeError) as caught:
        parse(text.replace(old, new), Path("odd.yaml"))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_anchors_that_multiply_are_stopped_early() -> None:
    lines = ["x0: &x0 [a, a, a, a, a, a, a, a, a, a]"]
    lines += [f"x{step}: &x{step} [{', '.join([f'*x{step - 1}'] * 10)}]" for step in range(1, 12)]
    with pytest.raises(RecipeError, match="more than 200000 values: is an anchor repeated"):
        parse("\n".join(lines), Path("bomb.yaml"))


def test_anchors_and_merges_are_values_like_any_other() -> None:
    text = """\
name: merged
models:
  writer: &line {provider: simulator, max_tokens: 99}
  critic: {<<: *line, max_concurrency: 3}
strategies: [{name: self_instruct, model: writer}]
goal: {accepted: 2}
"""
    config = parse(text, Path("merged.yaml")).config
    assert (config.models["critic"].max_tokens, config.models["critic"].max_concurrency) == (99, 3)
    with pytest.raises(RecipeError, match=r"merged\.yaml:4: models\.critic\.max_concurrency"):
        parse(text.replace("max_concurrency: 3", "max_concurrency: 0"), Path("merged.yaml"))


@settings(max_examples=200, deadline=None)
@given(
    total=st.integers(0, MAX_GOAL),
    weights=st.lists(st.one_of(st.integers(1, 1000), st.floats(0.001, 1_000_000)), min_size=1, max_size=30),
)
def test_shares_add_up_and_none_is_off_by_one_or_more(total: int, weights: list[float]) -> None:
    shares = largest_remainder(total, weights)
    assert sum(shares) == total
    whole = sum(weights)
    assert all(abs(share - total * weight / whole) < 1 + 1e-6 for share, weight in zip(shares, weights, strict=True))


@given(total=st.integers(0, 10_000), count=st.integers(1, 50))
def test_equal_shares_differ_by_one_at_most_and_the_first_come_first(total: int, count: int) -> None:
    shares = largest_remainder(total, [1.0] * count)
    assert shares == sorted(shares, reverse=True)
    assert shares[0] - shares[-1] <= 1
