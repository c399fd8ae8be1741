"""Fills any JSON schema: values by the property's name where it says what belongs there, by the type otherwise."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from random import Random
from typing import Any

from gen.simulator.asked import Asked
from gen.simulator.lexicon import domain_for
from gen.simulator.text_answers import answer_sentences, document_sentences
from gen.simulator.text_quality import quality
from gen.simulator.text_verdicts import (
    CATEGORIES,
    harms,
    judged_text,
    labels,
    likelihood,
    ranking,
    reason,
    same_task,
    score,
    supported,
    yes,
)
from gen.types import Json

_MAX_DEPTH = 12
_MAX_NODES = 20_000  # of one reply; a schema that branches into itself stops there
_NAMES: tuple[tuple[str, frozenset[str]], ...] = (
    (
        "reason",
        frozenset("reason reasons reasoning explanation rationale why justification feedback comment comments critique analysis".split()),
    ),
    ("choice", frozenset("winner choice better preferred preference best chosen verdict pick".split())),
    ("instruction", frozenset("instruction question task prompt query request rewritten evolved user".split())),
    ("answer", frozenset("answer response output completion reply text content summary assistant revised".split())),
    ("claim", frozenset("claim statement sentence fact quote evidence".split())),
    ("persona", frozenset("persona audience role author who".split())),
    ("topic", frozenset("topic subject title heading category domain name".split())),
)
_HARMLESS = frozenset("harm harmlessness safety".split())  # aspects on which an ordinary answer gets the best mark
_SUPPORT = frozenset("supported grounded faithful entailed covered".split())
_MOSTLY_FALSE = frozenset(
    "equal same identical refusal refused unsafe harmful duplicate violation flagged toxic contains problem error wrong truncated".split()
)


@dataclass
class Content:
    """What a reply's fields are filled from: `instructions` and `answer` come written (and perhaps flawed) by the caller. `place` is the
    candidate that a list's current entry is about, `within` the name of the property that the current object belongs to."""

    asked: Asked
    rng: Random
    instructions: list[str] = field(default_factory=list)
    answer: str = ""
    used: int = 0
    nodes: int = 0
    place: int = 0
    within: str = ""
    claims: list[str] = field(default_factory=list)
    order: list[int] = field(default_factory=list)

    def best_first(self) -> list[int]:
        """The candidates' places, best first; one opinion for the whole reply."""
        if not self.order:
            self.order = ranking(self.asked, self.rng)
        return self.order


def fill(schema: Json, content: Content) -> Json:
    """A value that is valid under `schema`: local $ref, anyOf, allOf, const, enum, all types and their usual bounds; `pattern` is not
    looked at. What cannot be read as a schema gives a text."""
    root = schema if isinstance(schema, dict) else {}
    return _value(root, "", content, root, 0)


def _value(schema: Any, name: str, content: Content, root: dict[str, Any], depth: int) -> Json:
    content.nodes += 1
    if content.nodes > _MAX_NODES:
        return ""
    node = _resolved(schema, root)
    if "const" in node:
        return node["const"]
    if isinstance(node.get("enum"), list) and node["enum"]:
        return _option(node["enum"], name, content)
    kind = _type_of(node)
    if kind == "object":
        return _object(node, name, content, root, depth)
    if kind == "array":
        return _array(node, name, content, root, depth)
    if kind in ("number", "integer"):
        return _number(node, kind, name, content)
    if kind == "boolean":
        return _boolean(name, content)
    return None if kind == "null" else _text(node, name, content)


def _object(node: dict[str, Any], name: str, content: Content, root: dict[str, Any], depth: int) -> Json:
    given, needed = node.get("properties"), node.get("required")
    properties: dict[str, Any] = given if isinstance(given, dict) else {}
    required: list[Any] = needed if isinstance(needed, list) else []
    wanted = [*properties, *(name for name in required if name not in properties)]
    if depth >= _MAX_DEPTH:  # a schema that refers to itself: only what must be there
        wanted = [name for name in wanted if name in required]
    filled: dict[str, Json] = {}
    for inner in wanted if depth < 2 * _MAX_DEPTH else []:
        content.within = name
        filled[str(inner)] = _value(properties.get(inner, {}), str(inner), content, root, depth + 1)
    return filled


def _array(node: dict[str, Any], name: str, content: Content, root: dict[str, Any], depth: int) -> Json:
    least, most = _count(node.get("minItems"), 0), _count(node.get("maxItems"), 100)
    asked, items = content.asked, node.get("items", {})
    if depth >= _MAX_DEPTH:
        return [_value(items, name, content, root, depth + 1) for _ in range(least)] if depth < 2 * _MAX_DEPTH else []
    if asked.kind == "compare" and _cue(name, {"ranking", "rank", "order"}):
        order, names = content.best_first(), labels(asked)
        numeric = _type_of(_resolved(items, root)) in ("integer", "number")
        return [place + 1 if numeric else names[place] for place in order]
    role = _role(name)
    if role == "instruction" or (asked.kind == "instructions" and depth <= 1):
        count = max(asked.count, 1)
    elif asked.kind == "compare" and _type_of(_resolved(items, root)) in ("integer", "number", "object"):
        return [_about_candidate(place, items, name, content, root, depth) for place in range(len(asked.candidates))]
    elif role == "claim":
        count = len(_claims(content))
    else:
        count = content.rng.randint(2, 4)
    return [_value(items, name, content, root, depth + 1) for _ in range(max(least, min(most, count)))]


def _about_candidate(place: int, items: Any, name: str, content: Content, root: dict[str, Any], depth: int) -> Json:
    content.place = place
    return _value(items, name, content, root, depth + 1)


def _number(node: dict[str, Any], kind: str, name: str, content: Content) -> Json:
    asked = content.asked
    if asked.kind == "safety":
        return round(likelihood(asked, content.rng), 4)
    low, high = node.get("minimum", node.get("exclusiveMinimum")), node.get("maximum", node.get("exclusiveMaximum"))
    judging = asked.kind in ("judge", "compare", "yes_no", "critique")
    floor = float(low) if isinstance(low, int | float) else (asked.low if judging else 1.0)
    ceiling = float(high) if isinstance(high, int | float) else (asked.high if judging else max(10.0, floor))
    value = _judged(name, content, floor, ceiling) if judging else content.rng.uniform(floor, ceiling)
    step = 1 if kind == "integer" else 0.01
    least = floor + (step if "exclusiveMinimum" in node and "minimum" not in node else 0)
    most = ceiling - (step if "exclusiveMaximum" in node and "maximum" not in node else 0)
    if not (low is None and high is None and judging):  # a place in a list is no score
        value = min(most, max(least, value))
    if kind == "integer":
        whole = round(value)
        return whole if low is None and high is None else int(min(math.floor(most), max(math.ceil(least), whole)))
    return round(value, 2) if least <= round(value, 2) <= most else value


def _judged(name: str, content: Content, low: float, high: float) -> float:
    """A score: of the candidate that the property names (`score_a`, `answer_2`) or the list's entry is about, else of what is judged.
    In a comparison `number` is the entry's own number and `best` the number of the best candidate."""
    asked, rng = content.asked, content.rng
    if _cue(f"{content.within} {name}", _HARMLESS):
        return low if harms(judged_text(asked)) else high
    if asked.kind != "compare":
        return score(asked, rng, low=low, high=high)
    if _cue(name, {"number", "index", "id", "position"}):
        return content.place + 1
    if _role(name) == "choice":
        return content.best_first()[0] + 1
    names = [label.lower() for label in labels(asked)]
    named = [names.index(token) for token in re.findall(r"[a-z]+|\d+", name.lower()) if token in names]
    place = named[-1] if named else content.place
    top = _capped_quality(content, place)
    return low + (high - low) * top


def _capped_quality(content: Content, place: int) -> float:
    """The quality of a candidate, never above that of one that was ranked before it."""
    asked, order = content.asked, content.best_first()
    before = order[: order.index(place) + 1]
    return min(quality(asked.candidates[other].text, asked.text) for other in before)


def _boolean(name: str, content: Content) -> bool:
    asked = content.asked
    if _cue(name, _SUPPORT) and asked.document:
        return supported(_last_claim(content), asked.document)
    if _cue(name, _MOSTLY_FALSE):
        return same_task(asked) or content.rng.random() < 0.06
    return yes(asked, content.rng)


def _option(options: list[Any], name: str, content: Content) -> Json:
    """One of an enum's values: the better candidate where its label is one, yes or no where these are, else any."""
    asked, rng = content.asked, content.rng
    lowered = [str(option).lower() for option in options]
    if asked.kind == "compare" and asked.candidates:
        best = labels(asked)[content.best_first()[0]].lower()
        found = next((place for place, option in enumerate(lowered) if re.findall(r"[a-z]+|\d+", option)[-1:] == [best]), None)
        if found is not None:
            return options[found]
    if "supported" in lowered and len(options) > 1 and asked.document:
        place = lowered.index("supported")
        return options[place if supported(_last_claim(content), asked.document) else (place + 1) % len(options)]
    equal = [place for place, option in enumerate(lowered) if option in ("equal", "same")]
    if equal and len(options) > 1:
        others = [option for place, option in enumerate(options) if place not in equal]
        return options[equal[0]] if same_task(asked) or rng.random() < 0.06 else others[0]
    for right, wrong in (("yes", "no"), ("true", "false"), ("safe", "unsafe"), ("pass", "fail")):
        if right in lowered and wrong in lowered:
            return options[lowered.index(right if yes(asked, rng) else wrong)]
    numbers = [option for option in options if isinstance(option, int | float) and not isinstance(option, bool)]
    if len(numbers) == len(options):
        wanted = _judged(name, content, min(numbers), max(numbers))
        return min(numbers, key=lambda number: abs(number - wanted))
    return rng.choice(options)


def _text(node: dict[str, Any], name: str, content: Content) -> str:
    text = _FORMATS.get(str(node.get("format", ""))) or _by_role(_role(name), name, content)
    most, least = _count(node.get("maxLength"), 100_000), _count(node.get("minLength"), 0)
    while len(text) < min(least, 100_000):
        text += " " + answer_sentences(content.asked.text, 1, content.rng)[0]
    return text[:most]


_FORMATS = {
    "date": "2025-03-14",
    "date-time": "2025-03-14T09:30:00Z",
    "time": "09:30:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
}


def _by_role(role: str, name: str, content: Content) -> str:
    asked, rng = content.asked, content.rng
    if _cue(name, {"categories"}):
        return rng.choice(CATEGORIES)
    if role == "reason":
        return reason(asked, rng, answer=asked.candidates[content.place].text if asked.kind == "compare" else None)
    if role == "choice" and asked.kind == "compare":
        return labels(asked)[content.best_first()[0]]
    if role == "choice" and asked.kind in ("yes_no", "judge"):
        return "yes" if yes(asked, rng) else "no"
    if role == "instruction" and content.instructions:
        content.used += 1
        return content.instructions[(content.used - 1) % len(content.instructions)]
    if (
        asked.kind in ("instructions", "rewrite")
        and content.used < len(content.instructions)
        and role not in ("persona", "topic", "answer")
    ):
        content.used += 1
        return content.instructions[content.used - 1]
    if role == "answer":
        return content.answer or " ".join(answer_sentences(asked.text, rng.randint(3, 5), rng, context=asked.topic))
    if role == "claim":
        claims = _claims(content)
        content.used += 1
        return claims[(content.used - 1) % len(claims)]
    domain = domain_for(asked.topic, asked.text[:1500])
    if role == "persona":
        return rng.choice(domain.actors)
    if role == "topic":
        return rng.choice(domain.aspects)
    if _cue(name, {"score", "rating", "grade"}):
        return str(round(score(asked, rng)))
    return answer_sentences(asked.text, 1, rng, context=asked.topic)[0]


def _last_claim(content: Content) -> str:
    """The claim that was written last, the whole answer where none was."""
    return content.claims[(content.used - 1) % len(content.claims)] if content.claims and content.used else judged_text(content.asked)


def _claims(content: Content) -> list[str]:
    if not content.claims:
        content.claims = document_sentences(judged_text(content.asked))[:8] or ["The text makes no claim that could be checked."]
    return content.claims


def _resolved(schema: Any, root: dict[str, Any]) -> dict[str, Any]:
    """The schema node with $ref followed, allOf merged and the first usable branch of anyOf or oneOf taken."""
    node = schema if isinstance(schema, dict) else {}
    for _ in range(_MAX_DEPTH):
        if isinstance(node.get("$ref"), str):
            node = {**_target(node["$ref"], root), **{key: value for key, value in node.items() if key != "$ref"}}
            continue
        branches = node.get("anyOf") or node.get("oneOf")
        if isinstance(branches, list) and branches:
            usable = [branch for branch in branches if isinstance(branch, dict) and branch.get("type") != "null"]
            node = {**{key: value for key, value in node.items() if key not in ("anyOf", "oneOf")}, **(usable or [{"type": "null"}])[0]}
            continue
        if isinstance(node.get("allOf"), list):
            node = _merged(node, root)
            continue
        break
    return node


def _merged(node: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    merged = {key: value for key, value in node.items() if key != "allOf"}
    for part in node["allOf"]:
        found = _resolved(part, root)
        properties = {**merged.get("properties", {}), **found.get("properties", {})}
        required = [*merged.get("required", []), *found.get("required", [])]
        merged |= {**found, "properties": properties, "required": required}
    return merged


def _target(reference: str, root: dict[str, Any]) -> dict[str, Any]:
    node: Any = root
    for part in reference.removeprefix("#").strip("/").split("/") if reference not in ("#", "#/") else []:
        node = node.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else {}


def _type_of(node: dict[str, Any]) -> str:
    kind = node.get("type")
    if isinstance(kind, list):
        kind = next((item for item in kind if item != "null"), "null")
    if isinstance(kind, str):
        return kind
    return "object" if "properties" in node else "array" if "items" in node else "string"


def _count(value: Any, default: int) -> int:
    return min(value, 100_000) if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else default


def _words(name: str) -> set[str]:
    parts = re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+", name)
    return (
        {part.lower() for part in parts}
        | {part.lower().removesuffix("s") for part in parts}
        | {"query" for part in parts if part == "queries"}
    )


def _cue(name: str, cues: frozenset[str] | set[str]) -> bool:
    return bool(_words(name) & cues)


def _role(name: str) -> str:
    return next((role for role, cues in _NAMES if _cue(name, cues)), "")
