"""The costly part of an audit, record by record: what the gates and the language detector say. Long data sets go to other processes."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice
from multiprocessing import get_context
from typing import Any

from gen import plugins
from gen.language import detect
from gen.records import Record
from gen.types import Message, Sample

SCANS = ("refusal", "pii", "secrets", "safety")
_GIVEN_AWAY = ("pii", "secrets")  # what a rejected answer must not hold either
CHUNK = 256  # records looked at together
_ALONE = 4_000  # records, up to which starting processes costs more than it saves
_MOST_PROCESSES = 4  # reading and counting stay in one process, which no more than these can keep up with
_AHEAD = 3  # chunks that wait for each process

Texts = tuple[tuple[Message, ...], tuple[Message, ...]]


@dataclass(frozen=True, slots=True)
class Scanned:
    """One record: (gate, reason) of those that object, and the language of its last answer, empty without one."""

    found: tuple[tuple[str, str], ...]
    language: str


def scan(texts: Texts) -> Scanned:
    """What the gates say of a conversation, and of the answer that it was preferred to (none where it is no pair)."""
    messages, rejected = texts
    sample, found = Sample("", messages), []
    for name, gate in _gates():
        verdict = gate.check(sample)
        if verdict.keep and rejected and name in _GIVEN_AWAY:
            verdict = gate.check(Sample("", rejected))
        if not verdict.keep:
            found.append((name, verdict.reason))
    reply = sample.last("assistant")
    return Scanned(tuple(found), detect(reply)[0] if reply.strip() else "")


def scanned(records: Iterable[Record], *, processes: int | None = None) -> Iterator[list[tuple[Record, Scanned]]]:
    """Every record with what was found in it, in order and in chunks. From some thousand records on, other processes scan (`processes`
    of them; None: as many as there are cores, four at most), and memory holds a few chunks for each."""
    source = iter(records)
    count = processes if processes is not None else min(_MOST_PROCESSES, os.cpu_count() or 1)
    first = islice(source, _ALONE if count > 1 else None)
    while chunk := list(islice(first, CHUNK)):
        yield list(zip(chunk, map(scan, map(_texts, chunk)), strict=True))
    rest = list(islice(source, 1))
    if rest:
        yield from _in_processes(chain(rest, source), count)


def _in_processes(source: Iterator[Record], count: int) -> Iterator[list[tuple[Record, Scanned]]]:
    waiting: deque[tuple[Sequence[Record], Future[list[Scanned]]]] = deque()
    with ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_leave_interrupts_to_the_parent) as pool:
        try:
            while True:
                while len(waiting) < _AHEAD * count and (chunk := list(islice(source, CHUNK))):
                    waiting.append((chunk, pool.submit(_scan_all, [_texts(record) for record in chunk])))
                if not waiting:
                    return
                records, found = waiting.popleft()
                yield list(zip(records, found.result(), strict=True))
        finally:
            for _, future in waiting:
                future.cancel()


def _scan_all(texts: Sequence[Texts]) -> list[Scanned]:
    return [scan(one) for one in texts]


def _texts(record: Record) -> Texts:
    return record.sample.messages, record.pair.rejected if record.pair is not None else ()


@lru_cache(maxsize=1)
def _gates() -> tuple[tuple[str, Any], ...]:
    return tuple((name, plugins.build("gates", name, {})) for name in SCANS)


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
