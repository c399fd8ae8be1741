"""Everything a run folder holds, written from the ledger: candidates, training sets with their splits, pairs, packed rows, papers."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gen import __version__, plugins
from gen.candidates import accepted_rows, rejected_rows
from gen.conversation import Skipped
from gen.errors import RecipeError
from gen.figures.whole import figures_of
from gen.files import write_jsonl, write_text
from gen.ledger import Ledger
from gen.minhash import families
from gen.parts import Parts
from gen.prompts import load
from gen.recipe import Recipe
from gen.record import Export, GateLine, ModelLine, Packed, RunRecord
from gen.resources import resource
from gen.splits import LOCKED_SPLIT, Assignment, assign, assign_pairs, leaks
from gen.types import Preference, Sample

PAPERS = ("card", "quality_report", "report", "readme")
SHIPPED_TOKENIZER = "shipped"  # `export: {pack: {tokenizer: shipped}}`: the small one in data/


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: counts of candidates, rows per split of each export, and the files relative to the run's folder."""

    folder: Path
    accepted: int
    candidates: int
    exports: tuple[Export, ...]
    splits: Assignment
    split_by: str
    pairs: int
    dropped_pairs: int
    packed: Packed | None = None
    files: tuple[str, ...] = field(default=())

    def lines(self) -> Iterator[str]:
        """For people: what lies where."""
        shares = ", ".join(f"{name} {count} ({self.splits.achieved[name]:.0%})" for name, count in self.splits.counts.items())
        yield f"splits by {self.split_by}: {shares}"
        if self.splits.empty:
            yield f"empty, since there are only {self.splits.units} units to keep together: {', '.join(self.splits.empty)}"
        for export in self.exports:
            skipped = f"; {len(export.skipped)} left out ({export.skipped[0].reason})" if export.skipped else ""
            yield f"{self.folder / export.folder}: {sum(export.rows.values())} rows of {export.format}{skipped}"
        if self.pairs or self.dropped_pairs:
            yield f"{self.folder / 'preference'}: {self.pairs} pairs, {self.dropped_pairs} dropped with a reason"
        if self.packed is not None:
            packed = self.packed
            yield f"{self.folder / packed.folder}: {packed.samples} samples in {packed.rows} rows of {packed.max_length} tokens"
        yield f"{self.folder / 'report.html'}: what to look at before training on it"


def write_all(ledger: Ledger, recipe: Recipe, parts: Parts, folder: Path, *, lock_test: bool = True) -> Written:
    """Write every output of the run. The test split is locked when the run is complete: later outputs never move a sample out of it.

    Raises StorageError when a file cannot be written; each file is whole or what it was before.
    """
    write_text(folder / "recipe.yaml", recipe.text)
    accepted = write_jsonl(folder / "accepted.jsonl", accepted_rows(ledger.outcomes()))
    rejected = write_jsonl(folder / "rejected.jsonl", rejected_rows(ledger.outcomes()))
    samples = [outcome.item for outcome in ledger.outcomes() if outcome.accepted and isinstance(outcome.item, Sample)]
    splits, leaking = split_samples(samples, recipe, ledger)
    split_by = recipe.config.export.split.by
    ledger.write_splits({name: split for name, split in splits.of.items() if lock_test or split != LOCKED_SPLIT})
    exports = [_export(folder, name, exporter, samples, splits.of, splits.counts) for name, exporter in parts.exporters.items()]
    _drop_stale_exports(folder, {export.folder for export in exports})
    pairs = ledger.preferences()
    if pairs:
        exports.append(_export_pairs(folder, pairs, samples, splits))
    else:
        _remove(folder / "preference")
    packed = _pack(folder, recipe, [sample for sample in samples if splits.of[sample.id] == "train"])
    record = record_of(ledger, recipe, parts, tuple(exports), packed, leaking)
    papers = _papers(folder, record)
    sets = [f"{export.folder}/{split}.jsonl" for export in exports for split, count in export.rows.items() if count]
    files = ("recipe.yaml", "accepted.jsonl", "rejected.jsonl", *sets, *papers)
    dropped = ledger.dropped()
    return Written(folder, accepted, accepted + rejected, tuple(exports), splits, split_by, len(pairs), len(dropped), packed, files)


def split_samples(samples: Sequence[Sample], recipe: Recipe, ledger: Ledger) -> tuple[Assignment, int]:
    """A split for each sample, families kept whole and the locked test split kept, and how many groups lie across splits all the same
    (only a sample that came to be related to a locked one can)."""
    config = recipe.config.export.split
    locked = {name: split for name, split in ledger.splits().items() if split == LOCKED_SPLIT}
    components = families([sample.first("user") for sample in samples])
    try:
        assigned = assign(samples, config.ratios, by=config.by, seed=recipe.config.seed, families=components, locked=locked)
    except RecipeError as error:
        raise recipe.error(("export", "split"), error) from error
    return assigned, len(leaks(samples, assigned.of, components))


def record_of(ledger: Ledger, recipe: Recipe, parts: Parts, exports: tuple[Export, ...], packed: Packed | None, leaking: int) -> RunRecord:
    """The run as its papers need it."""
    config = recipe.config
    return RunRecord(
        name=config.name,
        recipe_hash=recipe.hash,
        seed=config.seed,
        goal=sum(one.quota for one in parts.sequences),
        version=__version__,
        date=datetime.now(UTC).date().isoformat(),
        models=tuple(ModelLine(name, line.provider, line.model) for name, line in config.models.items()),
        prompts=tuple(load(name).ref for name in parts.prompts),
        gates=tuple(GateLine(one.name, _options(one.gate)) for one in parts.gates),
        sequences=tuple(ledger.sequences()),
        calls=tuple(ledger.calls()),
        sessions=tuple(ledger.sessions()),
        outcomes=ledger.outcomes,
        card=config.card,
        split_by=config.export.split.by,
        exports=exports,
        pairs=tuple(ledger.preferences()),
        dropped=tuple(ledger.dropped()),
        packed=packed,
        leaks=leaking,
    )


def _options(gate: Any) -> tuple[tuple[str, Any], ...]:
    return tuple((name, getattr(gate, name)) for name in plugins.options(type(gate)))


def _papers(folder: Path, record: RunRecord) -> list[str]:
    figures = figures_of(record)
    written = []
    for name in PAPERS:
        paper = plugins.build("exporters", name, {})
        write_text(folder / paper.file, paper.text(record, figures))
        written.append(paper.file)
    return written


def _export(folder: Path, name: str, exporter: Any, items: Sequence[Sample], splits: Mapping[str, str], wanted: Iterable[str]) -> Export:
    by_split: dict[str, list[Sample]] = {split: [] for split in wanted}
    for item in items:
        by_split[splits[item.id]].append(item)
    return _write_splits(folder, name, exporter, by_split)


def _export_pairs(folder: Path, pairs: Sequence[Preference], samples: Sequence[Sample], splits: Assignment) -> Export:
    exporter = plugins.build("exporters", "preference", {})
    of = assign_pairs(pairs, samples, splits.of)
    by_split: dict[str, list[Preference]] = {split: [] for split in splits.counts}
    for pair in pairs:
        by_split.setdefault(of[pair.id], []).append(pair)
    return _write_splits(folder, "preference", exporter, by_split)


def _write_splits(folder: Path, name: str, exporter: Any, by_split: Mapping[str, Sequence[Any]]) -> Export:
    """One file per split that has rows; a file of a split that has none any more goes."""
    skipped: list[Skipped] = []
    rows: dict[str, int] = {}
    for split, items in by_split.items():
        target = folder / exporter.folder / f"{split}.jsonl"
        made: list[Any] = []
        for row in exporter.rows(items):
            (skipped if isinstance(row, Skipped) else made).append(row)
        rows[split] = len(made)
        if made:
            write_jsonl(target, made)
        else:
            target.unlink(missing_ok=True)
    for stale in (folder / exporter.folder).glob("*.jsonl"):
        if stale.stem not in by_split:
            stale.unlink()
    return Export(name, exporter.folder, rows, exporter.columns, tuple(skipped))


def _drop_stale_exports(folder: Path, wanted: set[str]) -> None:
    """Folders of formats that the recipe no longer asks for would contradict the papers."""
    for path in folder.glob("sft*"):
        if path.is_dir() and path.name not in wanted:
            _remove(path)


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)


def _pack(folder: Path, recipe: Recipe, samples: Sequence[Sample]) -> Packed | None:
    """The training split, templated, masked and packed, where the recipe asks for it."""
    options = recipe.config.export.pack
    if options is None:
        _remove(folder / "packed")
        return None
    try:
        exporter = plugins.build("exporters", "packed", packing_options(options, recipe.folder))
    except RecipeError as error:
        raise recipe.error(("export", "pack"), error) from error
    report = exporter.write(samples, folder / "packed")
    return Packed(
        folder="packed",
        tokenizer=str(options.get("tokenizer", SHIPPED_TOKENIZER)),
        max_length=report.max_length,
        samples=report.samples,
        too_long=report.dropped.get("too_long", 0),
        rows=report.rows,
        tokens=report.tokens,
        loss_tokens=report.trained_tokens,
    )


def packing_options(options: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The packed exporter's options with the tokenizer found: `shipped`, a folder beside the recipe, or a name on the Hub."""
    found = {"tokenizer": SHIPPED_TOKENIZER, "max_length": 2048} | dict(options)
    name = str(found["tokenizer"])
    if name == SHIPPED_TOKENIZER:
        found["tokenizer"] = str(resource("data", "tokenizer"))
    elif (folder / name).is_dir():
        found["tokenizer"] = str(folder / name)
    return found
