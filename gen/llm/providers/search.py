"""An HTTP search endpoint: a claim goes out as one parameter, what was found comes back as plain text, a line for each find."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson

from gen.llm.http_call import HttpCaller
from gen.llm.provider import Endpoint, HeaderSink, Provider
from gen.llm.tools import MAX_EVIDENCE, SearchTool, search_tool
from gen.llm.wire import malformed, simulated, well_formed
from gen.recipe import ModelLine
from gen.types import Json, Request, Response, thaw

_TITLE = "the search"
_MAX_FIND = 4000  # characters of one find
_DEEPEST = 4  # levels of a find that are read when no fields are named


class SearchProvider:
    """One search endpoint, for all model lines that name it."""

    def __init__(self, endpoint: Endpoint, on_headers: HeaderSink) -> None:
        self._caller = HttpCaller(_TITLE, endpoint, on_headers)

    async def send(self, request: Request, line: ModelLine) -> Response:
        """What was found about the request's last message; an empty text when nothing was."""
        tool = search_tool(line)
        claim = well_formed(request.messages[-1].content if request.messages else request.prompt or "")
        parameters, body = build_query(claim, tool, line)
        headers = key_header(tool, self._caller.secret)
        content, told = await self._caller.call(
            line, self._caller.base_url, method=tool.method, parameters=parameters, body=body, headers=headers
        )
        return Response(text=read_finds(content, tool), model=line.model, simulated=simulated(told, line.model))

    async def close(self) -> None:
        await self._caller.close()


def connect(endpoint: Endpoint, on_headers: HeaderSink) -> Provider:
    """The provider for `endpoint`."""
    return SearchProvider(endpoint, on_headers)


def build_query(claim: str, tool: SearchTool, line: ModelLine) -> tuple[dict[str, str] | None, dict[str, Any] | None]:
    """(parameters of the address, JSON body): the one that the method needs."""
    given = dict(tool.parameters) | thaw(line.extra_body) | {tool.query_parameter: claim}
    if tool.method == "POST":
        return None, given
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}, None


def key_header(tool: SearchTool, secret: str) -> dict[str, str]:
    """The header that carries the key; none without one."""
    if not secret:
        return {}
    return {tool.key_header: f"Bearer {secret}" if tool.key_header.lower() == "authorization" else secret}


def read_finds(content: bytes, tool: SearchTool) -> str:
    """The finds as text, one line each; empty when the reply holds none.

    Raises Unavailable `malformed_reply` where the reply is no JSON or has nothing at `results`: that is no "nothing found".
    """
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise malformed(_TITLE, f"the body is no JSON ({len(content)} bytes)") from error
    for step in tool.results.split(".") if tool.results else ():
        if isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        elif isinstance(value, Mapping) and step in value:
            value = value[step]
        else:
            raise malformed(_TITLE, f"it holds nothing at `{tool.results}` (`tool.results`)")
    finds = value if isinstance(value, list) else [] if value in (None, "", {}) else [value]
    lines = [text for text in (_find(find, tool.fields) for find in finds[: tool.max_results]) if text]
    return well_formed("\n".join(f"- {line}" for line in lines))[:MAX_EVIDENCE]


def _find(value: Json, names: list[str]) -> str:
    chosen = [value.get(name) for name in names] if names and isinstance(value, Mapping) else value
    return " · ".join(_texts(chosen, 0))[:_MAX_FIND]


def _texts(value: Json, depth: int) -> list[str]:
    if isinstance(value, str):
        return [" ".join(value[:_MAX_FIND].split())] if value.strip() else []
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [str(value)]
    inner = list(value.values()) if isinstance(value, Mapping) else value if isinstance(value, list) else []
    return [text for item in inner[:50] for text in _texts(item, depth + 1)] if depth < _DEEPEST else []
