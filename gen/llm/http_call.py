"""One HTTP call to a tool's or an endpoint's JSON API: one attempt, bounded, its failures as our errors.

For services that no SDK speaks to. Waiting, retrying, rates and the cache are the client's; here are a size cap, no redirects (a key would
travel along), and errors that hold neither the key nor the address, which may carry one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import aiohttp
import orjson

from gen.llm.connection import connection_error
from gen.llm.provider import Endpoint, HeaderSink
from gen.llm.wire import malformed, status_error
from gen.recipe import ModelLine

MAX_BYTES = 2_000_000  # of one reply; a search that sends more is asked for too much
_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=10.0)  # the client's own deadline bounds the whole call


class HttpCaller:
    """One pool of connections to one service. `title` names it in errors."""

    def __init__(self, title: str, endpoint: Endpoint, on_headers: HeaderSink) -> None:
        self.base_url = endpoint.base_url.rstrip("/")
        self.secret = endpoint.api_key
        self._title = title
        self._on_headers = on_headers
        self._session: aiohttp.ClientSession | None = None

    async def call(
        self,
        line: ModelLine,
        url: str,
        *,
        method: str = "POST",
        parameters: Mapping[str, str] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[bytes, Mapping[str, str]]:
        """The body and headers of a 200. Raises ProviderError only, by status as every provider does."""
        sent = {"Accept": "application/json"} | ({"Content-Type": "application/json"} if body is not None else {}) | dict(headers or {})
        try:
            async with self._opened().request(
                method,
                url,
                params=dict(parameters or {}),
                data=None if body is None else orjson.dumps(body),
                headers=sent,
                allow_redirects=False,
            ) as reply:
                content = await self._read(reply)
                status, told = reply.status, {name.lower(): value for name, value in reply.headers.items()}
        except (aiohttp.ClientError, OSError) as error:
            raise connection_error(self._title, error) from None  # aiohttp's own error may hold the address and its parameters
        self._on_headers(line, told)
        if not 200 <= status < 300:
            raise status_error(self._title, status, content, told, secrets=(self.secret,), wall=time.time()) from None
        return content, told

    async def close(self) -> None:
        """Give the connections back."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=True, cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    async def _read(self, reply: aiohttp.ClientResponse) -> bytes:
        """The whole body. Raises Unavailable `malformed_reply` beyond the cap, without reading on."""
        content = bytearray()
        async for piece in reply.content.iter_chunked(65_536):
            content += piece
            if len(content) > MAX_BYTES:
                reply.close()
                raise malformed(self._title, f"the body holds more than {MAX_BYTES:,} bytes")
        return bytes(content)
