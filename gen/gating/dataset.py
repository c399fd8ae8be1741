"""Put data sets through gates: rows in; accepted, rejected and unreadable ones out, nothing lost between them.

Gates without memory are asked in as many processes as are worth it. Gates with one are asked here, in the order of the input or, where the
best of a family is to stay, the best first (`gen.gating.best`): the files are the same however many processes there were, and however
often the work was interrupted and taken up again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from gen import __version__, plugins
from gen.errors import InputError
from gen.gating.batches import ACCEPTED, OTHER, REPLACED, Position, batched, processes_for
from gen.gating.best import Preferring, gate_best_first
from gen.gating.chain import Assessed, Memory
from gen.gating.crew import assessed
from gen.gating.inputs import Source, identity, sources_of
from gen.gating.job import Job, Progress
from gen.gating.journal import EVERY_SECONDS, Journal
from gen.gating.outputs import OUTPUTS, GateCounts
from gen.gating.packed import unpack
from gen.pipeline import NamedGate
from gen.records import AUTOMATIC, Reading, Unreadable
from gen.run_folder import exclusive
from gen.types import thaw

_FATES, _ASSESSED, _LATE = "fates", "assessed", "late"


def gate_files(
    paths: Sequence[Path],
    out: Path,
    gates: Sequence[NamedGate],
    *,
    reading: Reading = AUTOMATIC,
    keep: str = "first",
    processes: int | None = None,
    restart: bool = False,
    progress: Callable[[Progress], None] = lambda _: None,
    every_seconds: float = EVERY_SECONDS,
) -> GateCounts:
    """Write `out`/accepted.jsonl (the input's rows as they came; a redacting gate's replacement as `messages` beside them),
    rejected.jsonl (with gate, reason, detail, reasons), unreadable.jsonl (line, reason, detail) and warnings.jsonl (rows that gates which
    only warn object to, whatever became of them).

    `keep` says who stays of a family of duplicates: `first`, `longest` or `score:FIELD`. `processes` is None for as many as are worth it.
    All files appear together at the end. What was done lies in `out`/.gating until then: the same call goes on after a kill, and
    `restart` begins anew. Raises InputError when an input cannot be read or would be overwritten, when `out` is a run's folder or holds an
    unfinished gating of something else; StorageError when `out` cannot be written or another process is gating into it.
    """
    preferring = Preferring.of(keep)
    if processes is not None and processes < 1:
        raise InputError(f"--processes {processes}: at least 1")
    sources = sources_of(paths)
    _refuse_to_overwrite(paths, out)
    names = (*OUTPUTS, _FATES) if preferring is None else (*OUTPUTS, _ASSESSED, _LATE)
    plan = _plan(sources, gates, reading, keep)
    with exclusive(out), Journal(out, plan, names, restart=restart, every_seconds=every_seconds) as journal:
        job = Job(sources, gates, reading, processes, journal, GateCounts.of(journal.told), progress)
        if not journal.complete:
            rows = _gate_in_order(job) if preferring is None else gate_best_first(job, preferring, _ASSESSED, _LATE)
            journal.save(rows, job.counts.as_dict(), complete=True)
        journal.finish(OUTPUTS)
    return job.counts


def _gate_in_order(job: Job) -> int:
    """Decide on each row as it comes; the number of rows."""
    memory, journal, fates = Memory(job.gates), job.journal, job.journal.read(_FATES)
    position, done = Position(job.sources), journal.rows
    batches, processes = processes_for(batched(job.items(), fates, memory=bool(memory)), job.processes)
    for batch, results in assessed(batches, job.gates, processes):
        result = iter(results)
        for row in batch.rows:
            record = row.item.record
            position.take(row.item)
            if isinstance(record, Unreadable):
                job.write_unreadable(row.item, record)
                journal.append(_FATES, bytes((OTHER,)))
                continue
            one: Assessed = next(result)
            sample = record.sample if one.replaced is None else unpack(one.replaced)
            if row.settled:
                memory.remember(sample, one.fingerprints)
                continue
            accepted = job.write(row.item, record, one, memory.findings(sample, one.fingerprints))
            if accepted:
                memory.remember(sample, one.fingerprints)
            replaced = one.replaced is not None
            journal.append(_FATES, bytes((OTHER if not accepted else REPLACED if replaced else ACCEPTED,)))
        done = max(done, batch.rows[-1].number + 1)
        job.tell("gating", position.fraction)
        if not batch.rows[-1].settled:
            journal.save_now_and_then(done, job.counts.as_dict)
    return done


def _plan(sources: Sequence[Source], gates: Sequence[NamedGate], reading: Reading, keep: str) -> Mapping[str, Any]:
    """What a gating is about, part by part: another plan does not go on from its journal."""
    return {
        "inputs": [identity(source.path) for source in sources],
        "gates": [[one.name, one.warn, _options(one.gate)] for one in gates],
        "options": [reading.layout, dict(reading.columns), keep, __version__],
    }


def _options(gate: Any) -> Mapping[str, Any]:
    """A gate's options; with the files that they name, since those decide too."""
    options = {name: thaw(getattr(gate, name)) for name in plugins.options(type(gate))} if is_dataclass(gate) else {}
    files = [text for value in options.values() for text in (value if isinstance(value, list) else [value]) if _is_file(text)]
    return {**options, " files": [identity(Path(text)) for text in files]}


def _is_file(text: Any) -> bool:
    return isinstance(text, str) and 0 < len(text) < 1000 and "\0" not in text and "\n" not in text and Path(text).is_file()


def _refuse_to_overwrite(paths: Sequence[Path], out: Path) -> None:
    """Raise InputError where the outputs would replace an input, or the files of a run, which are its ledger's."""
    if (out / "run.db").exists():
        raise InputError(f"{out} is a run's folder, whose accepted.jsonl and rejected.jsonl would be replaced: take another --out")
    for output in (out / name for name in OUTPUTS):
        if output.exists() and any(path.exists() and output.samefile(path) for path in paths):
            raise InputError(f"{output} is the file to be read, which would be overwritten: take another --out")
