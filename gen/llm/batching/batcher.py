"""Calls gathered into batches behind the very protocol of a live provider: `send` puts a request into the next batch and awaits its own
result, so cache, single flight, budget and retries stay with the client.

A request whose key is in a batch already (of an earlier start, of another process on the same cache) is not sent: it joins that batch.
Nobody's giving up takes a request out of a batch that is sent; its reply is kept for the next who asks.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from gen.errors import ProviderError, RequestRejected, Unavailable
from gen.llm.batching.api import BatchApi, Item
from gen.llm.batching.carriage import Carriage, Ended
from gen.llm.batching.store import Row, Store
from gen.llm.cache import Cache
from gen.llm.clock import Clock
from gen.llm.keys import line_identity, request_key
from gen.recipe import BatchLine, ModelLine
from gen.types import Request, Response

log = logging.getLogger(__name__)

_LANDING_SECONDS = 30.0  # at the end, for a batch that is over: what it brought is kept
_LONGEST_GATHERING = 10  # times `gather_seconds` after the first call of a batch: a steady trickle is not waited out


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A batch that is not over: where, its id there (empty while it was being sent), the requests in it, and
    whether it was asked to end."""

    provider: str
    remote_id: str
    requests: int
    cancelled: bool = False


@dataclass(slots=True)
class _Gathering:
    """The batch that is not sent yet, of one model and endpoint."""

    line: ModelLine
    first: float
    last: float
    items: dict[str, Item] = field(default_factory=dict)
    bytes: int = 0
    timer: asyncio.Task[None] | None = None


class Batcher:
    """The batch lines at one endpoint. `lines` are those lines; `service` tells the endpoint apart from others in the cache's file."""

    def __init__(self, api: BatchApi, lines: Mapping[str, ModelLine], service: str, cache: Cache, clock: Clock) -> None:
        self._api = api
        self._lines = tuple(lines.values())
        self._clock = clock
        self._service = service
        self._cache = cache
        self._store = Store(cache.path)
        self._carriage = Carriage(api, self._store, cache, clock, self._arrived)
        self._gatherings: dict[tuple[str, str, BatchLine], _Gathering] = {}
        self._waiting: dict[str, asyncio.Future[Response]] = {}
        self._batch_of: dict[str, str] = {}  # key → tag of the batch that it is in
        self._rows: dict[str, Row] = {}
        self._wanted: set[str] = set()  # tags of batches that this client waited for
        self._tasks: dict[str, asyncio.Task[None]] = {}  # by tag
        self._opening: asyncio.Task[None] | None = None
        self._interrupted = False
        self._left: tuple[UnderWay, ...] = ()
        self._closed = False

    async def send(self, request: Request, line: ModelLine) -> Response:
        """The reply, as soon as its batch is over. Raises ProviderError, and StorageError where the batch could not be noted."""
        await self._opened()
        key = request_key(request, line, line_identity(line))
        if key not in self._batch_of:
            self._gather(self._api.item(key, request, line), line)
        else:
            self._wanted.add(self._batch_of[key])
        waiter: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._waiting[key] = waiter
        try:
            return await waiter
        finally:
            if self._waiting.get(key) is waiter:
                del self._waiting[key]
            if waiter.cancelled():
                self._leave(key)

    @property
    def under_way(self) -> tuple[UnderWay, ...]:
        """The batches that are not over: followed now or, once this is closed, left to the next start."""
        if self._closed:
            return self._left
        return tuple(UnderWay(self._lines[0].provider, row.remote_id, row.requests) for row in self._rows.values())

    def interrupt(self) -> None:
        """The run was interrupted: batches of lines with `on_interrupt: cancel` are asked to end when this is closed."""
        self._interrupted = True

    async def close(self) -> None:
        """Stop waiting. What is gathered and not sent is dropped, what is sent goes on, and `under_way` names it."""
        timers = [one.timer for one in self._gatherings.values() if one.timer is not None]
        self._gatherings.clear()
        if homing := [task for tag, task in self._tasks.items() if tag in self._carriage.coming_home]:
            await asyncio.wait(homing, timeout=_LANDING_SECONDS)
        ending = [*timers, *self._tasks.values(), *([self._opening] if self._opening is not None else [])]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        noted = {row.tag: row for row in await asyncio.to_thread(self._store.under_way, self._service)}
        self._left = tuple([await self._parted(noted[tag]) for tag in self._rows if tag in noted])
        self._closed = True
        await self._api.close()

    # --- gathering ---------------------------------------------------------------------------------------------------------------

    def _gather(self, item: Item, line: ModelLine) -> None:
        """Put an item into the batch that is gathered; the batch leaves when it is full or nothing was added for a while."""
        most_requests, most_bytes = self._most(line)
        size = len(item.body) + 1
        if size > most_bytes:
            raise RequestRejected(
                f"a request of {size} bytes is larger than a whole batch may be ({most_bytes})", reason="request_too_large", status=413
            )
        place = (item.path, line.model, line.batch)
        found = self._gatherings.get(place)
        if found is not None and item.key not in found.items and found.bytes + size > most_bytes:
            self._dispatch(place)
            found = None
        now = self._clock.monotonic()
        if found is None:
            found = self._gatherings[place] = _Gathering(line, now, now)
            found.timer = asyncio.get_running_loop().create_task(self._ripen(place, found))
        if item.key not in found.items:
            found.items[item.key] = item
            found.bytes += size
        found.last = now
        if len(found.items) >= most_requests:
            self._dispatch(place)

    def _most(self, line: ModelLine) -> tuple[int, int]:
        """Requests and bytes of a batch: the API's limits, or less where the line says so."""
        limits, own = self._api.limits, line.batch
        return min(limits.max_requests, own.max_requests or limits.max_requests), min(limits.max_bytes, own.max_bytes or limits.max_bytes)

    async def _ripen(self, place: tuple[str, str, BatchLine], gathering: _Gathering) -> None:
        pause = gathering.line.batch.gather_seconds
        while True:
            due = min(gathering.last + pause, gathering.first + _LONGEST_GATHERING * pause)
            left = due - self._clock.monotonic()
            if left <= 0:
                break
            await self._clock.sleep(left)
        gathering.timer = None
        if self._gatherings.get(place) is gathering:
            self._dispatch(place)

    def _dispatch(self, place: tuple[str, str, BatchLine]) -> None:
        gathering = self._gatherings.pop(place)
        if gathering.timer is not None:
            gathering.timer.cancel()
        items = list(gathering.items.values())
        if items:
            row = self._carriage.new_row(self._service, gathering.line.model, len(items))
            self._adopt(row, gathering.items)
            self._wanted.add(row.tag)
            self._start(row.tag, self._send(row, items, gathering.line.batch))

    def _leave(self, key: str) -> None:
        """Nobody waits for `key` any more: it is taken back if it was not sent yet."""
        for gathering in self._gatherings.values():
            item = gathering.items.pop(key, None)
            if item is not None:
                gathering.bytes -= len(item.body) + 1

    # --- sending and joining -----------------------------------------------------------------------------------------------------

    async def _send(self, row: Row, items: list[Item], options: BatchLine) -> None:
        """Note a batch, send it, and see it through."""
        own, elsewhere = await asyncio.to_thread(self._store.claim, row, items)
        self._answered({item.key for item in items} - {item.key for item in own} - elsewhere.keys())
        for key, other in elsewhere.items():
            self._batch_of[key] = other.tag
            self._wanted.add(other.tag)
        for other in {other.tag: other for other in elsewhere.values()}.values():
            if other.tag not in self._tasks:
                await self._join(other)
        if own:
            self._rows[row.tag] = row = await self._carriage.send(row, own)
            await self._carry(row, options)
        else:
            del self._rows[row.tag]

    async def _join(self, row: Row) -> None:
        """Follow a batch that somebody else sent, or was sending."""
        self._adopt(row, [key for _, key in await asyncio.to_thread(self._store.requests, row.tag)])
        self._start(row.tag, self._follow(row))

    async def _follow(self, row: Row) -> None:
        found = await self._carriage.found(row)
        if isinstance(found, Row):
            self._rows[row.tag] = found
            await self._carry(found, self._options(found.requested_model))
        else:
            self._over(row.tag, found)

    async def _carry(self, row: Row, options: BatchLine) -> None:
        log.info("batch %s of %d requests is under way", row.remote_id, row.requests)
        self._over(row.tag, await self._carriage.carry(row, options))

    def _over(self, tag: str, ended: Ended) -> None:
        """A batch is over and forgotten: tell those whose request brought no reply, so that they may ask again."""
        self._rows.pop(tag, None)
        for key in self._drop(tag):
            error = ended.errors.get(key)
            kept = self._cache.get(key) if error is None and key in self._waiting else None  # another process may have seen it through
            if kept is not None:
                self._arrived(key, kept)
            else:
                self._tell(key, error or ended.missing)

    def _adopt(self, row: Row, keys: Iterable[str]) -> None:
        self._rows[row.tag] = row
        self._batch_of.update(dict.fromkeys(keys, row.tag))

    def _arrived(self, key: str, reply: Response) -> None:
        """A reply is kept: whoever waits may have it."""
        self._batch_of.pop(key, None)
        waiter = self._waiting.get(key)
        if waiter is not None and not waiter.done():
            waiter.set_result(reply)

    def _answered(self, keys: Iterable[str]) -> None:
        """Another process brought the replies to these while their batch was gathered."""
        for key in keys:
            kept = self._cache.get(key)
            if kept is not None:
                self._arrived(key, kept)
            else:
                del self._batch_of[key]
                self._tell(key, Unavailable("the reply to this request left the cache again", reason="batch_lost"))

    def _tell(self, key: str, error: BaseException) -> None:
        waiter = self._waiting.get(key)
        if waiter is not None and not waiter.done():
            waiter.set_exception(copy.copy(error))  # one for each: a raised error collects tracebacks

    def _options(self, requested_model: str) -> BatchLine:
        """The options for a batch that an earlier start sent: those of a line that asks the same model."""
        return next((line.batch for line in self._lines if line.model == requested_model), self._lines[0].batch)

    async def _opened(self) -> None:
        """Join what earlier starts left under way, once."""
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._open())
        await asyncio.shield(self._opening)

    async def _open(self) -> None:
        for row in await asyncio.to_thread(self._store.under_way, self._service):
            log.info("batch %s of an earlier start is joined: %d requests", row.remote_id or "(without an id yet)", row.requests)
            await self._join(row)

    def _start(self, tag: str, work: Coroutine[Any, Any, None]) -> None:
        """Do the work of a batch; should it fail, those who wait for its requests are told why, and may ask again."""
        task = self._tasks[tag] = asyncio.get_running_loop().create_task(work)

        def done(task: asyncio.Task[None]) -> None:
            del self._tasks[tag]
            error = None if task.cancelled() else task.exception()
            if error is not None:
                for key in self._drop(tag):
                    self._tell(key, error)

        task.add_done_callback(done)

    def _drop(self, tag: str) -> list[str]:
        """The keys of a batch that is followed no longer."""
        keys = [key for key, own in self._batch_of.items() if own == tag]
        for key in keys:
            del self._batch_of[key]
        return keys

    # --- the end -----------------------------------------------------------------------------------------------------------------

    async def _parted(self, row: Row) -> UnderWay:
        """What becomes of a batch that is not over; only one that this client waited for is cancelled, and only if that is wanted."""
        provider = self._lines[0].provider
        cancel = self._interrupted and row.tag in self._wanted and self._options(row.requested_model).on_interrupt == "cancel"
        if cancel and row.remote_id:
            with suppress(ProviderError):
                await self._api.cancel(row.remote_id)
                return UnderWay(provider, row.remote_id, row.requests, cancelled=True)
        return UnderWay(provider, row.remote_id, row.requests)
