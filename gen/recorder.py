"""Stands between what asks and the client: remembers each reply for the ledger's accounts, and each error that is final."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from gen import __version__
from gen.errors import RequestRejected
from gen.ledger import Ledger
from gen.llm.stats import ClientStats
from gen.types import Call, Generate, Outcome, Request, Response, Session, digest

# Final errors that lie in the request itself. A model that is not there (404) may be there tomorrow, so it is asked again.
ABOUT_THE_REQUEST = frozenset({"bad_request", "context_too_long", "content_policy", "request_too_large"})
EMBED_PURPOSE, EMBED_STEP = "semantic_dup.embed", 80  # after what makes a sample, before its judges


class Vectors(Protocol):
    """What asks a service for vectors: `Client.embed`."""

    def __call__(self, texts: Sequence[str], *, model: str, purpose: str, step: int) -> Awaitable[Sequence[Sequence[float]]]: ...


@dataclass
class Recorder:
    """A `Generate` for strategies, judges and pair makers, and an `Embed` for gates. A request that failed for good before gets its error
    again, unsent."""

    client: Generate
    ledger: Ledger
    vectors: Vectors | None = None
    calls: dict[str, Call] = field(default_factory=dict)
    errors: dict[str, tuple[str, str, int | None]] = field(init=False)
    fresh_errors: list[tuple[str, str, str, int | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.errors = self.ledger.errors()

    async def generate(self, request: Request) -> Response:
        """The reply, remembered."""
        if self.errors:
            self._raise_known(_request_digest(request))
        try:
            response = await self.client(request)
        except RequestRejected as error:
            self._keep(error, _request_digest(request))
            raise
        self.calls[response.key] = Call(
            key=response.key,
            model=request.model,
            model_id=response.model,
            purpose=request.purpose,
            usage=response.usage,
            cost=response.cost,
            finish_reason=response.finish_reason,
            simulated=response.simulated,
        )
        return response

    async def embed(self, text: str, model: str) -> Sequence[float]:
        """The vector of a text by a model of the recipe. Raises what the client raises."""
        assert self.vectors is not None  # a run hands it in
        name = digest(["vector", model, text], length=32)
        self._raise_known(name)
        try:
            (vector,) = await self.vectors([text], model=model, purpose=EMBED_PURPOSE, step=EMBED_STEP)
        except RequestRejected as error:
            self._keep(error, name)
            raise
        return vector

    def _raise_known(self, name: str) -> None:
        if name in self.errors:
            reason, message, status = self.errors[name]
            raise RequestRejected(message, reason=reason, status=status)

    def _keep(self, error: RequestRejected, name: str) -> None:
        if error.reason in ABOUT_THE_REQUEST:
            self.fresh_errors.append((name, error.reason, str(error), error.status))

    def take_calls(self, outcomes: Iterable[Outcome]) -> list[Call]:
        """The calls that these outcomes were made from, to be written to the ledger; they are forgotten here."""
        keys = {key for outcome in outcomes for key in outcome.item.provenance.requests}
        return [self.calls.pop(key) for key in sorted(keys) if key in self.calls]

    def take_errors(self) -> list[tuple[str, str, str, int | None]]:
        """The final errors met since this was last asked, to be written to the ledger."""
        fresh, self.fresh_errors = self.fresh_errors, []
        return fresh


def session_of(stats: ClientStats, started: datetime, seconds: float, stop: str) -> Session:
    """What this start sent and paid."""
    return Session(
        started=started.isoformat(timespec="seconds"),
        ended=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(seconds, 3),
        requests=stats.requests,
        cache_hits=stats.cache_hits,
        rate_limited=stats.rate_limited,
        retries=stats.retries,
        input_tokens=stats.input_tokens,
        output_tokens=stats.output_tokens,
        cost=stats.cost,
        stop=stop,
        version=__version__,
    )


def _request_digest(request: Request) -> str:
    return digest(
        [
            request.model,
            request.messages,
            request.prompt,
            request.sampling,
            request.response_schema,
            request.draw,
        ],
        length=32,
    )
