"""Everything a run folder holds, written from the ledger: candidates, training sets with their splits, pairs, packed rows, papers."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from gen import __version__, plugins
from gen.against import Held
from gen.candidates import accepted_rows, rejected_rows
from gen.containers import remove_rows, write_rows
from gen.containers.columns import UsedColumns
from gen.conversation import SIMULATED_COLUMN, Skipped
from gen.errors import InputError, RecipeError
from gen.figures.whole import figures_of
from gen.files import write_jsonl, write_text
from gen.formats import export_folders
from gen.leak_check import held_files, refuse_leaks
from gen.ledger import Ledger
from gen.likeness.minhash import families
from gen.pack_options import SHIPPED_TOKENIZER, packed_exporter, tokenizer_title
from gen.parts import Parts
from gen.prompts import load
from gen.recipe import SPLITS, Recipe
from gen.record import Export, GateLine, ModelLine, Packed, RunRecord
from gen.review import reviewed
from gen.splits import LOCKED_SPLIT, Assignment, assign, assign_pairs, leaks
from gen.trainers.write import TrainerConfigs, write_trainers
from gen.types import Preference, Sample

PAPERS = ("card", "quality_report", "report", "readme")


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
    not_packed: str = ""
    trainers: tuple[TrainerConfigs, ...] = ()
    against: tuple[Held, ...] = ()
    files: tuple[str, ...] = field(default=())

    def lines(self) -> Iterator[str]:
        """For people: what lies where."""
        if not self.accepted:
            yield f"nothing was accepted, so there is no training set; {self.folder / 'rejected.jsonl'} says why"
            return
        shares = ", ".join(f"{name} {count} ({self.splits.achieved[name]:.0%})" for name, count in self.splits.counts.items())
        yield f"splits by {self.split_by}: {shares}"
        if self.splits.empty:
            yield f"empty, since there are only {self.splits.units} units to keep together: {', '.join(self.splits.empty)}"
        for held in self.against:
            unread = f"; {held.unreadable} of its lines could not be read" if held.unreadable else ""
            yield f"nothing of the {len(held.prompts)} prompts of {held.file} is in training or validation{unread}"
        for export in (one for one in self.exports if one.format != "preference"):
            reasons = ", ".join(f"{reason} {count}" for reason, count in Counter(one.reason for one in export.skipped).most_common())
            skipped = f"; {len(export.skipped)} left out ({reasons})" if reasons else ""
            yield f"{self.folder / export.folder}: {sum(export.rows.values())} rows of {export.format}{skipped}"
        if self.pairs or self.dropped_pairs:
            yield f"{self.folder / 'preference'}: {self.pairs} pairs, {self.dropped_pairs} dropped with a reason"
        if self.packed is not None:
            packed = self.packed
            yield f"{self.folder / packed.folder}: {packed.samples} samples in {packed.rows} rows of {packed.max_length} tokens"
        if self.not_packed:
            yield f"{self.folder / 'packed'}: not written: {self.not_packed}"
        yield from (configs.line() for configs in self.trainers)
        yield f"{self.folder / 'report.html'}: what to look at before training on it"


def write_all(ledger: Ledger, recipe: Recipe, parts: Parts, folder: Path, *, lock_test: bool = True) -> Written:
    """Write every output of the run. The test split is locked when the run is complete: later outputs never move a sample out of it.

    Raises StorageError when a file cannot be written, LeakError where the splits leak or training touches a file of `export.against`:
    accepted.jsonl and rejected.jsonl are then written, the rest stays as it was. Each file is whole or what it was before.
    """
    write_text(folder / "recipe.yaml", recipe.text)
    accepted = write_jsonl(folder / "accepted.jsonl", accepted_rows(ledger.outcomes()))
    rejected = write_jsonl(folder / "rejected.jsonl", rejected_rows(ledger.outcomes()))
    sets = _write_sets(ledger, recipe, parts, folder, lock_test=lock_test)
    packed, not_packed = (None, sets.packed) if isinstance(sets.packed, str) else (sets.packed, "")
    trainers = write_trainers(folder, recipe, sets.exports)
    commands = tuple(command for configs in trainers for command in configs.commands)
    record = record_of(ledger, recipe, parts, sets.exports, packed, sets.leaking, commands)
    papers = _papers(folder, record)
    ledger.set_fact("card", recipe.config.card.model_dump(mode="json"))
    rows = [export.file(split) for export in sets.exports for split, count in export.rows.items() if count]
    files = ("recipe.yaml", "accepted.jsonl", "rejected.jsonl", *rows, *(file for configs in trainers for file in configs.files), *papers)
    return Written(
        folder=folder,
        accepted=accepted,
        candidates=accepted + rejected,
        exports=sets.exports,
        splits=sets.splits,
        split_by=recipe.config.export.split.by,
        pairs=len(record.pairs),
        dropped_pairs=len(ledger.dropped()),
        packed=packed,
        not_packed=not_packed,
        trainers=trainers,
        against=sets.against,
        files=files,
    )


@dataclass(frozen=True, slots=True)
class _Sets:
    """The training sets as written; `packed` says why it could not be where it is a text."""

    exports: tuple[Export, ...]
    splits: Assignment
    leaking: int
    against: tuple[Held, ...]
    packed: Packed | str | None


def _write_sets(ledger: Ledger, recipe: Recipe, parts: Parts, folder: Path, *, lock_test: bool) -> _Sets:
    """Split the accepted samples and write every set of them. Only here are all of them in memory."""
    samples = [outcome.item for outcome in ledger.outcomes() if outcome.accepted and isinstance(outcome.item, Sample)]
    splits, leaking = split_samples(samples, recipe, ledger)
    pairs, against = ledger.preferences(), held_files(recipe)
    refuse_leaks(recipe, against, samples, pairs, {**splits.of, **assign_pairs(pairs, samples, splits.of)}, leaking)
    ledger.write_splits({name: split for name, split in splits.of.items() if lock_test or split != LOCKED_SPLIT})
    container = recipe.config.export.container
    formats = {name: exporter for name, exporter in parts.exporters.items() if exporter.takes == "samples"}
    exports = [_export(folder, name, one, samples, splits.of, splits.counts, container) for name, one in formats.items()]
    if pairs:
        others = {name: one for name, one in parts.exporters.items() if one.takes == "preferences"}
        for name, one in ({"preference": plugins.build("exporters", "preference", {})} | others).items():
            exports.append(_export_pairs(folder, name, one, pairs, samples, splits, container))
    _drop_stale_exports(folder, {export.folder for export in exports})
    packed = _pack(folder, recipe, ledger, [sample for sample in samples if splits.of[sample.id] == "train"])
    return _Sets(tuple(exports), splits, leaking, against, packed)


def check_splits(ledger: Ledger, recipe: Recipe) -> None:
    """Raise RecipeError where the recipe leaves out a split that is locked or names no file to check against: better said before anything
    is paid."""
    held_files(recipe)
    if LOCKED_SPLIT in ledger.splits().values() and LOCKED_SPLIT not in recipe.config.export.split.ratios:
        problem = f"the {LOCKED_SPLIT} split of this run is locked and cannot be left out: give it a ratio above 0, or take another --out"
        raise recipe.error(("export", "split", LOCKED_SPLIT), problem)


def split_samples(samples: Sequence[Sample], recipe: Recipe, ledger: Ledger) -> tuple[Assignment, int]:
    """A split for each sample, families kept whole and the locked test split kept, and how many groups lie across splits all the same
    (only a sample that came to be related to a locked one can)."""
    config = recipe.config.export.split
    locked = {name: split for name, split in ledger.splits().items() if split == LOCKED_SPLIT}
    components = families([sample.first("user") for sample in samples])
    try:
        assigned = assign(samples, config.ratios, by=config.by, seed=recipe.config.seed, families=components, locked=locked)
    except RecipeError as error:
        raise recipe.error(("export",) if error.key == "split" else ("export", "split"), error) from error
    return assigned, len(leaks(samples, assigned.of, components))


def record_of(
    ledger: Ledger,
    recipe: Recipe,
    parts: Parts,
    exports: tuple[Export, ...],
    packed: Packed | None,
    leaking: int,
    trainers: tuple[str, ...] = (),
) -> RunRecord:
    """The run as its papers need it; `trainers` are the commands that start a training."""
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
        trainers=trainers,
        reviewed=reviewed(ledger),
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


def _export(
    folder: Path, name: str, exporter: Any, items: Sequence[Sample], splits: Mapping[str, str], wanted: Iterable[str], container: str
) -> Export:
    by_split: dict[str, list[Sample]] = {split: [] for split in wanted}
    for item in items:
        by_split[splits[item.id]].append(item)
    return _write_splits(folder, name, exporter, by_split, container)


def _export_pairs(
    folder: Path, name: str, exporter: Any, pairs: Sequence[Preference], samples: Sequence[Sample], splits: Assignment, container: str
) -> Export:
    of = assign_pairs(pairs, samples, splits.of)
    by_split: dict[str, list[Preference]] = {split: [] for split in splits.counts}
    for pair in pairs:
        by_split.setdefault(of[pair.id], []).append(pair)
    return _write_splits(folder, name, exporter, by_split, container)


def _write_splits(folder: Path, name: str, exporter: Any, by_split: Mapping[str, Sequence[Any]], container: str) -> Export:
    """One file per split that has rows; a file of a split that has none any more goes, and one in another container too."""
    target, used = folder / exporter.folder, UsedColumns()
    skipped = [row for items in by_split.values() for row in exporter.rows(items) if isinstance(row, Skipped)]
    rows = {split: sum(1 for _ in used.watch(_rows(exporter, items))) for split, items in by_split.items()}
    columns = used.columns(exporter.columns, getattr(exporter, "wide", exporter.columns))
    mark = {SIMULATED_COLUMN: "bool"} if (SIMULATED_COLUMN,) in used.seen else {}
    for split in (*by_split, *(split for split in SPLITS if split not in by_split)):
        if rows.get(split):
            write_rows(container, target, split, _rows(exporter, by_split[split]), columns | mark)
        remove_rows(target, split, keep=container if rows.get(split) else "")
    return Export(name, exporter.folder, rows, columns, tuple(skipped), container)


def _rows(exporter: Any, items: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
    return (row for row in exporter.rows(items) if not isinstance(row, Skipped))


def _drop_stale_exports(folder: Path, wanted: set[str]) -> None:
    """Folders of formats that the recipe no longer asks for would contradict the papers."""
    for name in sorted(export_folders() - wanted):
        _drop_splits(folder / name)


def _drop_splits(path: Path) -> None:
    """The files of an export, and its folder unless somebody put a file of their own there."""
    for split in SPLITS:
        remove_rows(path, split)
    with suppress(OSError):
        path.rmdir()


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)


def _remove_pack(path: Path) -> None:
    if (path / "pack.json").is_file():
        _remove(path)


def _pack(folder: Path, recipe: Recipe, ledger: Ledger, samples: Sequence[Sample]) -> Packed | str | None:
    """The training split, templated, masked and packed, where the recipe asks for it; why nothing could be packed. A set that
    `sluice pack` made stays where the recipe asks for none."""
    exporter, target = packed_exporter(recipe), folder / "packed"
    if exporter is None:
        if ledger.fact("packed"):
            _remove_pack(target)
        ledger.set_fact("packed", False)
        return None
    ledger.set_fact("packed", True)
    try:
        report = exporter.write(samples, target)
    except InputError as error:  # the papers of a run are written all the same
        _remove_pack(target)
        return str(error)
    lengths = import_module("gen.templates.packed_lengths").lengths_in(target)
    return Packed(
        folder="packed",
        tokenizer=tokenizer_title((recipe.config.export.pack or {}).get("tokenizer", SHIPPED_TOKENIZER), report.tokenizer),
        max_length=report.max_length,
        samples=report.samples,
        too_long=report.dropped.get("too_long", 0),
        rows=report.rows,
        tokens=report.tokens,
        loss_tokens=report.trained_tokens,
        median=lengths.median,
        p95=lengths.p95,
        longest=lengths.longest,
    )
