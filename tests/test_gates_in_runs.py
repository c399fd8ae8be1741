"""Gates that need a vector, a balance or an earlier answer, in whole runs on the simulator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gen.errors import RecipeError
from gen.parts import build_parts
from gen.recipe import parse
from gen.rehearsal import rehearse
from gen.run import run


def recipe_text(
    gates: list[dict[str, Any]], judges: str = "[]", embedder: str = "{provider: simulator, model: text-embedding-3-small}"
) -> str:
    return f"""\
name: small
seed: 3
models:
  writer: {{provider: simulator}}
  embedder: {embedder}
sources:
  topics: [GDPR data retention, Basel III capital]
strategies:
  - {{name: self_instruct, model: writer, instructions_per_call: 3}}
gates: {json.dumps(gates)}
judges: {judges}
goal: {{accepted: 12, max_candidates: 150}}
"""


async def rows_of(folder: Path, name: str, text: str, cache: str = "cache.db") -> tuple[bytes, list[dict[str, Any]]]:
    await run(parse(text, folder / "recipe.yaml"), folder / name, cache_path=folder / cache)
    files = [(folder / name / f"{kind}.jsonl").read_bytes() for kind in ("accepted", "rejected")]
    return b"\n".join(files), [json.loads(line) for line in b"".join(files).splitlines()]


SEMANTIC = {"name": "semantic_dup", "model": "embedder", "threshold": 0.2}


async def test_meanings_are_compared_in_plan_order_whatever_was_cached(tmp_path: Path) -> None:
    text = recipe_text([{"name": "exact_dup"}, SEMANTIC])
    first, rows = await rows_of(tmp_path, "one", text)
    assert any(row.get("reason") == "semantic_duplicate" for row in rows)
    assert not any("no_vector" in str(row.get("reasons")) for row in rows)
    assert (await rows_of(tmp_path, "again", text))[0] == first
    assert (await rows_of(tmp_path, "afresh", text, cache="other.db"))[0] == first
    assert b"vector" not in (tmp_path / "one" / "accepted.jsonl").read_bytes()


async def test_what_a_cheap_gate_rejects_is_not_embedded(tmp_path: Path) -> None:
    _, rows = await rows_of(tmp_path, "run", recipe_text([{"name": "length", "min_words": 10_000, "max_words": 20_000}, SEMANTIC]))
    assert {tuple(row["reasons"]) for row in rows if row["messages"]} == {("length/too_short",)}


async def test_vectors_are_part_of_the_estimate(tmp_path: Path) -> None:
    found = await rehearse(parse(recipe_text([SEMANTIC]), tmp_path / "recipe.yaml"), most_accepted=12)
    steps = {step.purpose: step for one in found.strategies for step in one.steps}
    assert steps["semantic_dup.embed"].calls > 0
    assert steps["semantic_dup.embed"].input_tokens > steps["semantic_dup.embed"].calls


@pytest.mark.parametrize(
    ("gate", "embedder", "problem"),
    [
        ({**SEMANTIC, "model": "embeder"}, "{provider: simulator}", r"gates\.1\.model|no model 'embeder'"),
        (SEMANTIC, "{provider: anthropic, model: claude-opus-4-8}", "makes no embeddings"),
    ],
)
def test_a_model_without_embeddings_is_told_before_the_run(tmp_path: Path, gate: dict[str, Any], embedder: str, problem: str) -> None:
    with pytest.raises(RecipeError, match=problem):
        build_parts(parse(recipe_text([gate], embedder=embedder), tmp_path / "recipe.yaml"))


async def test_no_opening_has_more_than_its_cap(tmp_path: Path) -> None:
    _, rows = await rows_of(tmp_path, "run", recipe_text([{"name": "balance", "prompt_opening": 1, "opening_words": 1}]))
    openings = [" ".join(row["messages"][0]["content"].lower().split()[:1]) for row in rows if "gate" not in row]
    assert len(openings) == len(set(openings)) > 3
    assert any(row.get("reason") == "prompt_opening_over_cap" for row in rows)


async def test_categories_that_a_judge_gave_are_balanced(tmp_path: Path) -> None:
    judges = "[{name: tags, model: writer, categories: [law, tax, capital]}]"
    _, rows = await rows_of(tmp_path, "run", recipe_text([{"name": "balance", "category": 3}], judges))
    accepted = [row["provenance"]["notes"]["tags.category"] for row in rows if "gate" not in row]
    assert max(map(accepted.count, accepted)) <= 3


def test_a_category_needs_its_judge(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no judge 'tags'"):
        build_parts(parse(recipe_text([{"name": "balance", "category": 3}]), tmp_path / "recipe.yaml"))


async def test_conflicts_are_warnings_in_the_files_and_on_the_report(tmp_path: Path) -> None:
    _, rows = await rows_of(tmp_path, "run", recipe_text([{"name": "conflict", "threshold": 0.05}]))
    warned = [one for row in rows for one in row.get("warnings", ())]
    report = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert not any(row.get("gate") == "conflict" for row in rows)
    assert ("Warnings to read" in report) == bool(warned)
