"""The moderations endpoint of OpenAI and of servers that offer the same: a score per category for each text, and no tokens counted.

A model line is one of it by its model's id ("omni-moderation-latest", "text-moderation-stable"), so that keys, rates, retries and the cache
are those of every other call: `messages` are the texts to look at, one each, and the reply's text is the categories' scores as JSON. The
endpoint has no roles, sampling or seed; a request for it is asked with draw 0, so that equal texts are asked once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gen.llm.wire import malformed, mapping, model_name, parse_object, simulated, well_formed
from gen.recipe import ModelLine
from gen.types import Json, Request, Response, canonical_json

PATH = "/moderations"


def is_moderation(model: str) -> bool:
    """Whether a model id names a moderation model."""
    return "moderation" in model.lower()


def build_payload(request: Request, line: ModelLine) -> dict[str, Any]:
    """The body of POST /moderations."""
    texts = [message.content for message in request.messages] or [request.prompt or ""]
    return {"model": line.model, "input": [well_formed(text) for text in texts]}


def parse_response(body: bytes, headers: Mapping[str, str]) -> Response:
    """The highest score of each category over the texts, as a JSON object of category to a number from 0 to 1.

    Raises Unavailable `malformed_reply` where a result holds no scores.
    """
    value = parse_object(body, "the moderations endpoint")
    results = value.get("results")
    if not isinstance(results, list) or not results:
        raise malformed("the moderations endpoint", "it holds no results")
    highest: dict[str, float] = {}
    for result in results:
        scores = _scores(mapping(result).get("category_scores"))
        if not scores:
            raise malformed("the moderations endpoint", "a result holds no category_scores")
        for category, score in scores.items():
            highest[category] = max(score, highest.get(category, 0.0))
    model = model_name(value.get("model"))
    return Response(text=canonical_json(highest), model=model, simulated=simulated(headers, model))


def _scores(value: Json) -> dict[str, float]:
    return {
        str(category): float(score)
        for category, score in mapping(value).items()
        if isinstance(score, int | float) and not isinstance(score, bool) and math.isfinite(score)
    }
