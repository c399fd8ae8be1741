"""What each route that answers a prompt does: how its body is read, and how the reply is made. On the wire one by one, or in a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from gen.simulator import wire_anthropic, wire_openai
from gen.simulator.service import Service
from gen.simulator.tokens import count_tokens
from gen.simulator.vectors import as_base64, dimensions_of, embed
from gen.simulator.wire import Ask, Problem, content_key, invalid, text_of
from gen.types import Json


@dataclass(frozen=True, slots=True)
class Route:
    """`parse(body, draw)` is the request or what is wrong with it; `reply(service, ask)` the reply's body and its output tokens."""

    parse: Callable[[Mapping[str, Any], str | None], Ask | Problem]
    reply: Callable[[Service, Ask], tuple[dict[str, Json], int]]


def _texts(body_of: Callable[..., dict[str, Json]], service: Service, ask: Ask) -> tuple[dict[str, Json], int]:
    spoken = service.speak(ask)
    choices = [wire_openai.Choice(said.text, said.finish, said.tokens, _refused(ask, said.flaw)) for said in spoken]
    return body_of(ask, choices, count_tokens(ask.text)), sum(said.tokens for said in spoken)


def _message(service: Service, ask: Ask) -> tuple[dict[str, Json], int]:
    said = service.speak(ask)[0]
    stop = "max_tokens" if said.finish == "length" else "stop_sequence" if said.ended_by is not None else "end_turn"
    tokens = (count_tokens(ask.text), said.tokens)
    return wire_anthropic.message_body(ask, said.text, stop, said.ended_by, tokens), said.tokens


def _embeddings(_: Service, ask: Ask) -> tuple[dict[str, Json], int]:
    wanted, base64_wanted = ask.schema["dimensions"] or dimensions_of(ask.model), ask.schema["base64"]
    vectors = [embed(text, wanted) for text in ask.prompts]
    input_tokens = count_tokens(ask.text)
    shown: list[Json] = [as_base64(vector) for vector in vectors] if base64_wanted else list(vectors)
    return wire_openai.embeddings_body(ask.model, shown, input_tokens), 0


def _moderations(_: Service, ask: Ask) -> tuple[dict[str, Json], int]:
    return wire_openai.moderations_body(ask.model, ask.prompts, ask.key), 0


def _refused(ask: Ask, flaw: str) -> bool:
    return flaw == "refusal" and ask.schema is not None


def _parse_embeddings(body: Mapping[str, Any], draw: str | None) -> Ask | Problem:
    texts = _inputs(body)
    if isinstance(texts, Problem):
        return texts
    dimensions = body.get("dimensions")
    if dimensions is not None and (isinstance(dimensions, bool) or not isinstance(dimensions, int) or not 1 <= dimensions <= 8192):
        return invalid("'dimensions' must be a whole number from 1 to 8192", param="dimensions")
    shape = {"dimensions": dimensions, "base64": body.get("encoding_format") == "base64"}
    return Ask(content_key(body, draw), str(body["model"]), prompts=texts, schema=shape, max_tokens=0)


def _parse_moderations(body: Mapping[str, Any], draw: str | None) -> Ask | Problem:
    texts = _inputs({"model": "", **body})
    return texts if isinstance(texts, Problem) else Ask(content_key(body, draw), str(body["model"]), prompts=texts, max_tokens=0)


def _inputs(body: Mapping[str, Any]) -> tuple[str, ...] | Problem:
    given = body.get("input")
    items = given if isinstance(given, list) else [given]
    if items and all(isinstance(item, dict) for item in items):
        joined = text_of(items)
        items = [joined]
    if not items or not all(isinstance(item, str) for item in items):
        return invalid("'input' must be a text or a list of texts", param="input")
    return tuple(items)


ROUTES: Mapping[str, Route] = {
    "/v1/chat/completions": Route(wire_openai.parse_chat, partial(_texts, wire_openai.chat_body)),
    "/v1/completions": Route(wire_openai.parse_completion, partial(_texts, wire_openai.completion_body)),
    "/v1/messages": Route(wire_anthropic.parse_message, _message),
    "/v1/embeddings": Route(_parse_embeddings, _embeddings),
    "/v1/moderations": Route(_parse_moderations, _moderations),
}
