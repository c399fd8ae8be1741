"""What the batch APIs of the providers have in common: the protocol that each file of theirs fills, and the values that pass through it.

Every method is one try, as in a live provider: what to do when it fails, when to look again and what is kept is the batcher's business.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gen.errors import ProviderError
from gen.recipe import ModelLine
from gen.types import Request, Response

MAX_CUSTOM_ID = 64  # characters; both APIs


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """The most that one batch may hold; bytes as the body of the upload."""

    max_requests: int
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Item:
    """One request of a batch as it will be sent. `path` is the endpoint, which all of a batch share; `custom_id` finds its result."""

    key: str
    custom_id: str
    path: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at a batch showed. `missing` is the error of the requests that it ended without a result for; `lines` names those that
    made it fail as a whole, by their place in the batch from 1. `files` say where results lie, where the API keeps them apart."""

    remote_id: str
    ended: bool
    missing: ProviderError | None = None
    lines: Mapping[int, ProviderError] = field(default_factory=dict)
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Traces:
    """How a batch whose id was never learned can be known again: our own tag, its size, when it was sent (seconds since 1970), and the
    ids of batches that are accounted for."""

    tag: str
    requests: int
    created: float
    known: Collection[str] = ()


class BatchApi(Protocol):
    """One provider's batch API. All but `item` and `limits` go over the wire and raise ProviderError only."""

    limits: BatchLimits

    def item(self, key: str, request: Request, line: ModelLine) -> Item:
        """The request as a part of a batch. Raises RequestRejected for what the API has no place for."""
        ...

    async def submit(self, tag: str, items: Sequence[Item]) -> str:
        """Send a batch; its id."""
        ...

    async def find(self, traces: Traces) -> str:
        """The id of a batch that was sent and whose id was never learned; empty when there is none, or no telling which."""
        ...

    async def look(self, remote_id: str) -> Look:
        """How far it is. Raises RequestRejected `not_found` for a batch that is not there."""
        ...

    def results(self, look: Look) -> AsyncGenerator[tuple[str, Response | ProviderError], None]:
        """(custom_id, reply or error) of what has a result, in any order; for an error the class that the live API's would have."""
        ...

    async def cancel(self, remote_id: str) -> None:
        """Ask it to end; what is done by then can still be had."""
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...
