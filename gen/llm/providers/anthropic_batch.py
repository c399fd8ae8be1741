"""Anthropic's Message Batches: one call with all requests, looked at until it has ended, its results read as JSON Lines.

A batch bears no mark of ours but the custom ids, and those can be read only once it has ended. So one whose id was never learned is known
by its size and age alone, and only where a single batch fits.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from typing import Any

import anthropic
import httpx2
import orjson

from gen.errors import ProviderError, Unavailable
from gen.llm.batching.api import MAX_CUSTOM_ID, BatchApi, BatchLimits, Item, Look, Traces
from gen.llm.connection import LIMITS, NO_KEY, TIMEOUT, WIRE_ERRORS, connection_error
from gen.llm.provider import Endpoint
from gen.llm.providers.anthropic import build_payload, parse_response, to_error
from gen.llm.wire import malformed, mapping, parse_object, status_error
from gen.recipe import ModelLine
from gen.simulator.marks import batch_item_name
from gen.types import Request, Response

# docs.claude.com/en/docs/build-with-claude/batch-processing, October 2026: 100,000 requests or 256 MB, whichever is met first.
LIMITS_OF_A_BATCH = BatchLimits(max_requests=100_000, max_bytes=256_000_000)
_PATH = "/v1/messages/batches"
_LOOK_SECONDS = 60.0
_TRANSFER_SECONDS = 1800.0
_CLOCK_SKEW_SECONDS = 300.0
_JSON_HEADERS = {"Content-Type": "application/json"}
_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")
# docs.claude.com/en/api/errors
_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


class AnthropicBatches:
    """One pool of connections to the batch API."""

    limits = LIMITS_OF_A_BATCH

    def __init__(self, endpoint: Endpoint) -> None:
        self._secret = endpoint.api_key
        self._client = anthropic.AsyncAnthropic(
            api_key=endpoint.api_key or NO_KEY,
            base_url=endpoint.base_url.removesuffix("/v1"),  # the SDK adds it
            max_retries=0,
            timeout=TIMEOUT,
            http_client=anthropic.DefaultAioHttpClient(timeout=TIMEOUT, limits=LIMITS, follow_redirects=False),
        )

    def item(self, key: str, request: Request, line: ModelLine) -> Item:
        custom_id = batch_item_name(key, request.draw)[:MAX_CUSTOM_ID]
        return Item(key, custom_id, "/v1/messages", orjson.dumps({"custom_id": custom_id, "params": build_payload(request, line)}))

    async def submit(self, tag: str, items: Sequence[Item]) -> str:  # noqa: ARG002 (an API without tags)
        body = b'{"requests":[' + b",".join(item.body for item in items) + b"]}"
        reply = await self._asked("POST", _PATH, seconds=_TRANSFER_SECONDS, content=body)
        remote_id = parse_object(reply, "anthropic").get("id")
        if not isinstance(remote_id, str) or not _ID.fullmatch(remote_id):
            raise malformed("anthropic", "the new batch has no id")
        return remote_id

    async def find(self, traces: Traces) -> str:
        page = parse_object(await self._asked("GET", f"{_PATH}?limit=100"), "anthropic").get("data")
        fitting = [
            mapping(one).get("id")
            for one in (page if isinstance(page, list) else [])
            if _size(mapping(one)) == traces.requests and _created(mapping(one)) >= traces.created - _CLOCK_SKEW_SECONDS
        ]
        unknown = [one for one in fitting if isinstance(one, str) and one not in traces.known]
        return unknown[0] if len(unknown) == 1 else ""

    async def look(self, remote_id: str) -> Look:
        batch = parse_object(await self._asked("GET", f"{_PATH}/{_checked(remote_id)}"), "anthropic")
        return Look(remote_id, ended=batch.get("processing_status") == "ended")

    async def results(self, look: Look) -> AsyncGenerator[tuple[str, Response | ProviderError], None]:
        body = await self._asked("GET", f"{_PATH}/{_checked(look.remote_id)}/results", seconds=_TRANSFER_SECONDS)
        for line in body.splitlines():
            found = parse_result(line, (self._secret,)) if line.strip() else None
            if found is not None:
                yield found

    async def cancel(self, remote_id: str) -> None:
        await self._asked("POST", f"{_PATH}/{_checked(remote_id)}/cancel", content=b"{}")

    async def close(self) -> None:
        await self._client.close()

    async def _asked(self, method: str, path: str, *, seconds: float = _LOOK_SECONDS, content: bytes | None = None) -> bytes:
        """The body of one call's reply, its failures as ours."""
        try:
            async with asyncio.timeout(seconds):
                if method == "GET":
                    reply = await self._client.get(path, cast_to=httpx2.Response)
                else:
                    reply = await self._client.post(path, cast_to=httpx2.Response, content=content, options={"headers": _JSON_HEADERS})
                return reply.content
        except TimeoutError:
            raise Unavailable("anthropic did not answer in time about a batch", reason="timeout", billed=True) from None
        except anthropic.APIStatusError as error:
            raise to_error(error.response, self._secret) from None  # the SDK's error holds the key in its request
        except (anthropic.APIConnectionError, *WIRE_ERRORS) as error:
            raise connection_error("anthropic", error) from None


def connect(endpoint: Endpoint) -> BatchApi:
    """The batch API at `endpoint`."""
    return AnthropicBatches(endpoint)


def parse_result(line: bytes, secrets: Sequence[str] = ()) -> tuple[str, Response | ProviderError] | None:
    """(custom_id, reply or error) of one line of the results; None for a line that names no request of ours."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    custom_id, result = mapping(value).get("custom_id"), mapping(mapping(value).get("result"))
    if not isinstance(custom_id, str):
        return None
    kind = result.get("type")
    if kind == "succeeded":
        try:
            return custom_id, parse_response(orjson.dumps(result.get("message")), {})
        except ProviderError as problem:
            return custom_id, problem
    if kind == "errored":
        outer = mapping(result.get("error"))
        inner = mapping(outer.get("error")) or outer
        named = inner.get("type")
        status = _STATUS.get(named if isinstance(named, str) else "", 500)
        return custom_id, status_error("anthropic", status, orjson.dumps({"error": inner}), {}, secrets=secrets, wall=time.time())
    if kind == "canceled":
        return custom_id, Unavailable("the batch was cancelled before it came to this request", reason="batch_cancelled")
    if kind == "expired":
        return custom_id, Unavailable("the batch expired before it came to this request", reason="batch_expired")
    return custom_id, Unavailable("anthropic sent a result of an unknown kind for this request of the batch", reason="malformed_reply")


def _checked(remote_id: str) -> str:
    """An id as a part of a path. One that could lead elsewhere never was an id."""
    if not _ID.fullmatch(remote_id):
        raise malformed("anthropic", "the id of the batch is none")
    return remote_id


def _size(batch: Mapping[str, Any]) -> int:
    counts = mapping(batch.get("request_counts"))
    return sum(value for value in counts.values() if isinstance(value, int) and not isinstance(value, bool))


def _created(batch: Mapping[str, Any]) -> float:
    moment = batch.get("created_at")
    try:
        return datetime.fromisoformat(moment).timestamp() if isinstance(moment, str) else 0.0
    except ValueError:
        return 0.0
