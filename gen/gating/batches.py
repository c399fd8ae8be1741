"""Rows in batches that are worth a trip to another process, and how far through the inputs they are."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from gen.gating.chain import Work, work_of
from gen.gating.inputs import Item, Source
from gen.gating.sizes import Size, size_of
from gen.records import Record

BATCH_RECORDS, BATCH_BYTES = 128, 1 << 20
PARALLEL_FROM_RECORDS, PARALLEL_FROM_BYTES = 4_000, 32 << 20  # fewer are done before other processes have loaded their gates
MAX_PROCESSES = 8  # by default: more would wait for the one that decides on duplicates
ACCEPTED, REPLACED, OTHER = b"arx"  # a row's fate as one byte


class Row(NamedTuple):
    """A row and its number from 0 over all sources. `settled` says that an earlier start accepted it."""

    number: int
    item: Item
    settled: bool = False


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows in a batch; `works` are those of the readable ones among them, in their order."""

    rows: Sequence[Row]
    works: Sequence[Work]

    @property
    def size(self) -> int:
        return sum(len(row.item.record.raw) for row in self.rows if isinstance(row.item.record, Record))


def batched(items: Iterable[Item], fates: bytes = b"", *, memory: bool = True) -> Iterator[Rows]:
    """The rows in batches. Of those with a fate only the accepted ones come, and none where nothing has to be remembered; one that came
    out redacted is gated once more, since the redacted text is what is remembered."""
    rows: list[Row] = []
    works: list[Work] = []
    size = 0
    for number, item in enumerate(items):
        fate = fates[number] if number < len(fates) else None
        if fate is not None and (fate == OTHER or not memory):
            continue
        rows.append(Row(number, item, fate is not None))
        if isinstance(item.record, Record):
            works.append(work_of(item.record, settled=fate == ACCEPTED))
            size += len(item.record.raw)
        if len(rows) >= BATCH_RECORDS or size >= BATCH_BYTES:
            yield Rows(rows, works)
            rows, works, size = [], [], 0
    if rows:
        yield Rows(rows, works)


def processes_for(batches: Iterator[Rows], asked: int | None) -> tuple[Iterator[Rows], int]:
    """The same batches, and how many processes they are worth: as many as asked for, else one for each core where they are many."""
    if asked is not None:
        return batches, asked
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores == 1:
        return batches, 1
    ahead: deque[Rows] = deque()
    records = size = 0
    for batch in batches:
        ahead.append(batch)
        records, size = records + len(batch.works), size + batch.size
        if records >= PARALLEL_FROM_RECORDS or size >= PARALLEL_FROM_BYTES:
            return chain(_emptied(ahead), batches), min(cores, MAX_PROCESSES)
    return _emptied(ahead), 1


class Position:
    """How far through the sources the rows are, by the size of each on disk."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sizes: dict[Source, Size | None] = {source: size_of(source.path) for source in sources}
        self._seen = dict.fromkeys(sources, 0)
        self._current = 0
        self._order = list(sources)

    def take(self, item: Item) -> None:
        """Count a row."""
        size = self._sizes[item.source]
        if size is not None:
            length = len(item.record.raw) + 1 if isinstance(item.record, Record) else 1
            self._seen[item.source] += length if size.unit == "bytes" else 1
        self._current = self._order.index(item.source)

    @property
    def fraction(self) -> float | None:
        """The share of the sources that is behind us, None where a source's size is unknown."""
        done = whole = 0.0
        for place, (source, size) in enumerate(self._sizes.items()):
            if size is None:
                return None
            whole += size.on_disk
            share = 1.0 if place < self._current else min(1.0, self._seen[source] / max(1, size.amount))
            done += size.on_disk * share
        return done / whole if whole else None


def _emptied(batches: deque[Rows]) -> Iterator[Rows]:
    while batches:
        yield batches.popleft()
