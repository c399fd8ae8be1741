"""Preference pairs of a run: every maker of the recipe over the ledger's outcomes, then one guard for all of them.

The guard drops, with its reason, a pair from which no preference can be learned (`equal`, `near_equal`), one whose chosen answer a gate
without memory would keep out of the training set (`chosen_rejected`), and one whose rejected answer must not be written anywhere
(`rejected_unsafe`: personal data, a secret, harm). So every pair that a maker tried is on record, as a pair or with the reason why not.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gen import outputs
from gen.errors import InputError, ServiceStopped
from gen.ledger import Ledger
from gen.likeness.rouge import rouge_l
from gen.llm.cache import Cache
from gen.llm.client import Client
from gen.parts import Parts, build_parts
from gen.pipeline import NamedGate
from gen.recipe import Recipe, load, parse
from gen.recorder import Recorder, session_of
from gen.run_folder import exclusive, kept_sources, open_ledger
from gen.text import normalise
from gen.types import Dropped, Generate, Message, Outcome, Preference, Sample, Session

NEAR_EQUAL = 0.95  # ROUGE-L of the two answers from which on their difference is a matter of a word or two
_UNSAFE = frozenset({"pii", "secrets", "safety"})  # what these gates object to is written nowhere, not even as a bad example


@dataclass(frozen=True, slots=True)
class PairsResult:
    """What `pairs_of_run` did: what it paid now, what was written, and (source, reason) → count of the pairs dropped, most first."""

    session: Session
    written: outputs.Written
    dropped: Mapping[tuple[str, str], int]


async def make_pairs(parts: Parts, ledger: Ledger, generate: Generate) -> None:
    """Make the recipe's pairs and write them, with the record of those dropped and the calls behind both, to the ledger. Nothing is written
    before all are made; replies are in the cache, so another start goes on where this one ended."""
    recorder = Recorder(generate, ledger)
    outcomes: list[Outcome] = await asyncio.to_thread(list, ledger.outcomes()) if parts.pairs else []
    gates = [one for one in parts.gates if not one.remembers and not one.scores]
    pairs: list[Preference] = []
    dropped: list[Dropped] = []
    try:
        for maker in parts.pairs.values():
            made = await maker.make(outcomes, recorder.generate, parts.judges.get(getattr(maker, "judge", "")))
            kept, lost = await asyncio.to_thread(_guarded, made, gates)
            pairs += kept
            dropped += lost
    finally:
        ledger.write_errors(recorder.take_errors())
    await asyncio.to_thread(ledger.write_pairs, pairs, dropped, list(recorder.calls.values()))


async def pairs_of_run(folder: Path, *, cache_path: Path, recipe_file: Path | None = None) -> PairsResult:
    """Make the pairs of the run in `folder` as its recipe says, or as `recipe_file` does, and write its files again.

    Raises InputError when the folder is no run, RecipeError when the recipe names no pairs, ServiceStopped when nobody answers any more
    (what was answered is in the cache).
    """
    ledger = open_ledger(folder)
    try:
        with exclusive(folder):
            recipe = recipe_of(folder, ledger, recipe_file)
            if not recipe.config.pairs:
                raise recipe.error(("pairs",), "name at least one way to make pairs, e.g. `pairs: [repaired]`")
            parts = build_parts(recipe, kept_sources(ledger))
            session = await _make(recipe, parts, ledger, cache_path)
            ledger.add_session(session)
            written = await asyncio.to_thread(outputs.write_all, ledger, recipe, parts, folder, lock_test=False)
            dropped = Counter((one.source, one.reason) for one in ledger.dropped())
            return PairsResult(session, written, dict(sorted(dropped.items(), key=lambda item: (-item[1], item[0]))))
    finally:
        ledger.close()


def recipe_of(folder: Path, ledger: Ledger, file: Path | None) -> Recipe:
    """The run's recipe; with the pairs and the budget of the recipe in `file`, and the judges and models that it brings along, where
    one is given."""
    text = ledger.fact("recipe")
    if text is None:
        raise InputError(f"{folder} has not been run yet: it knows no recipe")
    stored = parse(text, folder / "recipe.yaml")
    if file is None:
        return stored
    given = load(file)
    titles = {line.title for line in given.config.judges}
    changes = {
        "models": {**stored.config.models, **given.config.models},
        "judges": (*given.config.judges, *(line for line in stored.config.judges if line.title not in titles)),
        "pairs": given.config.pairs,
        "budget": given.config.budget,
    }
    return Recipe(config=stored.config.model_copy(update=changes), file=given.file, text=stored.text, lines=given.lines)


def guard(pair: Preference, gates: Iterable[NamedGate]) -> Preference | Dropped:
    """The pair, or why it is none: `equal`, `near_equal`, `chosen_rejected`, `rejected_unsafe`."""
    chosen, rejected = (" ".join(message.content for message in side) for side in (pair.chosen, pair.rejected))
    if normalise(chosen).split() == normalise(rejected).split():
        return _dropped(pair, "equal", "both sides say the same")
    likeness = rouge_l(chosen, rejected)
    if likeness >= NEAR_EQUAL:
        return _dropped(pair, "near_equal", f"ROUGE-L {likeness:.2f} ≥ {NEAR_EQUAL}")
    for gate in gates:
        if fault := _objection(pair, pair.chosen, gate):
            return _dropped(pair, "chosen_rejected", fault)
        if gate.name in _UNSAFE and (fault := _objection(pair, pair.rejected, gate)):
            return _dropped(pair, "rejected_unsafe", fault)
    return pair


def _guarded(made: Iterable[Preference | Dropped], gates: list[NamedGate]) -> tuple[list[Preference], list[Dropped]]:
    pairs: list[Preference] = []
    dropped: list[Dropped] = []
    for one in made:
        found = one if isinstance(one, Dropped) else guard(one, gates)
        if isinstance(found, Preference):
            pairs.append(found)
        else:
            dropped.append(found)
    return pairs, dropped


def _objection(pair: Preference, side: tuple[Message, ...], gate: NamedGate) -> str:
    """What a gate has against one side of a pair, empty for nothing; a text that it would redact is objected to."""
    verdict = gate.check(Sample(pair.sample, (*pair.prompt, *side), provenance=pair.provenance))
    if verdict.keep and verdict.replacement is None:
        return ""
    return f"{verdict.gate}/{verdict.reason or 'redacted'}"


def _dropped(pair: Preference, reason: str, detail: str) -> Dropped:
    return Dropped(pair.id, pair.source, pair.sample, reason, detail)


async def _make(recipe: Recipe, parts: Parts, ledger: Ledger, cache_path: Path) -> Session:
    started, clock = datetime.now(UTC), time.monotonic()
    cache = Cache(cache_path)
    try:
        async with Client(recipe.config.models, budget=recipe.config.budget, cache=cache) as client:
            client.check()
            try:
                await make_pairs(parts, ledger, client.generate)
            except ServiceStopped as error:
                raise ServiceStopped(
                    f"no pairs were made: {error}; what was answered is kept", reason=error.reason, status=error.status
                ) from error
            return session_of(client.stats, started, time.monotonic() - clock, "pairs_made")
    finally:
        await cache.close()
