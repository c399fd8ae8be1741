"""The HTTP client that the SDKs are given: httpx2's interface over one aiohttp session, without work that a call to a model has no use for.

An SDK builds a request and hands it to its `http_client`. httpx2's own path then merges headers and addresses anew for each request, runs
through cookies, redirects and authentication, and reads the body in pieces: with aiohttp below it, half of a call's CPU. All requests here
are whole bodies to one host, so none of that is needed; what can be told before the first call (the proxy, the certificates) is.
"""

from __future__ import annotations

import ssl
import urllib.request
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import httpx2

# As many as a recipe may ask for in flight (`max_concurrency`); admission decides how many are used. Services keep idle ones for a minute.
MAX_CONNECTIONS, IDLE_SECONDS = 4096, 30.0
CONNECT_SECONDS = 10.0  # the client's own deadline bounds the whole call; that a host is not there is known sooner
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
# Said of the body as it came over the wire; aiohttp hands it over decoded.
_OF_THE_WIRE = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})


class DirectClient(httpx2.AsyncClient):
    """An `http_client` for `AsyncOpenAI` and `AsyncAnthropic` that sends whole bodies to `base_url`'s host and follows no redirect.

    A proxy that the environment names for that host (HTTP_PROXY, HTTPS_PROXY, NO_PROXY) is used. Failures are aiohttp's own errors.
    """

    def __init__(self, base_url: str) -> None:
        super().__init__(timeout=None, trust_env=False)
        self._proxy = proxy_of(base_url)
        self._verify: ssl.SSLContext | bool = httpx2.create_ssl_context() if base_url.startswith("https:") else True
        self._session: aiohttp.ClientSession | None = None

    def build_request(self, method: str, url: httpx2.URL | str, **parts: Any) -> httpx2.Request:
        """The request that an SDK asks for; what is more than a body goes httpx2's own way."""
        content = parts.get("content")
        if not isinstance(content, bytes) or any(parts.get(name) for name in ("data", "files", "json", "params", "cookies")):
            return super().build_request(method, url, **parts)
        return httpx2.Request(method, _parsed(str(url)), headers=parts.get("headers"), content=content)

    async def send(self, request: httpx2.Request, **how: Any) -> httpx2.Response:
        """The reply, read to its end. Raises aiohttp.ClientError, TimeoutError or OSError."""
        del how  # no redirects, no authentication of httpx2's own, never in pieces
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=IDLE_SECONDS, ssl=self._verify)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=_TIMEOUT)
        async with self._session.request(
            request.method, str(request.url), data=request.content, headers=request.headers, allow_redirects=False, proxy=self._proxy
        ) as reply:
            body = await reply.read()
        headers = [(name, value) for name, value in reply.raw_headers if name.lower() not in _OF_THE_WIRE]
        return httpx2.Response(reply.status, headers=headers, content=body, request=request)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
        await super().aclose()


def proxy_of(base_url: str) -> str | None:
    """The proxy that the environment names for `base_url`'s host, None where there is none or the host is excepted. One without a scheme
    is an HTTP proxy, as curl has it."""
    parts = urlsplit(base_url)
    if urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    proxies = urllib.request.getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    return found if not found or "://" in found else f"http://{found}"


@lru_cache(maxsize=64)
def _parsed(url: str) -> httpx2.URL:
    return httpx2.URL(url)
