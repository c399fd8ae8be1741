"""Read what a model wrote: lists and objects out of almost-JSON, prose and numbered lines.

Tolerant where the meaning is clear (fences, prose around, trailing commas, single quotes: json-repair), strict where it is not: what
can't be read, or goes round in a loop, comes back as None and becomes a Malformed with its text kept.
"""

from __future__ import annotations

import json
import re
from typing import Any

import json_repair

MAX_CHARACTERS = 200_000  # a longer reply is no list of instructions; nothing here is worse than linear below it
_FENCE = re.compile(r"```[a-zA-Z0-9_-]{0,20}[ \t]*\n(.{0,200000}?)\n?```", re.DOTALL)
_ITEM = re.compile(r"^[ \t]{0,8}(?:[-*•]|\(?\d{1,3}[.):])[ \t]+(.{1,4000})$", re.MULTILINE)


def parse_json(text: str) -> Any | None:
    """The JSON value in `text`, or None. An object or list only: prose that happens to be a number is no structured reply."""
    if len(text) > MAX_CHARACTERS:
        return None
    for candidate in (text, *_FENCE.findall(text)[:3], _outermost(text)):
        try:
            value = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict | list):
            return value
    piece = _outermost(text)
    if not piece:
        return None
    try:
        value = json_repair.loads(piece)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) and value and not _begins_again(value, piece) else None


def parse_list(text: str, *, key: str = "instructions") -> list[str]:
    """The strings of a list reply, empty when there is none: a JSON list, an object holding one (under `key` or as its only list), or
    numbered or bulleted lines. Items that are objects give their `instruction`, `question` or `text`."""
    value = parse_json(text)
    if isinstance(value, dict):
        lists = [item for item in value.values() if isinstance(item, list)]
        value = value[key] if isinstance(value.get(key), list) else lists[0] if len(lists) == 1 else None
    if isinstance(value, list):
        return [item for item in (_as_text(item) for item in value) if item]
    if len(text) > MAX_CHARACTERS:
        return []
    return [item.strip().strip('"').strip() for item in _ITEM.findall(text) if item.strip().strip('"').strip()]


def _begins_again(value: Any, piece: str) -> bool:
    """Whether a reply that had to be repaired opens itself anew inside one of its strings, as a model in a loop does: the repair closes
    the outer string anywhere, and what it holds is no text that anybody meant. A string that ends in an opening bracket was cut there."""
    if isinstance(value, dict) and any(len(re.findall(_opening_of(key) + r"\s{0,20}:", piece)) > 1 for key in list(value)[:20]):
        return True
    keys, texts = _keys_and_texts(value)
    names = [_opening_of(key) for key in list(keys)[:20]]
    again = re.compile("|".join([*names, r"[{\[]\s{0,20}\Z"]))
    return any(again.search(text) for text in texts)


def _opening_of(key: str) -> str:
    return rf"\{{\s{{0,20}}[\"']{re.escape(key[:100])}[\"']?"


def _keys_and_texts(value: Any) -> tuple[dict[str, None], list[str]]:
    """Every key, and every string that is a value, however deep."""
    keys: dict[str, None] = {}
    texts: list[str] = []
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            keys |= dict.fromkeys(key for key in item if isinstance(key, str))
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, str):
            texts.append(item)
    return keys, texts


def _as_text(item: Any) -> str:
    if isinstance(item, dict):
        item = next((item[key] for key in ("instruction", "question", "task", "prompt", "text") if isinstance(item.get(key), str)), "")
    return item.strip() if isinstance(item, str) else ""


def _outermost(text: str) -> str:
    """From the first bracket to the last that closes it; to the end where a cut-off reply has no closing one."""
    starts = [position for position in (text.find("{"), text.find("[")) if position >= 0]
    if not starts:
        return ""
    start = min(starts)
    end = text.rfind("}" if text[start] == "{" else "]")
    return text[start : end + 1] if end > start else text[start:]
