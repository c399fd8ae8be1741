"""`sluice check`: what is wrong is named with its place before anything is sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gen.commands import call
from gen.commands.check import surplus_notes
from gen.commands.check_ping import only_raw
from gen.parts import build_parts
from gen.recipe import load


def recipe_file(folder: Path, models: dict[str, dict[str, Any]], **more: Any) -> Path:
    """A recipe of one strategy per model, each model on lines of its own."""
    lines = ["name: small", "models:"]
    for name, line in models.items():
        lines.append(f"  {name}:")
        lines += [f"    {key}: {json.dumps(value)}" for key, value in line.items()]
    lines.append("strategies:")
    lines += [f"  - {{name: self_instruct, label: use-{name}, model: {name}, instructions_per_call: 3}}" for name in models]
    settings = {"sources": {"topics": ["GDPR data retention"]}, "goal": {"accepted": 4}} | more
    lines += [f"{key}: {json.dumps(value)}" for key, value in settings.items()]
    path = folder / "recipe.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_valid_recipe_is_summed_up_and_its_prompts_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["check", str(recipe_file(tmp_path, {"writer": {"provider": "simulator"}}))]) == 0
    shown = capsys.readouterr().out
    assert "--- use-writer: use-writer.instruct, to the model 'writer' ---" in shown
    assert "is valid" in shown


def test_a_missing_key_is_told_with_its_variable_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = recipe_file(tmp_path, {"writer": {"provider": "openai", "model": "gpt-4.1-mini"}})
    assert call(["check", str(path), "--no-prompts"]) == 2
    assert capsys.readouterr().err == (
        f"sluice: {path}:3: models.writer.api_key_env: the environment variable OPENAI_API_KEY is not set; set it to the API key, "
        "or name another variable with `api_key_env`\n"
    )


def test_a_missing_variable_that_the_line_names_is_told_at_its_own_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = {
        "writer": {"provider": "simulator"},
        "critic": {"provider": "anthropic", "model": "claude-haiku-4-5", "api_key_env": "CRITIC"},
    }
    path = recipe_file(tmp_path, models)
    assert call(["check", str(path), "--no-prompts"]) == 2
    assert capsys.readouterr().err.startswith(f"sluice: {path}:8: models.critic.api_key_env: the environment variable CRITIC is not set")


def test_a_model_name_with_dots_keeps_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = {"gpt-4": {"provider": "simulator"}, "gpt-4.1": {"provider": "openai", "model": "m", "base_url": "nowhere"}}
    path = recipe_file(tmp_path, models)
    assert call(["check", str(path), "--no-prompts"]) == 2
    assert capsys.readouterr().err.startswith(f"sluice: {path}:8: models.gpt-4.1.base_url: not an address")


def test_a_simulator_option_of_a_model_with_dots_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = recipe_file(tmp_path, {"sim.1": {"provider": "simulator", "simulator": {"faults": {"reset": 2}}}})
    assert call(["check", str(path), "--no-prompts"]) == 2
    assert f"{path}:5: models.sim.1.simulator.faults.reset: must be from 0 to 1" in capsys.readouterr().err


def test_the_prompts_of_a_moderation_judge_are_shown_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = {"writer": {"provider": "simulator"}}
    path = recipe_file(tmp_path, models, judges=[{"name": "moderation", "model": "guard"}])
    path.write_text(path.read_text().replace("models:\n", "models:\n  guard: {provider: simulator, model: omni-moderation-latest}\n", 1))
    assert call(["check", str(path), "--json"]) == 0
    assert "guard" in {prompt["model"] for prompt in json.loads(capsys.readouterr().out)["prompts"]}


PRICED = {"provider": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1", "price": {"input": 1, "output": 2}}
HOME_MADE = {"provider": "openai", "model": "home-made", "base_url": "http://127.0.0.1:9/v1"}


def test_an_estimate_tells_calls_tokens_cost_and_budget(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = recipe_file(tmp_path, {"writer": PRICED}, budget={"calls": 3, "tokens": 9_000_000})
    assert call(["check", str(path), "--estimate"]) == 0
    shown = capsys.readouterr().out
    assert "estimate: 4 accepted take " in shown
    assert "use-writer.answer" in shown
    assert "(the recipe)" in shown
    assert "budget.tokens 9,000,000: fits" in shown
    assert "budget.calls 3: would stop at about " in shown
    assert "--- " not in shown, "prompts are shown only when asked for"


def test_an_unknown_price_is_said_and_never_counted_as_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = recipe_file(tmp_path, {"writer": HOME_MADE})
    assert call(["check", str(path), "--estimate"]) == 0
    shown = capsys.readouterr().out
    assert "cost unknown" in shown
    assert "price unknown: add `price:" in shown
    assert "$0" not in shown
    assert call(["check", str(path), "--estimate", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["estimate"]
    assert (found["usd"], found["models"][0]["usd"]) == (None, None)
    assert 0 < found["calls"]["low"] <= found["calls"]["high"]
    assert found["rehearsed"]["accepted"] == 4


def test_an_estimate_needs_no_key_but_the_missing_one_is_still_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = recipe_file(tmp_path, {"writer": {"provider": "openai", "model": "gpt-4.1-mini"}}, budget={"usd": 5})
    assert call(["check", str(path), "--estimate"]) == 2
    shown = capsys.readouterr()
    assert "budget.usd 5: fits" in shown.out
    assert "OPENAI_API_KEY is not set" in shown.err


def test_an_earlier_run_is_taken_for_the_estimate(small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["check", str(tmp_path / "recipe.yaml"), "--estimate", "--from", str(small_run)]) == 0
    shown = capsys.readouterr().out
    assert f"yields and tokens of {small_run}: " in shown
    assert "that run was simulated" in shown
    assert "times as long" not in shown


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param(["--from", "somewhere"], "--from RUN belongs to --estimate", id="without estimate"),
        pytest.param(["--estimate", "--from", "somewhere"], "no such run folder: somewhere", id="no run"),
    ],
)
def test_from_names_a_run(options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = recipe_file(tmp_path, {"writer": {"provider": "simulator"}})
    assert call(["check", str(path), *options]) == 2
    assert words in capsys.readouterr().err


def test_ping_tells_every_model_and_fails_when_one_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = {"sim": {"provider": "simulator"}, "local": HOME_MADE, "hosted": {"provider": "openai", "model": "gpt-4.1-mini"}}
    path = recipe_file(tmp_path, models)
    assert call(["check", str(path), "--ping"]) == 2
    shown = capsys.readouterr()
    assert "sim (simulator: simulated-writer): answered in " in shown.out
    assert "price known (the simulator is free)" in shown.out
    assert [line.split(": ")[1] for line in shown.err.splitlines()] == ["local (openai", "hosted (openai"]
    assert "OPENAI_API_KEY is not set" in shown.err
    assert call(["check", str(path), "--ping", "--json"]) == 2
    pinged = json.loads(capsys.readouterr().out)["ping"]
    assert [(one["name"], one["answered"], one["reason"]) for one in pinged] == [
        ("sim", True, ""),
        ("local", False, "connect_failed"),
        ("hosted", False, "recipe"),
    ]
    assert pinged[1]["price"] is None


def test_ping_of_models_that_all_answer_is_fine(tmp_path: Path) -> None:
    assert call(["check", str(recipe_file(tmp_path, {"sim": {"provider": "simulator"}})), "--ping"]) == 0


def test_a_model_that_only_writes_raw_is_pinged_raw() -> None:
    recipe = load(Path(__file__).resolve().parents[2] / "examples" / "magpie.yaml")
    parts = build_parts(recipe)
    raw = {model for part in parts.strategies.values() if getattr(part, "needs_raw_prompt", False) for model in part.models}
    assert only_raw(parts) <= raw
    assert raw


@pytest.mark.parametrize(
    ("goal", "noted"), [pytest.param(1, True, id="a quota below a call's yield"), pytest.param(3, False, id="a quota as large")]
)
def test_surplus_that_a_call_buys_is_noted(goal: int, noted: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = recipe_file(tmp_path, {"writer": {"provider": "simulator"}}, goal={"per_topic": goal})
    assert call(["check", str(path), "--no-prompts"]) == 0
    words = "use-writer asks for 3 at a time where 1 is wanted: up to 2 of 3 are surplus: set instructions_per_call"
    assert (words in capsys.readouterr().out) is noted


@pytest.mark.parametrize("file", sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.yaml")), ids=lambda file: file.stem)
def test_no_example_buys_surplus(file: Path) -> None:
    if file.stem != "mix":  # a mix is no recipe
        assert surplus_notes(build_parts(load(file))) == []


@pytest.mark.parametrize(
    ("split", "note"),
    [
        ({"train": 0.9, "validation": 0.1, "test": 0.1}, "add up to 1.1, so they are taken as train 81.8%, validation 9.1%, test 9.1%\n"),
        ({"train": 8, "validation": 0, "test": 2}, "add up to 10, so they are taken as train 80.0%, test 20.0%\n"),
        ({"train": 0.7, "validation": 0.2, "test": 0.1}, ""),
        ({"train": 80, "validation": 10, "test": 10}, ""),
    ],
    ids=["over 1", "parts", "shares", "percent"],
)
def test_split_ratios_are_told_as_they_will_be_used(
    split: dict[str, float], note: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recipe_file(tmp_path, {"writer": {"provider": "simulator"}}, export={"split": split})
    assert call(["check", str(path), "--no-prompts"]) == 0
    shown = capsys.readouterr().out
    assert note in shown
    assert ("export.split" in shown) == bool(note)


def test_a_temperature_that_a_model_refuses_is_told_as_not_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test")
    judges = {"judges": [{"name": "rubric", "model": "writer"}]}
    path = recipe_file(tmp_path, {"writer": {"provider": "anthropic", "model": "claude-opus-4-7"}}, **judges)
    assert call(["check", str(path), "--no-prompts"]) == 0
    assert "rubric asks 'writer' (claude-opus-4-7), which takes no temperature: it is not sent" in capsys.readouterr().out
    path = recipe_file(tmp_path, {"writer": {"provider": "anthropic", "model": "claude-3-5-haiku-latest"}}, **judges)
    assert call(["check", str(path), "--no-prompts"]) == 0
    assert "takes no JSON schema: the form is asked for in words" in capsys.readouterr().out


def test_a_model_without_chat_is_refused_as_a_writer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = recipe_file(tmp_path, {"writer": {"provider": "openai", "model": "text-embedding-3-small"}})
    assert call(["check", str(path), "--no-prompts"]) == 2
    assert "'writer' (text-embedding-3-small) has no chat at openai: take a chat model" in capsys.readouterr().err
