"""OpenAI's Batch API: a JSONL file uploaded, a batch made of it, its output and error files read back.

Bodies, replies and errors are those of the live provider, so a request is the same in both. One batch holds requests to one endpoint and
one model only. The batch carries our tag in its metadata, by which one whose id was never learned is found again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import openai
import orjson

from gen.errors import ProviderError, RateLimited, ServiceStopped, Unavailable
from gen.llm import moderation
from gen.llm.batching.api import BatchApi, BatchLimits, Item, Look, Traces
from gen.llm.connection import LIMITS, NO_KEY, TIMEOUT, WIRE_ERRORS, connection_error
from gen.llm.provider import Endpoint
from gen.llm.providers.openai import build_payload, parse_response, to_error
from gen.llm.wire import malformed, mapping, scrub, status_error
from gen.recipe import ModelLine
from gen.types import Json, Request, Response

Result = TypeVar("Result")

# platform.openai.com/docs/guides/batch, October 2026: 50,000 requests and 200 MB a file.
LIMITS_OF_A_BATCH = BatchLimits(max_requests=50_000, max_bytes=200_000_000)
_TAG = "sluice"  # in the batch's metadata
_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_LOOK_SECONDS = 60.0  # for one small call
_TRANSFER_SECONDS = 1800.0  # for a file: 200 MB at one Mbit/s
_QUEUE_FULL_SECONDS = 120.0  # until a batch that did not fit into the model's queue is tried again
_CLOCK_SKEW_SECONDS = 300.0
_MOST_PAGES = 10  # of a hundred batches, the latest first
_QUEUE_FULL = frozenset({"token_limit_exceeded", "request_limit_exceeded", "batch_limit_exceeded"})
_PASSING = frozenset({"server_error", "internal_error", "internal_server_error", "service_unavailable", "timeout"})


class OpenAIBatches:
    """One pool of connections to one server's batch API."""

    limits = LIMITS_OF_A_BATCH

    def __init__(self, endpoint: Endpoint) -> None:
        self._secret = endpoint.api_key
        self._client = openai.AsyncOpenAI(
            api_key=endpoint.api_key or NO_KEY,
            base_url=endpoint.base_url,
            max_retries=0,
            timeout=TIMEOUT,
            http_client=openai.DefaultAioHttpClient(timeout=TIMEOUT, limits=LIMITS, follow_redirects=False),
        )

    def item(self, key: str, request: Request, line: ModelLine) -> Item:
        return item_of(key, request, line)

    async def submit(self, tag: str, items: Sequence[Item]) -> str:
        content = b"\n".join([*(item.body for item in items), b""])

        async def upload() -> str:
            return (await self._client.files.create(file=(f"{tag}.jsonl", content), purpose="batch")).id

        file_id = await self._asked(upload, _TRANSFER_SECONDS)

        async def create() -> str:
            endpoint: Any = items[0].path
            batch = await self._client.batches.create(
                input_file_id=file_id, endpoint=endpoint, completion_window="24h", metadata={_TAG: tag}
            )
            return batch.id

        return _named(await self._asked(create, _LOOK_SECONDS))

    async def find(self, traces: Traces) -> str:
        async def look() -> str:
            page = await self._client.batches.list(limit=100)
            for _ in range(_MOST_PAGES):
                for batch in page.data:
                    if (batch.metadata or {}).get(_TAG) == traces.tag:
                        return batch.id
                oldest = min((batch.created_at for batch in page.data), default=0)
                if not page.has_next_page() or oldest < traces.created - _CLOCK_SKEW_SECONDS:
                    break
                page = await page.get_next_page()
            return ""

        return await self._asked(look, _LOOK_SECONDS)

    async def look(self, remote_id: str) -> Look:
        async def look() -> Any:
            return await self._client.batches.retrieve(remote_id)

        return _look(await self._asked(look, _LOOK_SECONDS), (self._secret,))

    async def results(self, look: Look) -> AsyncGenerator[tuple[str, Response | ProviderError], None]:
        for file_id in look.files:
            try:
                async with (
                    asyncio.timeout(_TRANSFER_SECONDS),
                    self._client.files.with_streaming_response.content(file_id) as reply,
                ):
                    async for line in _lines(reply.iter_bytes()):
                        found = parse_result(line, (self._secret,)) if line.strip() else None
                        if found is not None:
                            yield found
            except TimeoutError:
                raise _too_slow() from None
            except openai.APIStatusError as error:
                raise to_error(error.response, self._secret) from None
            except (openai.APIConnectionError, *WIRE_ERRORS) as error:
                raise connection_error("openai", error) from None

    async def cancel(self, remote_id: str) -> None:
        async def cancel() -> Any:
            return await self._client.batches.cancel(remote_id)

        await self._asked(cancel, _LOOK_SECONDS)

    async def close(self) -> None:
        await self._client.close()

    async def _asked(self, call: Callable[[], Coroutine[Any, Any, Result]], seconds: float) -> Result:
        """One call with a time limit, its failures as ours."""
        try:
            async with asyncio.timeout(seconds):
                return await call()
        except TimeoutError:
            raise _too_slow() from None
        except openai.APIStatusError as error:
            raise to_error(error.response, self._secret) from None  # the SDK's error holds the key in its request
        except (openai.APIConnectionError, *WIRE_ERRORS) as error:
            raise connection_error("openai", error) from None
        except openai.APIError:
            raise malformed("openai", "it is not what the batch API promises") from None


def connect(endpoint: Endpoint) -> BatchApi:
    """The batch API at `endpoint`."""
    return OpenAIBatches(endpoint)


def item_of(key: str, request: Request, line: ModelLine) -> Item:
    """One line of the file that is uploaded; the request's key is its custom id."""
    path, payload = build_payload(request, line)
    url = f"/v1{path}"
    return Item(key, key, url, orjson.dumps({"custom_id": key, "method": "POST", "url": url, "body": payload}))


def parse_result(line: str | bytes, secrets: Sequence[str] = ()) -> tuple[str, Response | ProviderError] | None:
    """(custom_id, reply or error) of one line of an output or error file; None for a line that names no request of ours."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    custom_id = mapping(value).get("custom_id")
    if not isinstance(custom_id, str):
        return None
    reply, error = mapping(value.get("response")), mapping(value.get("error"))
    status = reply.get("status_code")
    if not isinstance(status, int):
        return custom_id, _item_error(error, secrets)
    body = orjson.dumps(reply.get("body"))
    if status != 200:
        return custom_id, status_error("openai", status, body, {}, secrets=secrets, wall=time.time())
    try:
        parse = moderation.parse_response if "results" in mapping(reply.get("body")) else parse_response
        return custom_id, parse(body, {})
    except ProviderError as problem:
        return custom_id, problem


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The lines of a file that comes in pieces. They end at line feeds alone: JSON may hold the other characters that end a line in
    Unicode as they are."""
    begun: list[bytes] = []
    async for piece in pieces:
        head, *more = piece.split(b"\n")
        begun.append(head)
        for line in more:
            yield b"".join(begun)
            begun = [line]
    yield b"".join(begun)


def _item_error(error: Mapping[str, Any], secrets: Sequence[str]) -> ProviderError:
    """The error of a request that was never answered: `batch_expired`, `batch_cancelled` and the like may be asked again."""
    code = error.get("code")
    reason = {"batch_expired": "batch_expired", "batch_cancelled": "batch_cancelled"}.get(code if isinstance(code, str) else "")
    said = error.get("message")
    words = scrub(said, secrets) if isinstance(said, str) else ""
    return Unavailable(f"openai did not answer this request of the batch{': ' + words if words else ''}", reason=reason or "batch_failed")


def _look(batch: Any, secrets: Sequence[str]) -> Look:
    status = batch.status
    if status not in _ENDED:
        return Look(batch.id, ended=False)
    files = tuple(one for one in (batch.output_file_id, batch.error_file_id) if isinstance(one, str) and one)
    if status == "failed":
        why, lines = _failure(batch, secrets)
        return Look(batch.id, ended=True, missing=why, lines=lines, files=files)
    missing = {
        "expired": Unavailable("the batch expired before it came to this request", reason="batch_expired"),
        "cancelled": Unavailable("the batch was cancelled before it came to this request", reason="batch_cancelled"),
    }.get(status)
    return Look(batch.id, ended=True, missing=missing, files=files)


def _failure(batch: Any, secrets: Sequence[str]) -> tuple[ProviderError, dict[int, ProviderError]]:
    """Why a batch failed as a whole: the error of all its requests, and those of the lines that were named.

    Where lines are named, they alone are at fault, and the rest is asked again; all are where the queue is full or the service failed. Any
    other reason (a model without batches, a file that cannot be read) would meet the next batch too and ends the run.
    """
    errors = list((batch.errors.data if batch.errors is not None else None) or [])
    lines: dict[int, ProviderError] = {}
    for one in errors:
        if isinstance(one.line, int):
            body = orjson.dumps({"error": {"code": one.code, "message": one.message or ""}})
            lines[one.line] = status_error("openai", 400, body, {}, secrets=secrets, wall=time.time())
    first = errors[0] if errors else None
    words = scrub(str(first.message or first.code or ""), secrets) if first is not None else "without a reason"
    codes = {str(one.code) for one in errors}
    message = f"the batch failed as a whole: {words}"
    if codes & _QUEUE_FULL:
        return RateLimited(message, reason="batch_queue_full", retry_after_seconds=_QUEUE_FULL_SECONDS), {}
    if codes & _PASSING:
        return Unavailable(message, reason="batch_failed"), {}
    if lines and len(lines) == len(errors):
        return Unavailable(f"{message} (another request of it is at fault)", reason="batch_failed"), lines
    return ServiceStopped(message, reason="batch_failed"), {}


def _named(remote_id: Json) -> str:
    if not isinstance(remote_id, str) or not remote_id:
        raise malformed("openai", "the new batch has no id")
    return remote_id


def _too_slow() -> Unavailable:
    return Unavailable("openai did not answer in time about a batch", reason="timeout", billed=True)
