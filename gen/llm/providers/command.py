"""A command of the user's own as a tool: the claim as JSON on its standard input, what it found on its standard output.

No shell is involved and the claim is no argument, so a model's text cannot become a command. The program sees a short list of environment
variables, among them the one that `api_key_env` names, and no other key. It and what it started end with the call.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import suppress

import orjson

from gen.errors import ServiceStopped, Unavailable
from gen.llm.provider import Endpoint, HeaderSink, Provider
from gen.llm.tools import MAX_EVIDENCE, CommandTool, command_tool
from gen.llm.wire import malformed, scrub, well_formed
from gen.recipe import ModelLine
from gen.types import Request, Response

MAX_BYTES = 1_000_000  # of what a command may print
_PASSED_ON = (
    *("PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "VIRTUAL_ENV", "SYSTEMROOT"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"),
)


class CommandProvider:
    """Starts a process for each request."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._secret = endpoint.api_key

    async def send(self, request: Request, line: ModelLine) -> Response:
        """What the command found about the request's last message; an empty text when nothing was.

        Raises Unavailable `tool_failed` for a status other than 0, ServiceStopped `tool_missing` when it cannot be started.
        """
        tool = command_tool(line)
        claim = well_formed(request.messages[-1].content if request.messages else request.prompt or "")
        process, transport = await self._started(tool, line)
        try:
            printed, complained = await _talk(process, orjson.dumps({"claim": claim}) + b"\n")
            status = await process.wait()
        finally:
            await _end(process, transport)
        if status != 0:
            words = scrub(complained.decode("utf-8", "replace").strip().rpartition("\n")[2], (self._secret,))
            raise Unavailable(f"{_name(tool)} ended with status {status}{': ' + words if words else ''}", reason="tool_failed")
        return Response(text=read_output(printed), model=line.model)

    async def close(self) -> None:
        """Nothing stays open between two calls."""

    async def _started(self, tool: CommandTool, line: ModelLine) -> tuple[asyncio.subprocess.Process, asyncio.SubprocessTransport]:
        """The process and its transport, which `asyncio.create_subprocess_exec` would hide: without it the pipes cannot be closed."""
        loop = asyncio.get_running_loop()
        try:
            transport, protocol = await loop.subprocess_exec(
                lambda: asyncio.subprocess.SubprocessStreamProtocol(limit=65_536, loop=loop),
                *tool.command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd=tool.folder or None,
                env=environment(os.environ, line.api_key_env, self._secret),
                start_new_session=True,
            )
            return asyncio.subprocess.Process(transport, protocol, loop), transport
        except OSError as error:
            raise ServiceStopped(f"{_name(tool)} cannot be started: {error.strerror or error}", reason="tool_missing") from error


def connect(endpoint: Endpoint, _on_headers: HeaderSink) -> Provider:
    """The provider for `endpoint`."""
    return CommandProvider(endpoint)


def environment(given: Mapping[str, str], key_name: str | None, secret: str) -> dict[str, str]:
    """The variables that a command sees: no key but its own."""
    passed = {name: given[name] for name in _PASSED_ON if name in given}
    return passed | ({key_name: secret} if key_name and secret else {})


def read_output(printed: bytes) -> str:
    """The evidence out of `{"evidence": "…"}` or `{"evidence": ["…", …]}`; an empty list or text is "nothing found".

    Raises Unavailable `malformed_reply` for anything else, so that a broken tool is never taken for one that found nothing.
    """
    try:
        value = orjson.loads(printed)
    except orjson.JSONDecodeError as error:
        raise malformed("the command", f"it printed no JSON ({len(printed)} bytes)") from error
    evidence = value.get("evidence") if isinstance(value, dict) else None
    texts = [evidence] if isinstance(evidence, str) else evidence
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise malformed("the command", 'it must print {"evidence": "…"} or {"evidence": ["…", …]}')
    return well_formed("\n".join(text.strip() for text in texts if text.strip()))[:MAX_EVIDENCE]


async def _talk(process: asyncio.subprocess.Process, asked: bytes) -> tuple[bytes, bytes]:
    """What the process printed and what it wrote to its error stream (its end alone). A process that reads nothing is fine."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    complaint = asyncio.create_task(_tail(process.stderr))
    try:
        with suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write(asked)
            await process.stdin.drain()
            process.stdin.close()
        printed = bytearray()
        while piece := await process.stdout.read(65_536):
            printed += piece
            if len(printed) > MAX_BYTES:
                raise malformed("the command", f"it printed more than {MAX_BYTES:,} bytes")
        return bytes(printed), await complaint
    finally:
        complaint.cancel()


async def _tail(stream: asyncio.StreamReader) -> bytes:
    kept = b""
    while piece := await stream.read(65_536):
        kept = (kept + piece)[-4000:]
    return kept


async def _end(process: asyncio.subprocess.Process, transport: asyncio.SubprocessTransport) -> None:
    """End the process and what it started, however the call ended. What made itself a session of its own lives on; its pipes are closed."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    transport.close()
    await process.wait()


def _name(tool: CommandTool) -> str:
    return f"the command '{os.path.basename(tool.command[0])[:60]}'"  # noqa: PTH119 (a name in a message)
