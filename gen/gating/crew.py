"""Worker processes for the gates without memory: batches go out, what came of them comes back in the same order.

Processes are spawned, never forked, since threads of other libraries may be running. Workers ignore Ctrl-C, which is the parent's to
answer, and end by themselves when the parent is gone. A worker that is killed (out of memory) costs nothing: the batch that is due is done
in the parent, the others go to a new crew.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol, Self, TypeVar

from gen import plugins
from gen.errors import RecipeError
from gen.gating.chain import Assessed, Work, assess
from gen.pipeline import NamedGate
from gen.types import freeze, thaw

BATCHES_PER_PROCESS = 3  # on the way: one in work, one waiting, one to be taken
MAX_CREWS = 3  # after so many broke, something about this machine or data breaks them: the parent goes on alone
_log = logging.getLogger(__name__)


class Spec(NamedTuple):
    """A gate as another process builds it. Without `options` it is a gate with memory that makes no fingerprints, which only holds its
    place there."""

    name: str
    options: Mapping[str, Any] | None
    warn: bool


class Batch(Protocol):
    """Records that travel together."""

    @property
    def works(self) -> Sequence[Work]: ...


AnyBatch = TypeVar("AnyBatch", bound=Batch)


def specs_of(gates: Sequence[NamedGate]) -> list[Spec] | None:
    """The gates for other processes; None where one is no plugin, so that nobody else can build it."""
    specs = []
    for one in gates:
        try:
            known = plugins.find("gates", one.name)
        except RecipeError:
            return None
        if type(one.gate) is not known:
            return None
        idle = one.remembers and not hasattr(one.gate, "fingerprint")
        options = None if idle else {name: thaw(getattr(one.gate, name)) for name in plugins.options(known)}
        specs.append(Spec(one.name, options, bool(one.warn)))
    return specs


def assessed(batches: Iterator[AnyBatch], gates: Sequence[NamedGate], processes: int) -> Iterator[tuple[AnyBatch, list[Assessed]]]:
    """Every batch with what the gates without memory say of its records, in the order of the batches. With one process no other is
    started."""
    specs = specs_of(gates) if processes > 1 else None
    if specs is None:
        for batch in batches:
            yield batch, [assess(work, gates) for work in batch.works]
        return
    with _Crew(specs, gates, processes) as crew:
        pending: deque[tuple[AnyBatch, Future[list[Assessed]] | None]] = deque()
        for batch in batches:
            pending.append((batch, crew.submit(batch.works)))
            if len(pending) >= BATCHES_PER_PROCESS * processes:
                yield crew.take(pending)
        while pending:
            yield crew.take(pending)


class _Crew:
    def __init__(self, specs: Sequence[Spec], gates: Sequence[NamedGate], processes: int) -> None:
        self._specs, self._gates, self._processes = specs, gates, processes
        self._pool: ProcessPoolExecutor | None = None
        self._crews = 0

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def submit(self, works: Sequence[Work]) -> Future[list[Assessed]] | None:
        """None where no crew can be had: the batch is done when it is due."""
        try:
            return self._pool.submit(_assess_all, works) if self._pool else None
        except BrokenProcessPool:
            return None

    def take(self, pending: deque[tuple[AnyBatch, Future[list[Assessed]] | None]]) -> tuple[AnyBatch, list[Assessed]]:
        """The first batch of those under way, with what came of it."""
        batch, future = pending.popleft()
        if future is not None:
            try:
                return batch, future.result()
            except BrokenProcessPool:
                self._replace(pending)
        return batch, [assess(work, self._gates) for work in batch.works]

    def _replace(self, pending: deque[tuple[AnyBatch, Future[list[Assessed]] | None]]) -> None:
        _log.warning("a worker process ended unexpectedly (killed, or out of memory): its records are gated again")
        assert self._pool is not None  # it broke
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = None
        if self._crews < MAX_CREWS:
            self._start()
        else:
            _log.warning("going on with one process, after worker processes ended %d times", self._crews)
        for place, (batch, future) in enumerate(pending):
            if future is None or not future.done() or future.cancelled() or future.exception() is not None:
                pending[place] = (batch, self.submit(batch.works))

    def _start(self) -> None:
        self._crews += 1
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(self._processes, context, initializer=_begin, initargs=(self._specs,))
        with _no_interrupt():
            for _ in range(self._processes):  # each starts one more worker while none is idle
                self._pool.submit(_assess_all, ())


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Processes and threads that are started here never see Ctrl-C; this one sees it afterwards."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows: workers ignore it from their first task on
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_chain: list[NamedGate] = []  # of a worker process


class _Elsewhere:
    """Stands in for a gate whose memory is the parent's alone."""

    def remember(self, _: object) -> None:
        raise AssertionError("a worker process remembers nothing")


def _begin(specs: Sequence[Spec]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for name, options, warn in specs:
        gate = _Elsewhere() if options is None else plugins.build("gates", name, freeze(options))
        _chain.append(NamedGate(name, gate, warn=warn))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None  # workers are started by somebody
    parent.join()
    os._exit(1)


def _assess_all(works: Sequence[Work]) -> list[Assessed]:
    return [assess(work, _chain) for work in works]
