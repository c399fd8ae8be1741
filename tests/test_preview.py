from __future__ import annotations

from pathlib import Path

import pytest

from gen.parts import build_parts
from gen.preview import Preview, preview
from gen.recipe import parse

RECIPE = """\
name: small
seed: 3
models:
  writer: {provider: openai, model: gpt-4.1-mini}
  critic: {provider: anthropic, model: claude-haiku-4-5}
sources: {topics: [sourdough bread, cheese]}
strategies: [STRATEGY]
judges: [{name: rubric, model: critic}]
goal: {accepted: 5}
"""


async def shown(strategy: str) -> list[Preview]:
    recipe = parse(RECIPE.replace("STRATEGY", strategy), Path("small.yaml"))
    return await preview(recipe, build_parts(recipe))


@pytest.mark.parametrize("strategy", ["self_instruct", "persona", "evol_instruct"])
async def test_the_first_request_of_each_purpose_is_shown_without_any_key(strategy: str) -> None:
    found = await shown(f"{{name: {strategy}, model: writer}}")
    assert len({one.purpose for one in found}) == len(found) >= 3
    assert {one.model for one in found} == {"writer", "critic"}
    assert any("sourdough bread" in text for one in found for _, text in one.messages)


async def test_it_is_the_same_each_time_and_what_the_run_will_ask() -> None:
    first = await shown("{name: self_instruct, model: writer, audience: a baker}")
    assert await shown("{name: self_instruct, model: writer, audience: a baker}") == first
    assert first[0].purpose == "self_instruct.instruct"
    assert "a baker" in first[0].messages[-1][1]


async def test_two_uses_of_a_strategy_are_each_shown() -> None:
    found = await shown("{name: self_instruct, model: writer, label: one}, {name: self_instruct, model: writer, label: two}")
    assert {one.strategy for one in found} == {"one", "two"}


async def test_a_raw_prompt_is_shown_as_it_is() -> None:
    text = RECIPE.replace("provider: openai, model: gpt-4.1-mini", "provider: simulator").replace(
        "judges: [{name: rubric, model: critic}]\n", ""
    )
    text = text.replace("STRATEGY", "{name: magpie, model: writer, tokenizer: shipped}")
    recipe = parse(text, Path("small.yaml"))
    found = await preview(recipe, build_parts(recipe))
    assert found[0].messages[0][0] == "raw prompt"
