"""What a client did so far: counted as it happens, handed out as frozen snapshots for the live view and the session's record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from gen.types import EMPTY, Usage


@dataclass(frozen=True, slots=True)
class ClientStats:
    """All calls of a client, or of one of its models or purposes.

    `requests` were sent (retries included), `replies` arrived and were paid for, `joined` waited for an equal request in flight; tokens
    and `cost` (USD) are those of the replies paid now, `cost` None once one of them had no known price. `in_flight` are on the wire at
    this moment. `models` (by the recipe's names) and `purposes` (by `Request.purpose`) break the total down and are empty below it.
    """

    requests: int = 0
    in_flight: int = 0
    replies: int = 0
    cache_hits: int = 0
    joined: int = 0
    rate_limited: int = 0
    retries: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    cost: float | None = 0.0
    models: Mapping[str, ClientStats] = field(default_factory=lambda: EMPTY)
    purposes: Mapping[str, ClientStats] = field(default_factory=lambda: EMPTY)


@dataclass(slots=True)
class Tally:
    """The running count behind a `ClientStats`."""

    requests: int = 0
    in_flight: int = 0
    replies: int = 0
    cache_hits: int = 0
    joined: int = 0
    rate_limited: int = 0
    retries: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    cost: float = 0.0
    unpriced: int = 0

    def paid(self, usage: Usage, cost: float | None) -> None:
        """Book a reply."""
        self.replies += 1
        self.input_tokens += usage.input_tokens
        self.output_tokens += usage.output_tokens
        self.cached_tokens += usage.cached_tokens
        self.cache_write_tokens += usage.cache_write_tokens
        self.cost += cost or 0.0
        self.unpriced += cost is None

    def snapshot(self, models: Mapping[str, ClientStats] = EMPTY, purposes: Mapping[str, ClientStats] = EMPTY) -> ClientStats:
        """The count as it stands."""
        return ClientStats(
            requests=self.requests,
            in_flight=self.in_flight,
            replies=self.replies,
            cache_hits=self.cache_hits,
            joined=self.joined,
            rate_limited=self.rate_limited,
            retries=self.retries,
            failed=self.failed,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cached_tokens=self.cached_tokens,
            cache_write_tokens=self.cache_write_tokens,
            cost=None if self.unpriced else self.cost,
            models=models,
            purposes=purposes,
        )


@dataclass(slots=True)
class Tallies:
    """Counts in all, per model and per purpose."""

    total: Tally = field(default_factory=Tally)
    models: dict[str, Tally] = field(default_factory=dict)
    purposes: dict[str, Tally] = field(default_factory=dict)

    def of(self, model: str, purpose: str) -> tuple[Tally, Tally, Tally]:
        """The three counts that a call of `model` for `purpose` belongs to."""
        if (own := self.models.get(model)) is None:
            own = self.models[model] = Tally()
        if (use := self.purposes.get(purpose)) is None:
            use = self.purposes[purpose] = Tally()
        return self.total, own, use

    def snapshot(self) -> ClientStats:
        """All counts as they stand."""
        return self.total.snapshot(
            MappingProxyType({name: tally.snapshot() for name, tally in self.models.items()}),
            MappingProxyType({name: tally.snapshot() for name, tally in self.purposes.items()}),
        )
