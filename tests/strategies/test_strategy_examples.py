"""The example recipes on the simulator: each reaches its goal, twice with the same bytes."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from gen.recipe import Recipe, parse
from gen.run import run

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str, per_topic: int) -> Recipe:
    """The recipe with a smaller goal."""
    file = EXAMPLES / f"{name}.yaml"
    text = re.sub(r"^goal: .*$", f"goal: {{per_topic: {per_topic}}}", file.read_text(encoding="utf-8"), flags=re.M)
    return parse(text, file)


def rows(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "accepted.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(("name", "per_topic"), [("self_instruct", 12), ("evol_instruct", 8), ("persona", 5), ("magpie", 3)])
async def test_an_example_reaches_its_goal_twice_with_the_same_bytes(name: str, per_topic: int, tmp_path: Path) -> None:
    recipe = example(name, per_topic)
    for folder in ("one", "two"):
        result = await run(recipe, tmp_path / folder, cache_path=tmp_path / f"{folder}.db")
        assert result.goal_reached, result.reason
    for file in ("accepted.jsonl", "rejected.jsonl"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    accepted = rows(tmp_path / "one")
    assert Counter(row["topic"] for row in accepted) == dict.fromkeys({row["topic"] for row in accepted}, per_topic)
    assert all(row["simulated"] for row in accepted)
