"""One batch from its sending to its last result: noted before it is sent, its id written down before anybody waits, looked at in growing
intervals, every reply committed to the cache as it is downloaded, and forgotten last.

A crash at any point leaves a row behind. With an id the next start simply goes on waiting. Without one it asks the provider for a batch
that bears our tag (OpenAI), or for the only unknown one of that size since then (Anthropic); where it finds none, the batch was never
sent. Results are matched by their custom_id alone, so a wrong guess costs time, never a wrong reply.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial

from gen.errors import ProviderError, RateLimited, RequestRejected, ServiceStopped, StorageError, Unavailable
from gen.llm.batching.api import BatchApi, Item, Look, Traces
from gen.llm.batching.store import Row, Store
from gen.llm.cache import Cache
from gen.llm.clock import Clock
from gen.llm.retry import Patience, Result, retrying
from gen.recipe import BatchLine
from gen.types import EMPTY, Response

log = logging.getLogger(__name__)

# A batch that is being sent is touched this often; one that was not touched for four times as long is abandoned, its process dead.
_TOUCH_SECONDS = 15.0
_ABANDONED_SECONDS = 60.0
_FIRST_LOOK = 1 / 16  # of `poll_seconds`; small batches are often over within minutes
_INTERVAL_GROWTH = 1.5
_GONE_AFTER = 3  # looks in a row that found no such batch: a new one may not be seen everywhere at once
_GROUP = 200  # replies that are committed together


@dataclass(frozen=True, slots=True)
class Ended:
    """The requests that a batch brought no reply for: `errors` by key, `missing` for all others."""

    missing: ProviderError
    errors: Mapping[str, ProviderError] = field(default_factory=lambda: EMPTY)


class Carriage:
    """Carries batches of one service. `arrived` is told each reply once it is in the cache; `coming_home` are the tags of batches that
    are over and whose results are being kept."""

    def __init__(self, api: BatchApi, store: Store, cache: Cache, clock: Clock, arrived: Callable[[str, Response], None]) -> None:
        self._api, self._store, self._cache, self._clock, self._arrived = api, store, cache, clock, arrived
        self._patience = Patience()
        self.coming_home: set[str] = set()
        self._rng = random.Random()

    def new_row(self, service: str, model: str, requests: int) -> Row:
        """The row of a batch that begins now."""
        now = self._clock.wall()
        return Row(f"sluice-{secrets.token_hex(16)}", service, "", model, requests, now, now)

    async def send(self, row: Row, items: Sequence[Item]) -> Row:
        """Send a noted batch and write its id down. Raises ProviderError: then it is forgotten, unless it may have been taken."""
        unsure = False

        async def attempt() -> str:
            nonlocal unsure
            if unsure and (found := await self._find(row)):
                return found
            try:
                return await self._api.submit(row.tag, items)
            except Unavailable as error:
                unsure = unsure or error.billed
                raise

        touching = asyncio.get_running_loop().create_task(self._touch(row.tag))
        try:
            remote_id = await self._patiently(attempt)
        except ProviderError as error:
            if not unsure:
                await asyncio.to_thread(self._store.forget, row.tag)
            raise _of_the_batch(error, f"a batch of {len(items)} requests to '{row.requested_model}' was refused") from None
        finally:
            touching.cancel()
        await asyncio.to_thread(self._store.sent, row.tag, remote_id)
        return replace(row, remote_id=remote_id, requests=len(items))

    async def found(self, row: Row) -> Row | Ended:
        """A batch that somebody else noted, with its id: waits while another process is sending it, searches for it where that one died.
        Ended where it was never sent, or is over by now."""
        while True:
            now = await asyncio.to_thread(self._store.row, row.tag)
            if now is None:
                return Ended(_gone("is over"))
            if now.remote_id:
                return now
            if self._clock.wall() - now.touched >= _ABANDONED_SECONDS and await self._taken_over(now):
                remote_id = await self._patiently(partial(self._find, now))
                if remote_id:
                    await asyncio.to_thread(self._store.sent, row.tag, remote_id)
                    log.info("batch %s was sent by a start that ended before it noted the id; it is joined", remote_id)
                    return replace(now, remote_id=remote_id)
                await asyncio.to_thread(self._store.forget, row.tag)
                return Ended(_gone("was never sent"))
            await self._clock.sleep(_TOUCH_SECONDS)

    async def carry(self, row: Row, options: BatchLine) -> Ended:
        """Wait for the end of a batch and keep what it brought.

        Raises ServiceStopped `batch_unfinished` after `max_wait_hours`, or what ends the service; the batch stays noted then.
        """
        look = await self._watch(row, options)
        self.coming_home.add(row.tag)
        try:
            return await self._ended(row, look)
        finally:
            self.coming_home.discard(row.tag)

    async def _ended(self, row: Row, look: Look | None) -> Ended:
        """Keep what a batch brought, and forget it."""
        requests = await asyncio.to_thread(self._store.requests, row.tag)
        if look is None:
            log.warning("batch %s is not known to the provider any more: its requests are asked anew", row.remote_id)
            ended = Ended(_gone("is not known any more"))
        else:
            errors = {requests[line - 1][1]: error for line, error in look.lines.items() if 0 < line <= len(requests)}
            missing = look.missing or _gone("ended without a result for this request")
            if len(errors) == len(requests) > 1:  # not one request but the service refuses: no candidate is lost to that
                missing, errors = ServiceStopped(str(missing), reason="batch_failed"), {}
            try:
                errors |= await self._patiently(lambda: self._keep(row, look, dict(requests)))
            except RequestRejected as error:  # results are kept for a month or so
                log.warning("the results of batch %s cannot be had: %s", row.remote_id, error)
                missing = _gone("has lost its results")
            ended = Ended(missing, errors)
            if look.missing is not None:
                log.warning("batch %s: %s", row.remote_id, look.missing)
        await asyncio.to_thread(self._store.forget, row.tag)
        return ended

    async def _watch(self, row: Row, options: BatchLine) -> Look | None:
        """Look until it has ended; None where it is gone. Faults on the way are no news."""
        pause, gone = options.poll_seconds * _FIRST_LOOK, 0
        while True:
            try:
                look = await self._api.look(row.remote_id)
            except RequestRejected as error:
                if error.reason != "not_found":
                    raise _of_the_batch(error, f"batch {row.remote_id} cannot be looked at") from None
                gone += 1
                if gone >= _GONE_AFTER:
                    return None
            except (Unavailable, RateLimited) as error:
                log.debug("batch %s could not be looked at: %s", row.remote_id, error.reason)
            else:
                gone = 0
                if look.ended:
                    return look
            hours = (self._clock.wall() - row.created) / 3600
            if hours >= options.max_wait_hours:
                raise ServiceStopped(
                    f"batch {row.remote_id} of {row.requests} requests is not over after {hours:.3g} hours (`max_wait_hours`); "
                    "it goes on: run again to join it",
                    reason="batch_unfinished",
                )
            await self._clock.sleep(pause)
            pause = min(options.poll_seconds, pause * _INTERVAL_GROWTH)

    async def _keep(self, row: Row, look: Look, key_of: Mapping[str, str]) -> dict[str, ProviderError]:
        """Download the results; the replies go into the cache in groups, the errors come back."""
        errors: dict[str, ProviderError] = {}
        group: list[tuple[str, Response]] = []

        async def commit() -> None:
            nonlocal group
            done, group = group, []
            created = self._clock.wall()
            put = (self._cache.put(key, reply, requested_model=row.requested_model, created=created) for key, reply in done)
            for (key, _), kept in zip(done, await asyncio.gather(*put), strict=True):
                self._arrived(key, kept)

        async with aclosing(self._api.results(look)) as results:
            async for custom_id, outcome in results:
                key = key_of.get(custom_id)
                if key is None:
                    continue
                if isinstance(outcome, Response):
                    group.append((key, outcome))
                    if len(group) >= _GROUP:
                        await commit()
                else:
                    errors[key] = _of_an_item(outcome)
        await commit()
        return errors

    async def _find(self, row: Row) -> str:
        known = {one.remote_id for one in await asyncio.to_thread(self._store.under_way, row.service)} - {""}
        try:
            return await self._api.find(Traces(row.tag, row.requests, row.created, frozenset(known)))
        except RequestRejected as error:
            raise _of_the_batch(error, "batches cannot be listed") from None

    async def _taken_over(self, row: Row) -> bool:
        return await asyncio.to_thread(self._store.take_over, row, self._clock.wall())

    async def _touch(self, tag: str) -> None:
        while True:
            await self._clock.sleep(_TOUCH_SECONDS)
            try:
                await asyncio.to_thread(self._store.touch, tag, self._clock.wall())
            except StorageError as error:  # what matters is written elsewhere, and tells its own failure
                log.debug("a batch that is being sent could not be touched: %s", error)

    async def _patiently(self, attempt: Callable[[], Coroutine[None, None, Result]]) -> Result:
        """What `attempt` brings in the end, with the pauses of the live API's retries."""

        def again(error: ProviderError) -> None:
            log.debug("a step of a batch is tried again after %s", error.reason)

        return await retrying(attempt, patience=self._patience, clock=self._clock, rng=self._rng, on_retry=again)


def _of_an_item(error: ProviderError) -> ProviderError:
    """The error of one request in a batch. A rate limit there spends an attempt: every try of it is a whole batch."""
    if isinstance(error, RateLimited):
        return Unavailable(f"{error} (in a batch)", reason=error.reason, status=error.status)
    return error


def _of_the_batch(error: ProviderError, what: str) -> ProviderError:
    """The error of a call about a whole batch. A rejection is no single request's, so it ends the run, not its candidates."""
    return ServiceStopped(f"{what}: {error}", reason="batch_failed", status=error.status) if isinstance(error, RequestRejected) else error


def _gone(what: str) -> Unavailable:
    return Unavailable(f"the batch of this request {what}", reason="batch_lost")
