"""The model client: Request → Response, the only I/O to a model, one owner for each concern, outermost first.

    cached? return it → same request in flight? join it → budget: reserve the worst case → retry( slot → rate → send )
    → commit to the cache → give the difference back → return

A reply is on disk before anyone uses it. A refused, cut-off or filtered reply is cached and replayed as what it is; errors are not
cached. The first answer that stops the service (an invalid key, a quota that is gone) stops every later call with the same error.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType, TracebackType
from typing import Any, Self

from gen.concurrency import together
from gen.errors import BudgetReached, ProviderError, RateLimited, RecipeError, RequestRejected, ServiceStopped, Unavailable
from gen.llm import call_log
from gen.llm.batching.batcher import Batcher, UnderWay
from gen.llm.batching.offer import connect_batches
from gen.llm.budget import Amount, Budget, prompt_bytes, spent_on, worst_case
from gen.llm.cache import Cache
from gen.llm.capabilities import capabilities_of
from gen.llm.check import Route, check_models, ready_route
from gen.llm.clock import Clock
from gen.llm.embedding import Vector, asked_for, embedding_key, one_by_one, portions, vector_of
from gen.llm.forecast import Forecast
from gen.llm.keys import request_key
from gen.llm.prefix import WarmUp, prefix_name
from gen.llm.prices import cost_of
from gen.llm.provider import Embedder, Endpoint, Provider, connect, sampling
from gen.llm.rates import Admission, Seat
from gen.llm.retry import Patience, retrying
from gen.llm.stats import ClientStats, Tallies, Tally
from gen.llm.telemetry import Call, Observer, open_observer
from gen.plugins import suggest
from gen.recipe import BudgetLine, ModelLine
from gen.types import Request, Response, Sampling

log = logging.getLogger(__name__)

_NO_PROVIDERS: Mapping[str, Provider] = MappingProxyType({})
# Calls in a row that ran out of attempts without one reply between them: then nobody is there, and the run stops instead of failing
# every candidate.
_DEAD_AFTER = 10
# Of a call in batches: each attempt is a batch of up to a day, and needs no pause before it but what a full queue asks for.
_BATCH_PATIENCE = Patience(total_seconds=math.inf, rate_limited_seconds=7 * 86400.0, first_wait_seconds=0.0)


@dataclass(slots=True)
class _Model:
    """A model line at work. `batched` calls wait for no slot and no rate, and only the batcher's own time limit holds for them."""

    route: Route
    admission: Admission
    provider: Provider
    batched: bool = False
    forecast: Forecast = field(default_factory=Forecast)


@dataclass(slots=True)
class _Flight:
    """A request on its way, shared by all who asked for it while it lasts. `on_wire` is True while an attempt is being sent."""

    key: str
    request: Request
    model: _Model
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


class Client:
    """Open it with `async with`; entering checks every model line and connects lazily.

    `models` are the recipe's lines by name; `providers` may hand in ready ones by the same names. `cache=None` keeps nothing. Neither
    the clock nor the random numbers (jitter only) nor an `observer` (gen.llm.telemetry) influence any reply.
    """

    def __init__(
        self,
        models: Mapping[str, ModelLine],
        *,
        budget: BudgetLine = BudgetLine(),  # noqa: B008 (frozen)
        cache: Cache | None,
        clock: Clock = Clock(),  # noqa: B008 (frozen)
        patience: Patience = Patience(),  # noqa: B008 (frozen)
        rng: random.Random | None = None,
        providers: Mapping[str, Provider] = _NO_PROVIDERS,
        observer: Observer | None = None,
    ) -> None:
        self._lines = dict(models)
        self._budget_line = budget
        self._budget = Budget(budget)
        self._cache = cache
        self._clock = clock
        self._patience = patience
        self._rng = rng or random.Random()
        self._ready = providers
        self._observer = observer or open_observer()
        self._models: dict[str, _Model] = {}
        self._by_line: dict[int, _Model] = {}
        self._providers: list[Provider] = []
        self._batchers: dict[Endpoint, Batcher] = {}
        self._flights: dict[str, _Flight] = {}
        self._tallies = Tallies()
        self._warm_up = WarmUp()
        self._stopped: ServiceStopped | None = None
        self._dead_calls = 0

    def check(self) -> None:
        """Check every model line without sending anything.

        Raises RecipeError whose key names the place: `models.writer.provider`.
        """
        self._routes()

    @property
    def stats(self) -> ClientStats:
        """What was asked, sent and paid so far."""
        return self._tallies.snapshot()

    @property
    def batches(self) -> tuple[UnderWay, ...]:
        """The batches that are not over: followed now or, after the client was closed, left to the next one on the same cache."""
        return tuple(batch for batcher in self._batchers.values() for batch in batcher.under_way)

    def interrupt(self) -> None:
        """The user wants to stop: batches of lines with `on_interrupt: cancel` are cancelled when the client closes."""
        for batcher in self._batchers.values():
            batcher.interrupt()

    async def __aenter__(self) -> Self:
        routes = self._routes()
        admissions: dict[tuple[Endpoint, str], Admission] = {}
        connected: dict[Endpoint, Provider] = {}
        batched = {name: route for name, route in routes.items() if route.line.mode == "batch" and name not in self._ready}
        self._batchers = self._connect_batches(batched.values())
        for route in routes.values():
            if route.name in batched:
                own = Admission({route.name: route.line}, self._clock)  # for the order of its seats alone: nobody queues there
                self._models[route.name] = _Model(route, own, self._batchers[route.endpoint], batched=True)
                continue
            if route.limits_key not in admissions:
                shared = {
                    name: other.line for name, other in routes.items() if other.limits_key == route.limits_key and name not in batched
                }
                admissions[route.limits_key] = Admission(shared, self._clock)
            provider = self._ready.get(route.name) or connected.get(route.endpoint)
            if provider is None:
                provider = connected[route.endpoint] = connect(route.endpoint, self._heard)
            self._models[route.name] = _Model(route, admissions[route.limits_key], provider)
        self._by_line.update((id(model.route.line), model) for model in self._models.values())
        self._providers = [*connected.values(), *self._batchers.values()]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Let what is on the wire come home for a while and be kept, end the rest, then close the connections. The cache belongs to whoever
        opened it. A second cancellation ends the waiting at once."""
        flights = [flight for flight in self._flights.values() if flight.task is not None]
        try:
            await self._landing(flights)
        finally:
            await _ended([flight.task for flight in flights if flight.task is not None])
            await self._close()

    async def _landing(self, flights: list[_Flight]) -> None:
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

    async def _close(self) -> None:
        for model in self._models.values():
            await model.admission.close()
        for provider in self._providers:
            await provider.close()

    async def generate(self, request: Request) -> Response:
        """The reply to `request`: from the cache, from an equal request in flight, or bought now.

        Raises RequestRejected (never answered), Unavailable or RateLimited (patience ended), ServiceStopped or BudgetReached (the run is
        over), StorageError (the reply could not be kept).
        """
        model = self._named(request.model)
        key = request_key(request, model.route.line, model.route.identity)
        return self._kept(key, request, model.route) or await self._asked(key, request, model)

    async def embed(self, texts: Sequence[str], *, model: str, purpose: str = "embed", step: int = 0) -> list[Vector[float]]:
        """A vector of 32-bit floats for each text, equal texts asked once; sent as many at a time as the service takes.

        Raises what `generate` raises, and RequestRejected for an empty text or a provider without embeddings.
        """
        known = self._named(model)
        line, identity, able = known.route.line, known.route.identity, capabilities_of(known.route.line)
        if not able.embeddings or known.batched or not isinstance(known.provider, Embedder):
            raise RequestRejected(f"'{line.model}' ({line.provider}) makes no embeddings", reason="embeddings_unsupported")
        single = {text: asked_for(model, [text], purpose=purpose, step=step) for text in texts}
        keys = {text: embedding_key(request, line, identity) for text, request in single.items()}
        found = {
            text: reply.text for text in single if (reply := self._kept(keys[text], single[text], known.route, embedding=True)) is not None
        }

        async def fetch(portion: list[str]) -> None:
            request = asked_for(model, portion, purpose=purpose, step=step)
            name = f"{embedding_key(request, line, identity)}*"  # never the key of a text's own row
            reply = await self._asked(name, request, known, [keys[text] for text in portion])
            found.update(zip(portion, reply.text.split("\n"), strict=True))

        wanted = [text for text in single if text not in found]
        await together(fetch(portion) for portion in portions(wanted, inputs=able.embedding_inputs, size=able.embedding_bytes))
        return [vector_of(found[text]) for text in texts]

    def _named(self, name: str) -> _Model:
        model = self._models.get(name)
        if model is None:
            raise RecipeError(f"unknown model '{name}': {suggest(name, sorted(self._lines))}", key="models")
        return model

    def _kept(self, key: str, request: Request, route: Route, *, embedding: bool = False) -> Response | None:
        """The reply in the cache; None where there is none, or the same request is in flight and can be joined."""
        cached = self._cache.get(key) if self._cache is not None and key not in self._flights else None
        if cached is None:
            return None
        _count(self._tallies.of(route.name, request.purpose), "cache_hits")
        if self._observer is not None:
            self._observer.cache_hit(route, request, embedding=embedding)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s: %s, from the cache", call_log.named(key, request), call_log.paid(cached, 0.0))
        return dataclasses.replace(cached, key=key, cost=cost_of(cached.usage, route.price), from_cache=True)

    async def _asked(self, key: str, request: Request, model: _Model, texts: Sequence[str] = ()) -> Response:
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

    # --- one request on its way ------------------------------------------------------------------------------------------------

    def _take_off(self, key: str, request: Request, model: _Model, tallies: tuple[Tally, Tally, Tally], texts: Sequence[str]) -> _Flight:
        route = model.route
        chosen = Sampling(max_tokens=0) if texts else sampling(request, route.line)
        size = prompt_bytes(request)
        seat = model.admission.seat(route.name, request.step, model.forecast.amounts(size, chosen.max_tokens or 0))
        prefix = "" if texts else prefix_name(request, route.line)
        need = worst_case(request, chosen, route.price, size, kept=bool(prefix))
        flight = _Flight(key, request, model, tallies, size, need, seat, prefix, texts)
        self._flights[key] = flight
        flight.task = asyncio.get_running_loop().create_task(self._fetch(flight))
        flight.task.add_done_callback(_retrieve)
        return flight

    async def _join(self, flight: _Flight) -> Response:
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

    def _call_off(self, flight: _Flight) -> None:
        if flight.task is not None:
            flight.task.cancel()
        self._land(flight)

    async def _fetch(self, flight: _Flight) -> Response:
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

    async def _attempt(self, flight: _Flight) -> Response:
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
        self._dead_calls = 0
        cost = cost_of(reply.usage, model.route.price)
        self._settle(flight, spent_on(reply.usage, cost, flight.need))
        model.forecast.learn(flight.size, reply.usage)
        for tally in flight.tallies:
            tally.paid(reply.usage, cost)
        if self._cache is not None:
            reply = await self._keep(self._cache, flight, reply)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s: %s, %.2f s", _label(flight), call_log.paid(reply, cost), self._clock.monotonic() - flight.seat.sent)
        return dataclasses.replace(reply, key=flight.key, cost=cost_of(reply.usage, model.route.price))

    async def _keep(self, cache: Cache, flight: _Flight, reply: Response) -> Response:
        """Commit a reply; vectors text by text."""
        model, created = flight.model.route.line.model, self._clock.wall()
        if not flight.texts:
            return await cache.put(flight.key, reply, requested_model=model, created=created)
        rows = zip(flight.texts, one_by_one(flight.request, reply), strict=True)
        await asyncio.gather(*(cache.put(key, row, requested_model=model, created=created) for key, row in rows))
        return reply

    async def _send(self, flight: _Flight) -> Response:
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

    def _observed(self, observer: Observer, flight: _Flight) -> Call:
        route, batched, embedding = flight.model.route, flight.model.batched, bool(flight.texts)
        return observer.call(route, flight.request, sampling(flight.request, route.line), embedding=embedding, batched=batched)

    def _book_failure(self, flight: _Flight, failure: ProviderError | None) -> None:
        """What a call without a reply took: all of its reservation where it may be billed (also when it was called off on the wire),
        one call where the service answered with an error, nothing where it was turned away or never arrived."""
        if failure is None or (isinstance(failure, Unavailable) and failure.billed):
            self._settle(flight, flight.need)
        elif not isinstance(failure, RateLimited) and failure.status is not None:
            self._settle(flight, Amount(calls=1))

    def _settle(self, flight: _Flight, spent: Amount) -> None:
        flight.reserved = False
        self._budget.settle(flight.need, spent)

    def _retried(self, flight: _Flight, error: ProviderError) -> None:
        _count(flight.tallies, "rate_limited" if isinstance(error, RateLimited) else "retries")
        log.debug("%s is asked again after %s", _label(flight), call_log.failed(error))
        if self._observer is not None:
            self._observer.retry(flight.model.route, flight.request, error, embedding=bool(flight.texts))
        if flight.waiters == 0:  # it came home with an error and nobody waits any more
            self._call_off(flight)

    def _final(self, flight: _Flight, error: ProviderError) -> ProviderError:
        """The error that the callers see; one that ends the run trips the client."""
        if isinstance(error, Unavailable):
            self._dead_calls += 1
            if self._dead_calls >= _DEAD_AFTER:
                error = ServiceStopped(
                    f"{_DEAD_AFTER} calls in a row got no answer from {flight.model.route.line.provider} "
                    f"(model '{flight.model.route.name}'): {error}; run again to go on",
                    reason="service_unreachable",
                )
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

    def _land(self, flight: _Flight) -> None:
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]

    # --- opening ---------------------------------------------------------------------------------------------------------------

    def _routes(self) -> dict[str, Route]:
        ready = {name: ready_route(name, line) for name, line in self._lines.items() if name in self._ready}
        checked = check_models({name: line for name, line in self._lines.items() if name not in ready}, self._budget_line)
        return {name: ready.get(name) or checked[name] for name in self._lines}

    def _connect_batches(self, routes: Iterable[Route]) -> dict[Endpoint, Batcher]:
        lines: dict[Endpoint, dict[str, ModelLine]] = {}
        for route in routes:
            lines.setdefault(route.endpoint, {})[route.name] = route.line
        return {endpoint: connect_batches(endpoint, own, self._cache, self._clock) for endpoint, own in lines.items()}

    def _heard(self, line: ModelLine, headers: Mapping[str, str]) -> None:
        model = self._by_line.get(id(line))
        if model is not None:
            model.admission.heard(headers)


def _count(tallies: tuple[Tally, Tally, Tally], name: str) -> None:
    for tally in tallies:
        setattr(tally, name, getattr(tally, name) + 1)


def _label(flight: _Flight) -> str:
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
