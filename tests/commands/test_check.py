"""`sluice check`: what is wrong is named with its place before anything is sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gen.commands import call


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
