"""Embeddings: texts in, vectors out, by OpenAI's API and every server that speaks it.

Texts are sent many at a time and kept one by one: as a reply whose text is the vector's little-endian 32-bit floats in base64, so that the
cache exports, prunes and counts them as it does all replies. The tokens of a request are shared out over its texts by their length.
"""

from __future__ import annotations

import base64
import binascii
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gen.apportion import largest_remainder
from gen.errors import RequestRejected
from gen.llm.keys import request_key
from gen.llm.wire import count, malformed, mapping, model_name, parse_object, simulated, well_formed
from gen.recipe import ModelLine
from gen.types import Json, Message, Request, Response, Usage, digest

PATH = "/embeddings"
Vector = array  # of float32: numpy reads it without a copy
_WHO = "the embeddings endpoint"


def asked_for(model: str, texts: Iterable[str], *, purpose: str, step: int) -> Request:
    """The request for the vectors of `texts`, one message each. Raises RequestRejected for an empty one: no API embeds it."""
    messages = tuple(Message("user", text) for text in texts)
    if any(not message.content.strip() for message in messages):
        raise RequestRejected("an empty text has no embedding; leave it out", reason="bad_request")
    return Request(model=model, messages=messages, purpose=purpose, step=step)


def embedding_key(request: Request, line: ModelLine, identity: Json) -> str:
    """The cache key of a text's vector or of a whole request; sampling and draw have no part in it."""
    bare = line.model_copy(update={"temperature": None, "top_p": None, "max_tokens": 1})
    return digest(["embeddings", request_key(request, bare, identity)], length=64)


def portions(texts: Sequence[str], *, inputs: int, size: int) -> Iterator[list[str]]:
    """`texts` in order, at most `inputs` and (but for one that is longer alone) `size` UTF-8 bytes at a time.

    >>> list(portions(["aa", "bb", "cccccc", "d"], inputs=2, size=5))
    [['aa', 'bb'], ['cccccc'], ['d']]
    """
    portion: list[str] = []
    used = 0
    for text in texts:
        length = len(text.encode("utf-8", "replace"))
        if portion and (len(portion) >= inputs or used + length > size):
            yield portion
            portion, used = [], 0
        portion.append(text)
        used += length
    if portion:
        yield portion


def build_payload(request: Request, line: ModelLine) -> dict[str, Any]:
    """The body of POST /embeddings."""
    return {"model": line.model, "input": [well_formed(message.content) for message in request.messages], "encoding_format": "base64"}


def parse_response(body: bytes, headers: Mapping[str, str], texts: int) -> Response:
    """The vectors of all `texts` in their order, as the reply's text: base64, one a line.

    Raises Unavailable `malformed_reply` where one is missing or is no list of finite numbers, or where their lengths differ.
    """
    value = parse_object(body, _WHO)
    data = value.get("data")
    if not isinstance(data, list) or len(data) != texts:
        raise malformed(_WHO, f"it holds not the {texts} vectors that were asked for")
    rows: dict[int, bytes] = {}
    for place, item in enumerate(data):
        index = mapping(item).get("index", place)
        vector = _floats(mapping(item).get("embedding"))
        if vector is None or not isinstance(index, int) or not 0 <= index < texts:
            raise malformed(_WHO, "a vector in it cannot be read")
        rows[index] = vector
    if len(rows) != texts or len({len(row) for row in rows.values()}) != 1:
        raise malformed(_WHO, "its vectors are not one per text and equally long")
    model = model_name(value.get("model"))
    return Response(
        text="\n".join(base64.b64encode(rows[index]).decode("ascii") for index in range(texts)),
        usage=Usage(input_tokens=count(mapping(value.get("usage")).get("prompt_tokens"))),
        model=model,
        simulated=simulated(headers, model),
    )


def one_by_one(request: Request, reply: Response) -> list[Response]:
    """A reply per text of a request, each with its share of the tokens."""
    sizes = [len(message.content.encode("utf-8", "replace")) for message in request.messages]
    shares = largest_remainder(reply.usage.input_tokens, sizes)
    rows = zip(reply.text.split("\n"), shares, strict=True)
    return [Response(row, usage=Usage(tokens), model=reply.model, simulated=reply.simulated) for row, tokens in rows]


def vector_of(text: str) -> Vector[float]:
    """The vector in one line of a reply's text."""
    vector = array("f")
    vector.frombytes(base64.b64decode(text))
    if sys.byteorder == "big":
        vector.byteswap()
    return vector


def _floats(value: Json) -> bytes | None:
    """A vector as little-endian 32-bit floats, from base64 or a list of numbers; None for anything else."""
    try:
        if isinstance(value, str):
            raw = base64.b64decode(value, validate=True)
            vector = array("f")
            vector.frombytes(raw)
        elif isinstance(value, list):
            vector = array("f", value)
            raw = vector.tobytes() if sys.byteorder == "little" else _swapped(vector)
        else:
            return None
    except (binascii.Error, ValueError, TypeError, OverflowError):
        return None
    return raw if vector and all(abs(number) < float("inf") for number in vector) else None


def _swapped(vector: Vector[float]) -> bytes:
    other = array("f", vector)
    other.byteswap()
    return other.tobytes()
