"""Write a dataset in another format and container, streamed: each record becomes rows, or is named as left out with its reason."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from gen.containers import WRITTEN, is_hub, write_rows
from gen.containers.columns import UsedColumns
from gen.conversation import SIMULATED_COLUMN, Skipped
from gen.errors import InputError, StorageError
from gen.files import json_line, replacing, write_jsonl
from gen.records import AUTOMATIC, Reading, Record, Unreadable, read_records

LEFT_OUT, UNREADABLE = "left-out.jsonl", "unreadable.jsonl"
_TEXT_FORMATS = ("text", "documents")


@dataclass(slots=True)
class Converted:
    """What became of a dataset: `rows` written to `file`, from `records`; what its format cannot hold and what was no record, by reason."""

    file: Path
    records: int = 0
    rows: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    unreadable: Counter[str] = field(default_factory=Counter)

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"{self.file}: {self.rows:,} rows of {self.records:,} records"
        for counts, what, name in ((self.left_out, "left out", LEFT_OUT), (self.unreadable, "unreadable", UNREADABLE)):
            if counts:
                reasons = ", ".join(f"{reason} {count:,}" for reason, count in counts.most_common())
                yield f"  {counts.total():,} {what} ({reasons}): each of them in {self.file.parent / name}"


def convert(source: Path, out: Path, name: str, format_name: str, exporter: Any, container: str, reading: Reading = AUTOMATIC) -> Converted:
    """Write `out`/`name` with the container's ending, and beside it left-out.jsonl and unreadable.jsonl where there is something in them.

    Raises InputError when the source cannot be read, would be overwritten or holds nothing for this format, StorageError when `out`
    cannot be written.
    """
    done = Converted(out / f"{name}{WRITTEN[container]}")
    _refuse_to_overwrite(source, [done.file, out / LEFT_OUT, out / UNREADABLE])
    used = UsedColumns()
    with ExitStack() as stack:
        spool = Path(stack.enter_context(_folder_in(out)))
        left_out, unreadable = (stack.enter_context((spool / file).open("wb")) for file in (LEFT_OUT, UNREADABLE))
        rows = _rows(read_records(source, reading), format_name, exporter, done, (left_out, unreadable))
        done.rows = write_jsonl(spool / "rows", used.watch(rows))
        left_out.close()
        unreadable.close()
        if not done.rows:
            reasons = ", ".join(f"{reason} {count}" for reason, count in (done.left_out + done.unreadable).most_common())
            raise InputError(f"{source}: nothing to write as {format_name} ({reasons or 'it is empty'}){_first_of(spool)}")
        columns = used.columns(exporter.columns, getattr(exporter, "wide", exporter.columns))
        mark = {SIMULATED_COLUMN: "bool"} if (SIMULATED_COLUMN,) in used.seen else {}
        write_rows(container, out, name, _spooled(spool / "rows"), columns | mark)
        for counts, file in ((done.left_out, LEFT_OUT), (done.unreadable, UNREADABLE)):
            if counts:
                with replacing(out / file) as target, (spool / file).open("rb") as kept:
                    while block := kept.read(1 << 20):
                        target.write(block)
            else:
                (out / file).unlink(missing_ok=True)
    return done


def _rows(
    records: Iterator[Record | Unreadable], format_name: str, exporter: Any, done: Converted, files: tuple[BinaryIO, BinaryIO]
) -> Iterator[Mapping[str, Any]]:
    left_out, unreadable = files
    for record in records:
        if isinstance(record, Unreadable):
            done.unreadable[record.reason] += 1
            unreadable.write(json_line({"line": record.line, "reason": record.reason, "detail": record.detail}))
            continue
        done.records += 1
        item = _item(record, format_name, exporter.takes)
        for row in [item] if isinstance(item, Skipped) else exporter.rows([item]):
            if isinstance(row, Skipped):
                done.left_out[row.reason] += 1
                left_out.write(json_line({"line": record.line, "reason": row.reason, "detail": row.detail}))
            else:
                yield row


def _item(record: Record, format_name: str, takes: str) -> Any:
    """What an exporter is handed of a record, or why it cannot be in its format."""
    own = record.fields.get("id")
    name = str(own)[:200] if isinstance(own, str | int) and not isinstance(own, bool) else record.sample.id
    sample, pair = replace(record.sample, id=name), record.pair
    if record.thinking[0]:
        return Skipped(name, *record.thinking)
    if takes == "preferences":
        if pair is not None:
            return replace(pair, id=name)
        return sample if format_name == "kto" else Skipped(name, "no_pair", "the record has no rejected answer")
    if pair is not None:
        return Skipped(name, "pair", "a pair's rejected answer has no place in this format")
    if sample.label is False:
        return Skipped(name, "undesired", "labelled as an answer that is not wanted")
    if record.is_text and format_name not in _TEXT_FORMATS:
        return Skipped(name, "no_turns", "a text without turns is no conversation")
    return sample


def _first_of(spool: Path) -> str:
    """The first record that was left out or unreadable, in words; empty where there is none."""
    heads = (next(_spooled(spool / file), None) for file in (LEFT_OUT, UNREADABLE))
    first = min((one for one in heads if one), key=lambda one: int(one["line"]), default=None)
    return f"; line {first['line']}: {first['detail']}" if first else ""


def _spooled(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open("rb") as file:
        for line in file:
            yield orjson.loads(line)


def _folder_in(out: Path) -> tempfile.TemporaryDirectory[str]:
    try:
        out.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix=".converting.", dir=out)
    except OSError as error:
        raise StorageError(f"cannot write {out}: {error.strerror or error}") from error


def _refuse_to_overwrite(source: Path, outputs: list[Path]) -> None:
    for output in outputs:
        if not is_hub(source) and output.exists() and source.exists() and output.samefile(source):
            raise InputError(f"{output} is the dataset to be read, which would be overwritten: take another --out")
    if outputs[0].suffix == "" and outputs[0].exists() and not (outputs[0] / "state.json").is_file():
        raise InputError(f"{outputs[0]} is no dataset that was saved there before: take another --out")
