"""The guard of all pairs, and pairs of whole runs on the simulator."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gen.commands import call
from gen.errors import InputError, RecipeError, ServiceStopped
from gen.gates.length import Length
from gen.gates.pii import PLUGIN as PII
from gen.ledger import Ledger
from gen.pairs_stage import guard, pairs_of_run
from gen.pipeline import NamedGate
from gen.recipe import Recipe, load, parse
from gen.run import Progress, RunResult, run
from gen.types import Dropped, Message, Preference

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "preference.yaml"
GATES = [NamedGate("length", Length(min_words=3)), NamedGate("pii", PII())]
GOOD = "Knead the dough for ten minutes and let it rest overnight."


def pair(chosen: str, rejected: str) -> Preference:
    sides = ((Message("assistant", text),) for text in (chosen, rejected))
    return Preference("p1", (Message("user", "How is bread baked?"),), *sides, 5.0, 3.0, 2.0, "best_of_n", "s1")


def test_a_pair_that_teaches_something_is_kept_as_it_is() -> None:
    good = pair(GOOD, "Bread is bought at the baker's.")
    assert guard(good, GATES) is good


@pytest.mark.parametrize(
    ("chosen", "rejected", "reason", "detail"),
    [
        pytest.param(GOOD, f"  {GOOD.upper()}", "equal", "both sides say the same", id="equal but for case and spaces"),
        pytest.param(f"{GOOD} " * 3, f"{GOOD} " * 3 + "Really.", "near_equal", "ROUGE-L 0.99 ≥ 0.95", id="one word more"),
        pytest.param("Bake it.", GOOD, "chosen_rejected", "length/too_short", id="chosen fails a gate"),
        pytest.param("Ask j.miller@bakery-miller.de about it.", GOOD, "chosen_rejected", "pii/email", id="chosen holds personal data"),
        pytest.param(GOOD, "Ask j.miller@bakery-miller.de about it.", "rejected_unsafe", "pii/email", id="rejected holds personal data"),
    ],
)
def test_what_must_not_be_learned_or_shown_is_dropped(chosen: str, rejected: str, reason: str, detail: str) -> None:
    found = guard(pair(chosen, rejected), GATES)
    assert isinstance(found, Dropped)
    assert (found.id, found.source, found.sample, found.reason, found.detail) == ("p1", "best_of_n", "s1", reason, detail)


def test_a_rejected_answer_may_fail_what_is_only_a_fault() -> None:
    assert isinstance(guard(pair(GOOD, "Bake it."), GATES), Preference)


def test_a_text_that_a_gate_would_redact_is_written_on_neither_side() -> None:
    redacting = [NamedGate("pii", PII(action="redact"))]
    found = guard(pair(GOOD, "Ask j.miller@bakery-miller.de about it."), redacting)
    assert isinstance(found, Dropped)
    assert (found.reason, found.detail) == ("rejected_unsafe", "pii/redacted")


# --- whole runs ---


def recipe(*changes: tuple[str, str]) -> Recipe:
    """The shipped example with a small goal."""
    text = EXAMPLE.read_text(encoding="utf-8")
    for old, new in (("goal: {per_topic: 20}", "goal: {per_topic: 6}"), *changes):
        assert old in text
        text = text.replace(old, new)
    return parse(text, EXAMPLE)


async def run_in(folder: Path, *changes: tuple[str, str], name: str = "run", cache: str = "cache.db") -> RunResult:
    return await run(recipe(*changes), folder / name, cache_path=folder / cache)


def rows(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line) for path in sorted(folder.glob("preference/*.jsonl")) for line in path.read_text(encoding="utf-8").splitlines()
    ]


def pair_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("preference/*.jsonl"))}


def of_ledger(folder: Path) -> tuple[list[Preference], list[Dropped], list[str]]:
    ledger = Ledger(folder / "run.db")
    try:
        return ledger.preferences(), ledger.dropped(), [call.purpose for call in ledger.calls()]
    finally:
        ledger.close()


def test_the_example_is_a_recipe() -> None:
    assert [line.name for line in load(EXAMPLE).config.pairs] == ["best_of_n", "repaired"]


async def test_the_example_makes_pairs_that_differ_by_the_margin(tmp_path: Path) -> None:
    result = await run_in(tmp_path)
    assert result.goal_reached
    made = rows(result.folder)
    assert {row["source"] for row in made} >= {"best_of_n"}
    assert all(row["chosen"] != row["rejected"] for row in made)
    assert all(row["margin"] >= 1 for row in made if row["source"] == "best_of_n")
    accepted = [json.loads(line) for line in (result.folder / "accepted.jsonl").read_text(encoding="utf-8").splitlines()]
    assert all(row["scores"]["rubric"] >= 3.5 and row["scores"]["moderation"] <= 0.5 for row in accepted)


async def test_every_tried_pair_is_on_record_and_its_calls_are_accounted_for(tmp_path: Path) -> None:
    result = await run_in(tmp_path)
    pairs, dropped, purposes = of_ledger(result.folder)
    of_best = [one.sample for one in (*pairs, *dropped) if one.source == "best_of_n"]
    assert len(of_best) == len(set(of_best)) == result.accepted
    assert len(pairs) + len(dropped) == result.written.pairs + result.written.dropped_pairs
    assert purposes.count("best_of_n.answer") == 3 * result.accepted
    assert purposes.count("rubric.compare") >= result.accepted
    assert len(rows(result.folder)) == len(pairs)


async def test_another_run_makes_the_same_pairs_byte_for_byte(tmp_path: Path) -> None:
    first = await run_in(tmp_path)
    second = await run_in(tmp_path, name="second", cache="second.db")
    assert pair_files(first.folder)
    assert pair_files(second.folder) == pair_files(first.folder)
    assert of_ledger(second.folder) == of_ledger(first.folder)


async def test_interrupted_while_pairs_are_made_and_resumed_the_pairs_are_the_same(tmp_path: Path) -> None:
    whole = await run_in(tmp_path)
    interrupt, progress = asyncio.Event(), Progress()

    def stop_under_the_pairs() -> None:
        asked = progress.stats().purposes if progress.stats else {}
        if "rubric.compare" in asked:
            interrupt.set()
        else:
            asyncio.get_running_loop().call_later(0.001, stop_under_the_pairs)

    stop_under_the_pairs()
    stopped = await run(recipe(), tmp_path / "again", cache_path=tmp_path / "again.db", progress=progress, interrupt=interrupt)
    assert stopped.stop == "interrupted"
    assert rows(stopped.folder) == []
    resumed = await run_in(tmp_path, name="again", cache="again.db")
    assert resumed.session.requests < whole.session.requests  # none at all where the last calls landed after the interrupt
    assert pair_files(resumed.folder) == pair_files(whole.folder)


async def test_a_budget_that_ends_under_the_pairs_keeps_the_run_and_says_so(tmp_path: Path) -> None:
    calls = (await run_in(tmp_path)).session.requests
    short = await run_in(tmp_path, ("goal: {per", f"budget: {{calls: {calls - 20}}}\ngoal: {{per"), name="short", cache="short.db")
    assert short.stop == "budget_reached"
    assert short.reason.startswith("no pairs were made: ")
    assert short.accepted == short.goal
    assert (short.folder / "sft" / "train.jsonl").exists()
    more = await run_in(tmp_path, name="short", cache="short.db")
    assert more.session.requests == 20
    assert pair_files(more.folder) == pair_files(tmp_path / "run")


async def test_replies_that_were_refused_for_good_are_not_asked_for_again(tmp_path: Path) -> None:
    strict = (
        ("models:\n", "models:\n  strict: {provider: simulator, simulator: {reject_containing: open about what you cannot know}}\n"),
        ("  - name: best_of_n\n    model: writer", "  - name: best_of_n\n    model: strict"),
    )
    first = await run_in(tmp_path, *strict)
    _, dropped, _ = of_ledger(first.folder)
    assert {one.detail for one in dropped if one.reason == "provider"} == {"1 of 4 replies: content_policy"}
    again = await run_in(tmp_path, *strict)
    assert first.session.requests > 0
    assert again.session.requests == 0
    assert of_ledger(again.folder) == of_ledger(first.folder)


async def test_pairs_may_change_in_a_folder_and_nothing_else_is_asked_again(tmp_path: Path) -> None:
    first = await run_in(tmp_path)
    wider = await run_in(tmp_path, ("minimum_margin: 1 ", "minimum_margin: 1.5 "))
    assert wider.session.requests == 0
    assert 0 < wider.written.pairs < first.written.pairs
    assert all(row["margin"] >= 1.5 for row in rows(wider.folder) if row["margin"] is not None)


def settings(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    file = tmp_path / "other.yaml"
    file.write_text(recipe(*changes).text, encoding="utf-8")
    return file


async def test_the_command_makes_other_pairs_of_a_run_from_the_cache(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = await run_in(tmp_path)
    before = (first.folder / "accepted.jsonl").read_bytes(), (first.folder / "recipe.yaml").read_bytes()
    other = settings(tmp_path, ("minimum_margin: 1 ", "minimum_margin: 1.5 "))
    arguments = ["pairs", str(first.folder), "--recipe", str(other), "--cache", str(tmp_path / "cache.db")]
    assert await asyncio.to_thread(call, [*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["requests"] == 0
    assert told["pairs"] == len(rows(first.folder)) < first.written.pairs
    assert ("best_of_n", "below_margin") in {(one["source"], one["reason"]) for one in told["dropped"]}
    assert ((first.folder / "accepted.jsonl").read_bytes(), (first.folder / "recipe.yaml").read_bytes()) == before
    assert await asyncio.to_thread(call, ["pairs", str(first.folder), "--cache", str(tmp_path / "cache.db")]) == 0
    assert f"{first.written.pairs} pairs, " in capsys.readouterr().out
    assert len(rows(first.folder)) == first.written.pairs


async def test_two_uses_of_one_maker_need_labels_and_then_both_make_pairs(tmp_path: Path) -> None:
    twice = "pairs:\n  - {name: best_of_n, model: writer, n: 2"
    with pytest.raises(RecipeError, match="'best_of_n' stands here twice"):
        recipe(("pairs:\n", twice + "}\n"))
    result = await run_in(tmp_path, ("pairs:\n", twice + ", label: duel, minimum_margin: 0.5}\n"))
    pairs, dropped, purposes = of_ledger(result.folder)
    assert {pair.provenance.notes["maker"] for pair in pairs} >= {"duel", "best_of_n"}
    assert len({one.id for one in (*pairs, *dropped)}) == len(pairs) + len(dropped)
    assert purposes.count("duel.answer") == result.accepted


async def test_what_cannot_be_made_pairs_of_says_why(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such run folder"):
        await pairs_of_run(tmp_path / "none", cache_path=tmp_path / "c.db")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"has no run\.db"):
        await pairs_of_run(tmp_path / "empty", cache_path=tmp_path / "c.db")
    result = await run_in(tmp_path)
    bare = tmp_path / "bare.yaml"
    bare.write_text(
        "name: x\nmodels: {writer: {}}\nstrategies: [{name: self_instruct, model: writer}]\ngoal: {accepted: 1}\n", encoding="utf-8"
    )
    with pytest.raises(RecipeError, match=r"bare\.yaml.*name at least one way to make pairs"):
        await pairs_of_run(result.folder, cache_path=tmp_path / "cache.db", recipe_file=bare)
    poor = settings(tmp_path, ("n: 4 ", "n: 5 "), ("goal: {per", "budget: {calls: 3}\ngoal: {per"))
    with pytest.raises(ServiceStopped, match=r"no pairs were made: .*what was answered is kept"):
        await pairs_of_run(result.folder, cache_path=tmp_path / "cache.db", recipe_file=poor)
    assert len(rows(result.folder)) == result.written.pairs
