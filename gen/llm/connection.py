"""The connection that both SDKs share: one pool over aiohttp (half the CPU of the default transport) and its failures as our errors."""

from __future__ import annotations

from collections.abc import Iterator

import aiohttp
import httpx2

from gen.errors import Unavailable

# The client's own deadline bounds the whole call; only connecting has one of its own, because a host that is not there is known soon.
TIMEOUT = httpx2.Timeout(None, connect=10.0)
NO_KEY = "none"  # the SDKs insist on a key; servers without keys ignore it
# As many as a recipe may ask for in flight (`max_concurrency`); admission decides how many are used. Services keep idle ones for a
# minute or so.
LIMITS = httpx2.Limits(max_connections=4096, max_keepalive_connections=4096, keepalive_expiry=30.0)
WIRE_ERRORS = (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, aiohttp.ClientError, OSError)


def connection_error(provider: str, error: BaseException) -> Unavailable:
    """Our error for a connection that failed or broke.

    Not billed when it was never made; else the service may have done its work. aiohttp's own errors are looked at first, because the
    SDKs' transport calls every lost connection a connect timeout.
    """
    chain = list(_chain(error))
    own = next((item for item in chain if isinstance(item, aiohttp.ClientError)), None)
    if isinstance(own, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return Unavailable(f"{provider} cannot be reached ({type(own).__name__})", reason="connect_failed")
    if own is None and any(isinstance(item, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout) for item in chain):
        return Unavailable(f"{provider} cannot be reached", reason="connect_failed")
    if any(isinstance(item, httpx2.TimeoutException | aiohttp.ServerTimeoutError) for item in chain) and not isinstance(
        own, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError
    ):
        return Unavailable(f"{provider} did not answer in time", reason="timeout", billed=True)
    if isinstance(own, aiohttp.ClientPayloadError) or any(isinstance(item, httpx2.DecodingError) for item in chain):
        return Unavailable(f"{provider} sent a reply that broke off", reason="truncated_reply", billed=True)
    return Unavailable(f"{provider} closed the connection", reason="connection_lost", billed=True)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what caused it, at most ten deep."""
    for _ in range(10):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__
