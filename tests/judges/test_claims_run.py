"""A whole run whose claims are looked up by a command: paid once, replayed to the byte, and never run by a rehearsal."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from gen.ledger import Ledger
from gen.recipe import Recipe, parse
from gen.rehearsal import rehearse
from gen.run import run

LOOK = """\
import json, sys
claim = json.load(sys.stdin)["claim"]
open("asked", "a").write(json.dumps(claim) + "\\n")
print(json.dumps({"evidence": claim if len(claim) % 3 else []}))
"""
RECIPE = """\
name: looked_up
seed: 5
models:
  writer: {{provider: simulator, simulator: {{flaws: {{}}}}}}
  shelf: {{provider: command, tool: {{command: ["{python}", look.py], folder: "{folder}"}}}}
strategies: [{{name: self_instruct, model: writer}}]
sources: {{topics: [Payroll]}}
gates: [schema, {{name: score, judge: claims, minimum: 0}}]
judges: [{{name: claims, model: writer, lookup: shelf, max_claims: 2}}]
goal: {{accepted: 2}}
"""


def recipe(folder: Path) -> Recipe:
    (folder / "look.py").write_text(LOOK, encoding="utf-8")
    return parse(RECIPE.format(python=sys.executable, folder=folder), folder / "recipe.yaml")


def asked(folder: Path) -> list[str]:
    file = folder / "asked"
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


async def test_a_replay_runs_no_command_and_gives_the_same_bytes(tmp_path: Path) -> None:
    for out in ("one", "two"):
        result = await run(recipe(tmp_path), tmp_path / out, cache_path=tmp_path / "cache.db")
        assert result.goal_reached
        if out == "one":
            first = asked(tmp_path)
    assert first
    assert asked(tmp_path) == first
    assert len(set(first)) == len(first)
    rows: list[dict[str, Any]] = [json.loads(line) for line in (tmp_path / "one" / "accepted.jsonl").read_text().splitlines()]
    assert (tmp_path / "one" / "accepted.jsonl").read_bytes() == (tmp_path / "two" / "accepted.jsonl").read_bytes()
    for row in rows:
        notes = row["provenance"]["notes"]["claims"]
        share = sum(one["verdict"] == "supported" for one in notes) / len(notes)
        assert row["scores"]["claims"] == round(share, 4)
        assert all(one["verdict"] == "not_found" for one in notes if len(one["claim"]) % 3 == 0)


async def test_lookups_stand_in_the_ledger_under_the_judges_name_and_cost_nothing(tmp_path: Path) -> None:
    await run(recipe(tmp_path), tmp_path / "one", cache_path=tmp_path / "cache.db")
    ledger = Ledger(tmp_path / "one" / "run.db")
    calls = [call for call in ledger.calls() if call.purpose == "claims.lookup"]
    ledger.close()
    assert calls
    assert {(call.model, call.model_id, call.cost) for call in calls} == {("shelf", "command", 0.0)}


async def test_a_rehearsal_runs_no_command(tmp_path: Path) -> None:
    told = await rehearse(recipe(tmp_path), most_accepted=2)
    assert any(step.purpose == "claims.lookup" for one in told.strategies for step in one.steps)
    assert asked(tmp_path) == []
