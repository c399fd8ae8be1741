"""docs/judges.md: every option is named there, and every example builds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from gen import plugins
from gen.llm.check import check_models
from gen.parts import build_parts
from gen.recipe import BudgetLine, parse

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "judges.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.{1,4000}?)^```$", PAGE, re.MULTILINE | re.DOTALL)
KEYS = {"SEARCH_KEY": "k", "NVIDIA_API_KEY": "k", "PERSPECTIVE_API_KEY": "k", "OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"}


@pytest.mark.parametrize("name", plugins.names("judges"))
def test_every_option_of_a_judge_stands_in_its_section_or_among_the_shared(name: str) -> None:
    options = set(plugins.options(plugins.find("judges", name))) - {"name"}
    section = PAGE.split(f"## `{name}`")[1].split("\n## ")[0]
    shared = PAGE.split("share these options")[1].split("\n## ")[0]
    assert [option for option in sorted(options) if f"`{option}`" not in section + shared] == []


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_builds(example: str, tmp_path: Path) -> None:
    given: dict[str, Any] = YAML(typ="safe").load(example)
    if not {"models", "judges"} & set(given):  # the line of a tool alone
        given = {"models": given}
    models = {"writer": {"provider": "simulator"}, "second": {"provider": "simulator"}, "third": {"provider": "simulator"}}
    models["critic"] = {"provider": "simulator"}
    models["guard"] = {"provider": "simulator", "model": "omni-moderation-latest"}
    judges = given.get("judges", [])
    recipe = {
        "name": "example",
        "models": models | given.get("models", {}),
        "strategies": [{"name": "self_instruct", "model": "writer"}],
        "judges": judges,
        "gates": given.get("gates", []),
        "goal": {"accepted": 1},
    }
    file = tmp_path / "recipe.yaml"
    with file.open("w", encoding="utf-8") as written:
        YAML(typ="safe").dump(recipe, written)
    parsed = parse(file.read_text(encoding="utf-8"), file)
    build_parts(parsed)
    check_models(parsed.config.models, BudgetLine(), KEYS)
