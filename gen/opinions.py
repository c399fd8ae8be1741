"""Ask a judge's model for an opinion as JSON, and never take an unreadable one for a score.

An opinion that cannot be read is asked for again, on the path of every structured reply (`gen.llm.structured`): as another draw, with a
sentence of ours that says what was wrong, and at last from the start at another temperature. What still cannot be read, or a call that
failed for good, comes back as an Opinion without a value and with its reason. The model's own words are never put into the next prompt: an
answer under judgement may have put them there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from gen.llm.structured import MAX_CORRECTIONS, ask_structured, fresh_start
from gen.llm.structured import Unreadable as NotRead
from gen.replies import parse_json
from gen.types import Generate, Json, Message, Request, Response, Sample, digest

Value = TypeVar("Value")

LOWEST, HIGHEST = 1, 5  # the scale of every rubric here
MAX_REASON = 400  # characters of a judge's sentence that are kept
_NUMBER = re.compile(r"\s{0,9}(\d{1,2}(?:\.\d{1,3})?)(?:\s{0,3}(?:/|out of)\s{0,3}(\d{1,3}))?\s{0,9}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Opinion(Generic[Value]):
    """What a judge said. `value` is None where it could not be read or asked for (then `problem` says why); `requests` are the cache keys
    of all draws."""

    value: Value | None
    problem: str = ""
    requests: tuple[str, ...] = ()
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a reply is no opinion: a sentence of ours that may be shown to the judge."""

    problem: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A judge's number for one thing and its sentence."""

    score: float
    reason: str = ""


async def ask_opinion(
    generate: Generate, request: Callable[[int, str], Request], read: Callable[[Json], Value | Unreadable], *, key: str, tries: int
) -> Opinion[Value]:
    """One opinion, in at most 1 + `tries` draws. `request` makes the request from the draw's number and the problem of the one before
    (empty at first); `read` turns the reply's JSON into a value; `key` is a key that a readable reply holds once, so that a verdict
    quoted from the judged text beside the judge's own is noticed. From three tries on the last one starts afresh at another temperature.

    Raises ServiceStopped only.
    """
    starts_afresh = tries > MAX_CORRECTIONS

    def found_in(response: Response) -> Value | NotRead:
        found = _read(response, read, key)
        return NotRead(found.problem) if isinstance(found, Unreadable) else found

    said = await ask_structured(
        generate,
        request(0, ""),
        found_in,
        corrections=tries - 1 if starts_afresh else tries,
        correct=lambda _first, _reply, problem, number: request(number, problem),
        fresh=(lambda _first: _hotter(request(tries, ""))) if starts_afresh else None,
    )
    keys, simulated = tuple(reply.key for reply in said.replies if reply.key), any(reply.simulated for reply in said.replies)
    if said.error is not None:
        return Opinion(None, f"no opinion: the call failed ({said.error.reason})", keys, simulated)
    return Opinion(said.value, f"unreadable opinion: {said.problem}" if said.problem else "", keys, simulated)


def _hotter(request: Request) -> Request:
    """The request at another temperature; its draw is its own already."""
    return replace(fresh_start(request), draw=request.draw)


def draw_of_opinion(*names: Json) -> int:
    """A request's draw in 0 … 2³¹ − 1 from what it is about: the same on every run."""
    return int(digest(names, length=8), 16) & 0x7FFFFFFF


def frame_mark(texts: Sequence[str]) -> str:
    """A number of nine digits that occurs in none of `texts`, so that no text can end the frame it stands in. It comes from the texts'
    own digest: the same on every run, and not to be known before they are written."""
    whole = "\n".join(texts)
    for attempt in range(1_000_000):
        mark = str(int(digest([whole, attempt], length=12), 16) % 900_000_000 + 100_000_000)
        if mark not in whole:
            return mark
    raise AssertionError("a million numbers occur in one text")


def question_of(messages: Sequence[Message]) -> tuple[str, str]:
    """(system prompt, what was asked) of a conversation up to the answer; several turns are told apart by their roles."""
    system = "\n".join(message.content for message in messages if message.role == "system")
    turns = [message for message in messages if message.role != "system"]
    if len(turns) == 1:
        return system, turns[0].content
    return system, "\n\n".join(f"{message.role.upper()}:\n{message.content}" for message in turns)


def answer_of(sample: Sample) -> tuple[tuple[Message, ...], str] | None:
    """(the messages before the last answer, that answer); None for a conversation without one."""
    for place in reversed(range(len(sample.messages))):
        if sample.messages[place].role == "assistant":
            return sample.messages[:place], sample.messages[place].content
    return None


def mark_of(value: Json) -> Mark | None:
    """A mark from {"score": 4, "reason": "…"}, a bare number or "4/5"; None for anything else and for a number off the scale."""
    if isinstance(value, Mapping):
        score = number_of(value.get("score"))
        reason = value.get("reason")
        return None if score is None else Mark(score, " ".join(reason.split())[:MAX_REASON] if isinstance(reason, str) else "")
    score = number_of(value)
    return None if score is None else Mark(score)


def number_of(value: Json) -> float | None:
    """The number on the scale from 1 to 5, None when there is none.

    >>> [number_of(value) for value in (4, 3.5, "4/5", "4 out of 5", "8/10", 0, 6, True, "good")]
    [4.0, 3.5, 4.0, 4.0, None, None, None, None, None]
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        found = _NUMBER.fullmatch(value[:60])
        if found is None or (found.group(2) and int(found.group(2)) != HIGHEST):
            return None
        value = float(found.group(1))
    if not isinstance(value, int | float) or not math.isfinite(value) or not LOWEST <= value <= HIGHEST:
        return None
    return float(value)


def _read(response: Response, read: Callable[[Json], Value | Unreadable], key: str) -> Value | Unreadable:
    if response.finish_reason in ("refusal", "content_filter"):
        return Unreadable("the judge refused to answer")
    text = response.text.strip()
    if text.startswith("<think>"):  # a local model's thoughts, drafts of the verdict among them
        text = text.partition("</think>")[2]
    if text.count(f'"{key}"') > 1:
        return Unreadable("the reply holds more than one verdict")
    value = parse_json(text)
    found = Unreadable("the reply is no JSON object") if not isinstance(value, dict) else read(value)
    if isinstance(found, Unreadable) and response.finish_reason == "length":
        return Unreadable("the reply was cut off at the token limit")
    return found
