"""Google's Perspective API, or a server that answers as it does (`base_url`): how likely readers find a text toxic, from 0 to 1.

Google closes it at the end of 2026. Which attributes are wanted is what the request's schema has as its properties.
"""

from __future__ import annotations

import math
from typing import Any

import orjson

from gen.errors import RequestRejected
from gen.llm.http_call import HttpCaller
from gen.llm.provider import Endpoint, HeaderSink, Provider
from gen.llm.wire import malformed, mapping, parse_object, simulated, well_formed
from gen.recipe import ModelLine
from gen.types import Request, Response, canonical_json, thaw

_TITLE = "perspective"
MAX_BYTES = 20_480  # of a comment: developers.perspectiveapi.com, "AnalyzeComment request"


class PerspectiveProvider:
    """One endpoint."""

    def __init__(self, endpoint: Endpoint, on_headers: HeaderSink) -> None:
        self._caller = HttpCaller(_TITLE, endpoint, on_headers)

    async def send(self, request: Request, line: ModelLine) -> Response:
        """The attributes' values as a JSON object of name to a number from 0 to 1."""
        body = build_payload(request, line)
        key = {"key": self._caller.secret} if self._caller.secret else {}
        content, told = await self._caller.call(line, f"{self._caller.base_url}/comments:analyze", parameters=key, body=body)
        return Response(text=read_scores(content), model=line.model, simulated=simulated(told, line.model))

    async def close(self) -> None:
        await self._caller.close()


def connect(endpoint: Endpoint, on_headers: HeaderSink) -> Provider:
    """The provider for `endpoint`."""
    return PerspectiveProvider(endpoint, on_headers)


def build_payload(request: Request, line: ModelLine) -> dict[str, Any]:
    """The body of POST comments:analyze. The text is never stored there.

    Raises RequestRejected `context_too_long` for a text that the API does not take.
    """
    text = well_formed(request.messages[-1].content if request.messages else request.prompt or "")
    size = len(text.encode())
    if size > MAX_BYTES:
        raise RequestRejected(f"perspective takes {MAX_BYTES:,} bytes, the text has {size:,}", reason="context_too_long")
    schema = mapping(orjson.loads(request.response_schema)) if request.response_schema else {}
    attributes = list(mapping(schema.get("properties"))) or ["TOXICITY"]
    own: dict[str, Any] = thaw(line.extra_body)
    return {"comment": {"text": text}, "requestedAttributes": {name: {} for name in attributes}, "doNotStore": True} | own


def read_scores(content: bytes) -> str:
    """Each attribute's summary score, as JSON. Raises Unavailable `malformed_reply` where there is none."""
    found: dict[str, float] = {}
    for name, entry in mapping(parse_object(content, _TITLE).get("attributeScores")).items():
        value = mapping(mapping(entry).get("summaryScore")).get("value")
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            found[str(name)] = float(value)
    if not found:
        raise malformed(_TITLE, "it holds no attributeScores")
    return canonical_json(found)
