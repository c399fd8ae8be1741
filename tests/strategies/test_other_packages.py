"""A strategy and a gate of another package, found by their entry points: nothing of ours is edited for them."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gen import plugins
from gen.errors import RecipeError
from gen.recipe import parse
from gen.run import run

PACKAGE = """
from dataclasses import dataclass

from gen.asking import Asking
from gen.types import Malformed, Message, kept, rejected


@dataclass(frozen=True)
class Riddles:
    model: str
    about: str = "cats"

    @property
    def models(self):
        return (self.model,)

    def plan(self, turn, pool, rng):
        return {"number": rng.randrange(10**6)}

    async def run(self, task, pool, generate):
        asking = Asking(task, generate)
        question = f"Tell riddle {task.inputs['number']} about {self.about}."
        reply = await asking.ask(self.model, [Message("user", question)], part="tell", step=0)
        if isinstance(reply, Malformed):
            return [reply]
        return [asking.sample(0, [Message("user", question), Message("assistant", reply.response.text)], [reply])]


@dataclass(frozen=True)
class NoSevens:
    digit: str = "7"

    def check(self, sample):
        return rejected("no_sevens", "holds_digit", self.digit) if self.digit in sample.first("user") else kept("no_sevens")
"""
ENTRY_POINTS = """[sluice.strategies]
riddles = riddle_plugins:Riddles
lost = riddle_plugins:Missing

[sluice.gates]
no_sevens = riddle_plugins:NoSevens
"""
RECIPE = """name: riddles
models: {writer: {simulator: {flaws: 0}}}
strategies:
  - {name: riddles, model: writer, about: owls}
gates: [schema, no_sevens]
goal: {accepted: 5}
attempts: 1
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package as pip leaves it: a module and its dist-info on the path."""
    site = tmp_path / "site"
    about = site / "riddle_plugins-1.0.dist-info"
    about.mkdir(parents=True)
    (site / "riddle_plugins.py").write_text(PACKAGE, encoding="utf-8")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: riddle-plugins\nVersion: 1.0\n", encoding="utf-8")
    (about / "entry_points.txt").write_text(ENTRY_POINTS, encoding="utf-8")
    monkeypatch.syspath_prepend(str(site))
    _forget()
    yield
    sys.modules.pop("riddle_plugins", None)
    _forget()


def _forget() -> None:
    importlib.invalidate_caches()
    plugins.find.cache_clear()
    plugins._others.cache_clear()


@pytest.mark.usefixtures("installed")
async def test_a_strategy_and_a_gate_of_another_package_run(tmp_path: Path) -> None:
    result = await run(parse(RECIPE, tmp_path / "recipe.yaml"), tmp_path / "run", cache_path=tmp_path / "cache.db")
    assert result.accepted == 5
    accepted = [json.loads(line) for line in (tmp_path / "run" / "accepted.jsonl").read_text(encoding="utf-8").splitlines()]
    rejected = [json.loads(line) for line in (tmp_path / "run" / "rejected.jsonl").read_text(encoding="utf-8").splitlines()]
    assert all(row["strategy"] == "riddles" and "about owls" in row["messages"][0]["content"] for row in accepted)
    assert {(row["gate"], row["reason"]) for row in rejected} == {("no_sevens", "holds_digit")}


@pytest.mark.usefixtures("installed")
def test_their_names_and_options_are_known() -> None:
    assert "riddles" in plugins.names("strategies")
    with pytest.raises(RecipeError, match="unknown option 'abuot' of strategy 'riddles': did you mean 'about'"):
        plugins.build("strategies", "riddles", {"model": "writer", "abuot": "owls"})


@pytest.mark.usefixtures("installed")
def test_an_entry_point_that_leads_nowhere_is_an_error_that_names_it() -> None:
    with pytest.raises(RecipeError, match="strategy 'lost' of riddle_plugins:Missing cannot be loaded"):
        plugins.find("strategies", "lost")
