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
import random
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Self

from gen.concurrency import together
from gen.errors import RecipeError, RequestRejected
from gen.llm import call_log
from gen.llm.batching.batcher import Batcher, UnderWay
from gen.llm.batching.offer import connect_batches
from gen.llm.budget import Budget
from gen.llm.cache import Cache
from gen.llm.capabilities import capabilities_of
from gen.llm.check import Route, check_models, ready_route
from gen.llm.clock import Clock
from gen.llm.embedding import Vector, asked_for, embedding_key, portions, vector_of
from gen.llm.flights import Flights, Model
from gen.llm.keys import request_key
from gen.llm.prices import cost_of
from gen.llm.provider import Embedder, Endpoint, Provider, connect
from gen.llm.rates import Admission
from gen.llm.retry import Patience
from gen.llm.stats import ClientStats, Tallies
from gen.llm.telemetry import Observer, open_observer
from gen.plugins import suggest
from gen.recipe import BudgetLine, ModelLine
from gen.types import Request, Response

log = logging.getLogger(__name__)

_NO_PROVIDERS: Mapping[str, Provider] = MappingProxyType({})


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
        self._cache = cache
        self._clock = clock
        self._ready = providers
        self._observer = observer or open_observer()
        self._models: dict[str, Model] = {}
        self._by_line: dict[int, Model] = {}
        self._providers: list[Provider] = []
        self._batchers: dict[Endpoint, Batcher] = {}
        self._embedding: dict[str, asyncio.Future[str | None]] = {}  # texts under way: their vector, or None when their call failed
        self._tallies = Tallies()
        self._flights = Flights(
            cache=cache,
            budget=Budget(budget),
            clock=clock,
            patience=patience,
            rng=rng or random.Random(),
            tallies=self._tallies,
            observer=self._observer,
        )

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
                self._models[route.name] = Model(route, own, self._batchers[route.endpoint], batched=True)
                continue
            if route.limits_key not in admissions:
                shared = {
                    name: other.line for name, other in routes.items() if other.limits_key == route.limits_key and name not in batched
                }
                admissions[route.limits_key] = Admission(shared, self._clock)
            provider = self._ready.get(route.name) or connected.get(route.endpoint)
            if provider is None:
                provider = connected[route.endpoint] = connect(route.endpoint, self._heard)
            self._models[route.name] = Model(route, admissions[route.limits_key], provider)
        self._by_line.update((id(model.route.line), model) for model in self._models.values())
        self._providers = [*connected.values(), *self._batchers.values()]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Let what is on the wire come home for a while and be kept, end the rest, then close the connections. The cache belongs to whoever
        opened it. A second cancellation ends the waiting at once."""
        try:
            await self._flights.land()
        finally:
            await self._close()

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
        return self._kept(key, request, model.route) or await self._flights.reply(key, request, model)

    async def embed(self, texts: Sequence[str], *, model: str, purpose: str = "embed", step: int = 0) -> list[Vector[float]]:
        """A vector of 32-bit floats for each text, equal texts asked once, whoever asks; sent as many at a time as the service takes.

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
            reply = await self._flights.reply(name, request, known, [keys[text] for text in portion])
            found.update(zip(portion, reply.text.split("\n"), strict=True))

        while wanted := [text for text in single if text not in found]:
            own = [text for text in wanted if keys[text] not in self._embedding]
            others = {text: self._embedding[keys[text]] for text in wanted if text not in own}
            self._embedding.update({keys[text]: asyncio.get_running_loop().create_future() for text in own})
            try:
                await together(fetch(portion) for portion in portions(own, inputs=able.embedding_inputs, size=able.embedding_bytes))
            finally:
                for text in own:
                    self._embedding.pop(keys[text]).set_result(found.get(text))
            came = {text: await asyncio.shield(vector) for text, vector in others.items()}
            found.update({text: vector for text, vector in came.items() if vector is not None})
        return [vector_of(found[text]) for text in texts]

    def _named(self, name: str) -> Model:
        model = self._models.get(name)
        if model is None:
            raise RecipeError(f"unknown model '{name}': {suggest(name, sorted(self._lines))}", key="models")
        return model

    def _kept(self, key: str, request: Request, route: Route, *, embedding: bool = False) -> Response | None:
        """The reply in the cache; None where there is none, or the same request is in flight and can be joined."""
        cached = self._cache.get(key) if self._cache is not None and key not in self._flights else None
        if cached is None:
            return None
        for tally in self._tallies.of(route.name, request.purpose):
            tally.cache_hits += 1
        if self._observer is not None:
            self._observer.cache_hit(route, request, embedding=embedding)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s: %s, from the cache", call_log.named(key, request), call_log.paid(cached, 0.0))
        return dataclasses.replace(cached, key=key, cost=cost_of(cached.usage, route.price), from_cache=True)

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
