"""The calls on their way: each request once, however many wait for it.

    budget: reserve the worst case → retry( slot → rate → send ) → commit to the cache → give the difference back

A reply is on disk before anyone uses it. The first answer that stops the service (an invalid key, a quota that is gone) stops every later
call with the same error. A call that nobody waits for any more is called off, unless it is on the wire: what may be billed is kept.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gen.errors import BudgetReached, ProviderError, RateLimited, ServiceStopped, Unavailable
from gen.llm import call_log
from gen.llm.budget import Amount, Budget, prompt_bytes, spent_on, worst_case
from gen.llm.cache import Cache
from gen.llm.capabilities import sampling
from gen.llm.check import KEY_REASONS, Route
from gen.llm.clock import Clock
from gen.llm.embedding import one_by_one
from gen.llm.forecast import Forecast
from gen.llm.prefix import WarmUp, prefix_name
from gen.llm.prices import cost_of
from gen.llm.provider import CAPABILITIES, Embedder, Provider
from gen.llm.rates import Admission, Seat
from gen.llm.retry import Patience, retrying
from gen.llm.stats import Tallies, Tally
from gen.llm.telemetry import Call, Observer
from gen.types import Request, Response, Sampling

log = logging.getLogger(__name__)

# Calls of one model in a row that ran out of attempts without one reply between them: then nobody is there, and the run stops instead of
# failing every candidate.
_DEAD_AFTER = 10
# Of a call in batches: each attempt is a batch of up to a day, and needs no pause before it but what a full queue asks for.
_BATCH_PATIENCE = Patience(total_seconds=math.inf, rate_limited_seconds=7 * 86400.0, first_wait_seconds=0.0)


@dataclass(slots=True)
class Model:
    """A model line at work. `batched` calls wait for no slot and no rate, and only the batcher's own time limit holds for them.
    `dead_calls` ran out of attempts since its last reply; `answered` is whether there ever was one."""

    route: Route
    admission: Admission
    provider: Provider
    batched: bool = False
    forecast: Forecast = field(default_factory=Forecast)
    dead_calls: int = 0
    answered: bool = False


@dataclass(slots=True)
class Flight:
    """A request on its way, shared by all who asked for it while it lasts. `on_wire` is True while an attempt is being sent or its reply
    is being kept: nobody's giving up ends it then."""

    key: str
    request: Request
    model: Model
    tallies: tuple[Tally, Tally, Tally]
    size: int
    need: Amount
    seat: Seat
    prefix: str = ""
    texts: Sequence[str] = ()
    waiters: int = 0
    on_wire: bool = False
    reserved: bool = False
    task: asyncio.Task[Response] | None = None


class Flights:
    """All calls of one client that are under way."""

    def __init__(
        self,
        *,
        cache: Cache | None,
        budget: Budget,
        clock: Clock,
        patience: Patience,
        rng: random.Random,
        tallies: Tallies,
        observer: Observer | None,
    ) -> None:
        self._cache = cache
        self._budget = budget
        self._clock = clock
        self._patience = patience
        self._rng = rng
        self._tallies = tallies
        self._observer = observer
        self._flights: dict[str, Flight] = {}
        self._warm_up = WarmUp()
        self._stopped: ServiceStopped | None = None

    def __contains__(self, key: str) -> bool:
        return key in self._flights

    async def reply(self, key: str, request: Request, model: Model, texts: Sequence[str] = ()) -> Response:
        """A reply that the cache has not: joined, or bought now. `texts` are the cache keys of the texts to embed, if any."""
        tallies = self._tallies.of(model.route.name, request.purpose)
        flight = self._flights.get(key)
        if flight is None:
            self._raise_if_stopped()
            flight = self._take_off(key, request, model, tallies, texts)
        else:
            _count(tallies, "joined")
            log.debug("%s joins an equal call in flight", _label(flight))
        return await self._join(flight)

    async def land(self) -> None:
        """Let what is on the wire come home for a while and be kept, end the rest. A second cancellation ends the waiting at once."""
        flights = [flight for flight in self._flights.values() if flight.task is not None]
        try:
            await self._landing(flights)
        finally:
            await _ended([flight.task for flight in flights if flight.task is not None])

    async def _landing(self, flights: list[Flight]) -> None:
        """Wait for the calls on the wire, at most `Patience.landing_seconds`: they may be billed, so their replies are kept."""
        homing: list[asyncio.Task[Any]] = []
        for flight in flights:
            assert flight.task is not None
            if flight.on_wire:
                flight.waiters = 0  # whoever still waits is being ended; a failure is not asked again
                homing.append(flight.task)
            else:
                flight.task.cancel()
        if not homing or self._patience.landing_seconds <= 0:
            return
        limit = asyncio.ensure_future(self._clock.sleep(self._patience.landing_seconds))
        home = asyncio.ensure_future(asyncio.wait(homing))
        try:
            await asyncio.wait({limit, home}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            limit.cancel()
            home.cancel()

    def _take_off(self, key: str, request: Request, model: Model, tallies: tuple[Tally, Tally, Tally], texts: Sequence[str]) -> Flight:
        route = model.route
        chosen = Sampling(max_tokens=0) if texts else sampling(request, route.line)
        size = prompt_bytes(request)
        seat = model.admission.seat(route.name, request.step, model.forecast.amounts(size, chosen.max_tokens or 0))
        prefix = "" if texts else prefix_name(request, route.line)
        need = worst_case(request, chosen, route.price, size, kept=bool(prefix))
        flight = Flight(key, request, model, tallies, size, need, seat, prefix, texts)
        self._flights[key] = flight
        flight.task = asyncio.get_running_loop().create_task(self._fetch(flight))
        flight.task.add_done_callback(_retrieve)
        return flight

    async def _join(self, flight: Flight) -> Response:
        """Wait for a flight without owning it: it goes on while anybody waits. When the last one gave up it is called off, unless it is on
        the wire: what may be billed comes home and is kept, and whoever asks for the same meanwhile joins it."""
        task = flight.task
        assert task is not None
        flight.waiters += 1
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            own = asyncio.current_task()
            if task.cancelled() and self._stopped is not None and (own is None or not own.cancelling()):
                self._raise_if_stopped()
            raise
        finally:
            flight.waiters = max(0, flight.waiters - 1)
            if flight.waiters == 0 and not flight.on_wire and not task.done():
                self._call_off(flight)

    def _call_off(self, flight: Flight) -> None:
        if flight.task is not None:
            flight.task.cancel()
        self._land(flight)

    async def _fetch(self, flight: Flight) -> Response:
        async def attempt() -> Response:
            return await self._attempt(flight)

        leads = False
        try:
            leads = bool(flight.prefix) and not flight.model.batched and await self._warm_up.turn(flight.prefix)
            reply = await retrying(
                attempt,
                patience=_BATCH_PATIENCE if flight.model.batched else self._patience,
                clock=self._clock,
                rng=self._rng,
                on_retry=lambda error: self._retried(flight, error),
            )
        except ProviderError as error:
            _count(flight.tallies, "failed")
            log.debug("%s failed: %s", _label(flight), call_log.failed(error))
            raise self._final(flight, error) from None
        finally:
            if leads:
                self._warm_up.done(flight.prefix)
            if flight.reserved:
                self._settle(flight, Amount())
            self._land(flight)
        return reply

    async def _attempt(self, flight: Flight) -> Response:
        """Reserve, wait for a slot and the rate, send once, keep the reply."""
        model = flight.model
        self._raise_if_stopped()
        if not flight.reserved:
            await self._budget.reserve(flight.need, step=flight.request.step)
            flight.reserved = True
        if model.batched:
            flight.seat.sent = self._clock.monotonic()
        else:
            await model.admission.enter(flight.seat)
        if self._stopped is not None and not model.batched:
            model.admission.leave(flight.seat)
            self._raise_if_stopped()
        reply = await self._send(flight)
        model.dead_calls, model.answered = 0, True
        cost = cost_of(reply.usage, model.route.price)
        self._settle(flight, spent_on(reply.usage, cost, flight.need))
        model.forecast.learn(flight.size, reply.usage)
        for tally in flight.tallies:
            tally.paid(reply.usage, cost)
        if self._cache is not None:
            flight.on_wire = True
            reply = await self._keep(self._cache, flight, reply)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s: %s, %.2f s", _label(flight), call_log.paid(reply, cost), self._clock.monotonic() - flight.seat.sent)
        return dataclasses.replace(reply, key=flight.key, cost=cost_of(reply.usage, model.route.price))

    async def _keep(self, cache: Cache, flight: Flight, reply: Response) -> Response:
        """Commit a reply; vectors text by text."""
        model, created = flight.model.route.line.model, self._clock.wall()
        if not flight.texts:
            return await cache.put(flight.key, reply, requested_model=model, created=created)
        rows = zip(flight.texts, one_by_one(flight.request, reply), strict=True)
        await asyncio.gather(*(cache.put(key, row, requested_model=model, created=created) for key, row in rows))
        return reply

    async def _send(self, flight: Flight) -> Response:
        """One attempt on the wire, within the line's time. What may have been billed stays reserved."""
        model, line = flight.model, flight.model.route.line
        reply: Response | None = None
        failure: ProviderError | None = None
        flight.on_wire = not model.batched  # whoever gives up on a batch leaves it: what it brings is kept all the same
        for tally in flight.tallies:
            tally.requests += 1
            tally.in_flight += 1
        call = None if self._observer is None else self._observed(self._observer, flight)
        try:
            async with asyncio.timeout(None if model.batched else line.timeout_seconds):
                carry = model.provider.embed if flight.texts and isinstance(model.provider, Embedder) else model.provider.send
                reply = await carry(flight.request, line)
        except TimeoutError:
            failure = Unavailable(
                f"{line.provider} did not answer within {line.timeout_seconds:g} s (`timeout_seconds`)", reason="timeout", billed=True
            )
            raise failure from None
        except ProviderError as error:
            failure = self._too_long(error)
            raise failure from None
        finally:
            flight.on_wire = False
            for tally in flight.tallies:
                tally.in_flight -= 1
            if not model.batched:
                model.admission.leave(flight.seat, usage=reply.usage if reply is not None else None, error=failure)
            if reply is None and flight.reserved:
                self._book_failure(flight, failure)
            if call is not None:
                call.ended(reply, failure)
        return reply

    def _observed(self, observer: Observer, flight: Flight) -> Call:
        route, batched, embedding = flight.model.route, flight.model.batched, bool(flight.texts)
        return observer.call(route, flight.request, sampling(flight.request, route.line), embedding=embedding, batched=batched)

    def _book_failure(self, flight: Flight, failure: ProviderError | None) -> None:
        """What a call without a reply took: all of its reservation where it may be billed (also when it was called off on the wire),
        one call where the service answered with an error, nothing where it was turned away or never arrived."""
        if failure is None or (isinstance(failure, Unavailable) and failure.billed):
            self._settle(flight, flight.need)
        elif not isinstance(failure, RateLimited) and failure.status is not None:
            self._settle(flight, Amount(calls=1))

    def _settle(self, flight: Flight, spent: Amount) -> None:
        flight.reserved = False
        self._budget.settle(flight.need, spent)

    def _retried(self, flight: Flight, error: ProviderError) -> None:
        _count(flight.tallies, "rate_limited" if isinstance(error, RateLimited) else "retries")
        log.debug("%s is asked again after %s", _label(flight), call_log.failed(error))
        if self._observer is not None:
            self._observer.retry(flight.model.route, flight.request, error, embedding=bool(flight.texts))
        if flight.waiters == 0:  # it came home with an error and nobody waits any more
            self._call_off(flight)

    def _final(self, flight: Flight, error: ProviderError) -> ProviderError:
        """The error that the callers see; one that ends the run trips the client."""
        if isinstance(error, Unavailable):
            model = flight.model
            model.dead_calls += 1
            if model.dead_calls >= _DEAD_AFTER:
                error = ServiceStopped(
                    f"{_DEAD_AFTER} calls in a row got no answer from {model.route.line.provider} "
                    f"(model '{model.route.name}'): {error}; run again to go on",
                    reason="service_unreachable",
                )
        if error.reason == "not_found" and not flight.model.answered and CAPABILITIES[flight.model.route.line.provider].answers == "chat":
            place = f"models.{flight.model.route.name}"
            error = ServiceStopped(f"{error}; check `{place}.model` and `{place}.base_url`", reason="model_not_found", status=error.status)
        if isinstance(error, ServiceStopped) and error.reason in KEY_REASONS and self._stopped is None:
            error = ServiceStopped(f"{error}{flight.model.route.key_hint}", reason=error.reason, status=error.status)
        if isinstance(error, ServiceStopped) and not isinstance(error, BudgetReached):
            self._trip(error)
        return error

    def _trip(self, error: ServiceStopped) -> None:
        """Stop every call that is not on the wire; what is there may still come home and be kept."""
        if self._stopped is not None:
            return
        self._stopped = error
        for flight in list(self._flights.values()):
            if not flight.on_wire and flight.task is not None and flight.task is not asyncio.current_task():
                flight.task.cancel()

    def _raise_if_stopped(self) -> None:
        """Raise the error that stopped the client; a new one each time, because a raised error collects tracebacks."""
        if self._stopped is not None:
            raise ServiceStopped(str(self._stopped), reason=self._stopped.reason, status=self._stopped.status)

    def _too_long(self, error: ProviderError) -> ProviderError:
        """A rate limit that asks for more waiting than patience allows (a daily quota) ends the run instead of holding everything up."""
        longest = self._patience.rate_limited_seconds
        if isinstance(error, RateLimited) and (error.retry_after_seconds or 0.0) > longest:
            return ServiceStopped(
                f"{error}; it asks to wait {error.retry_after_seconds:.0f} s, more than {longest:.0f} s: run again then",
                reason="rate_limited",
                status=error.status,
            )
        return error

    def _land(self, flight: Flight) -> None:
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]


def _count(tallies: tuple[Tally, Tally, Tally], name: str) -> None:
    for tally in tallies:
        setattr(tally, name, getattr(tally, name) + 1)


def _label(flight: Flight) -> str:
    return call_log.named(flight.key, flight.request)


async def _ended(tasks: list[asyncio.Task[Any]]) -> None:
    """Cancel what still runs and wait until all of it has ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _retrieve(task: asyncio.Task[Response]) -> None:
    """Look at the outcome of a flight that nobody waits for any more, so that asyncio does not report it."""
    if not task.cancelled():
        task.exception()
