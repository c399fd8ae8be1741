"""Puts the simulator on the wire: OpenAI's and Anthropic's routes over HTTP on this machine.

Every reply can be told from a real one: the model's name, the fingerprint and a header say that it was simulated (`marks`).
"""

from __future__ import annotations

import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import orjson
from aiohttp import web

from gen.errors import InputError
from gen.simulator import wire_anthropic, wire_openai
from gen.simulator.batch_routes import BatchRoutes, is_anthropic, key_of
from gen.simulator.batches import Batches
from gen.simulator.marks import DRAW_HEADER, HEADER, MODEL_PREFIX
from gen.simulator.options import SimulatorOptions
from gen.simulator.routes import ROUTES, Route
from gen.simulator.service import Service
from gen.simulator.wire import Ask, Problem, invalid
from gen.types import Json

_MAX_BODY = 256 * 2**20
_RESET = 0  # the status under which a reset connection is counted
_MODELS = ("simulated-writer", "simulated-critic")
_MODERATION = "omni-moderation-latest"  # the one route on which the model may be left out


class Server:
    """A running simulator. `counts[(route, status)]` is how many requests got that status, 0 for a connection that was reset;
    `peak_in_flight` is how many were open at once. `batches.asked` counts what was asked in batches, by content."""

    def __init__(self, options: SimulatorOptions) -> None:
        self.service = Service(options)
        self.batches = Batches(self.service)
        self.counts: Counter[tuple[str, int]] = Counter()
        self.peak_in_flight = 0
        self.base_url = ""
        self._in_flight = 0
        self._numbers = 0

    def application(self) -> web.Application:
        """The aiohttp application with all routes."""
        app = web.Application(client_max_size=_MAX_BODY)
        for path in ROUTES:
            app.router.add_post(path, self._answer)
        BatchRoutes(self.service, self.batches, self._send, self._problem).add_to(app.router)
        app.router.add_get("/v1/models", self._models)
        app.router.add_route("*", "/{path:.*}", self._unknown)
        return app

    async def _models(self, request: web.Request) -> web.StreamResponse:
        problem = self.service.refusal_to_serve(key_of(request), (self.service.options.models or _MODELS)[0])
        if problem is not None:
            return self._problem(request, problem)
        return self._send(request, 200, wire_openai.models_body(self.service.options.models or _MODELS))

    async def _unknown(self, request: web.Request) -> web.StreamResponse:
        return self._problem(request, Problem(404, "invalid_request_error", f"Unknown request URL: {request.method} {request.path[:200]}"))

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        """One request from its body to its reply."""
        route = ROUTES[request.path]
        self._in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self._in_flight)
        try:
            ask = self._read(request, await request.read(), route)
            if isinstance(ask, Problem):
                return self._problem(request, ask)
            asked = not is_anthropic(request)
            problem, fault = await self.service.admit(ask.key, ask.text, ask.max_tokens, asked=asked)
            if problem is not None:
                return self._problem(request, problem)
            body, written = route.reply(self.service, ask)
            self.service.limits.wrote(written, asked=asked)
            return await self._faulty(request, body, fault) if fault else self._send(request, 200, body)
        finally:
            self._in_flight -= 1

    def _read(self, request: web.Request, payload: bytes, route: Route) -> Ask | Problem:
        try:
            body = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return invalid("The body of the request is not valid JSON.")
        if not isinstance(body, dict):
            return invalid("The body of the request must be a JSON object.")
        model = body.setdefault("model", _MODERATION) if request.path == "/v1/moderations" else body.get("model")
        if not isinstance(model, str) or not model:
            return invalid("you must provide a model parameter", param="model")
        refused = self.service.refusal_to_serve(key_of(request), model.removeprefix(MODEL_PREFIX))
        return refused if refused is not None else route.parse(body, request.headers.get(DRAW_HEADER))

    def _problem(self, request: web.Request, problem: Problem) -> web.Response:
        headers: dict[str, str] = {}
        if problem.retry_after_seconds is not None:
            headers = {"retry-after": f"{problem.retry_after_seconds:.3f}", "retry-after-ms": f"{problem.retry_after_seconds * 1000:.0f}"}
        anthropic = is_anthropic(request)
        body = wire_anthropic.error_body(problem, self._request_id()) if anthropic else wire_openai.error_body(problem)
        return self._send(request, problem.status, body, headers)

    def _send(self, request: web.Request, status: int, body: dict[str, Json], headers: Mapping[str, str] | None = None) -> web.Response:
        self.counts[(request.path, status)] += 1
        return web.Response(
            status=status, body=orjson.dumps(body), content_type="application/json", headers={**self._headers(request), **(headers or {})}
        )

    async def _faulty(self, request: web.Request, body: dict[str, Json], fault: str) -> web.StreamResponse:
        """A good reply spoiled on its way: its connection reset, its body ending early, or its JSON cut with the right length."""
        payload = orjson.dumps(body)
        half = payload[: len(payload) // 2]
        if fault == "invalid_json":
            self.counts[(request.path, 200)] += 1
            return web.Response(body=half, content_type="application/json", headers=self._headers(request))
        response = web.StreamResponse(headers={**self._headers(request), "content-type": "application/json"})
        if fault == "reset":
            self.counts[(request.path, _RESET)] += 1
            _reset(request)
            return response
        self.counts[(request.path, 200)] += 1
        response.content_length = len(payload)
        await response.prepare(request)
        await response.write(half)
        if request.transport is not None:
            request.transport.close()
        return response

    def _headers(self, request: web.Request) -> dict[str, str]:
        limits, told = self.service.limits, self.service.options.limit_headers
        if is_anthropic(request):
            return {HEADER: "1", "request-id": self._request_id(), **(limits.anthropic_headers() if told else {})}
        own = {HEADER: "1", "x-request-id": self._request_id(), "openai-processing-ms": "1"}
        return {**own, **(limits.openai_headers() if told else {})}

    def _request_id(self) -> str:
        self._numbers += 1
        return f"req_{self._numbers:012d}"


@asynccontextmanager
async def serve(options: SimulatorOptions, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Server]:
    """A simulator that answers at `server.base_url` (without /v1) until the block ends; port 0 takes any free one.

    Raises InputError when the address cannot be listened on.
    """
    server = Server(options)
    runner = web.AppRunner(server.application(), access_log=None, handler_cancellation=True, shutdown_timeout=0.2)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=4096)
        try:
            await site.start()
        except OSError as error:
            raise InputError(f"cannot listen on {host}:{port}: {error.strerror or error}; choose another port, or 0 for any") from error
        address = runner.addresses[0]
        server.base_url = f"http://[{address[0]}]:{address[1]}" if ":" in address[0] else f"http://{address[0]}:{address[1]}"
        yield server
    finally:
        await runner.cleanup()


def _reset(request: web.Request) -> None:
    """Ends the connection with a reset instead of an orderly close."""
    if request.transport is None:
        return
    connection = request.transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()
