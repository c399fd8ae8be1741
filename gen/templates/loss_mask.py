"""Find where each message stands in the rendered text, for any chat template, with or without `{% generation %}` markers.

Rendering a conversation a second time with a message replaced and taking what differs finds its place whatever the template does;
searching for the content or cutting at the length of a shorter conversation fails on templates that trim, reorder or look ahead.
The second render is needed only once per shape (the roles, and which contents are empty): with every content replaced by a marker
the literal text between them is known, and a sample of that shape is proved by its own render being exactly those literals with its
contents in between. Only a sample that changes the literals (a template that takes `</think>` apart) is compared message by message.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, product

from gen.templates.chat_template import ChatTemplate, Unfit
from gen.types import Message

MARKER = re.compile("\ue0a1m([0-9]{1,6})m\ue0a2")  # stands for the message of that position

_SHAPES = 4096  # literals kept; a shape is a few hundred bytes
_EDGE = " \n"  # white space put around a marker to see whether the template trims
_REASONING_END = "</think>"
_REASONING = re.compile(r"<think>|</think>")


@dataclass(frozen=True, slots=True)
class Turn:
    """Where one message stands in the text: [start, end). `prompt_end` is where an answer's generation prompt ends, at or
    before `start`; equal to `start` for other roles, and where the template never renders such a prompt before this turn. `learnt` is
    False where the dataset gives the message no weight, `whole` where the template takes the reasoning out of an answer."""

    role: str
    start: int
    end: int
    prompt_end: int
    learnt: bool = True
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Rendered:
    """A conversation as text, with its turns in the order of the messages."""

    text: str
    turns: tuple[Turn, ...]


Shape = tuple[tuple[str, bool, bool], ...]


def shape_of(messages: Sequence[Message]) -> Shape:
    """What there is to messages besides their words: each one's role, whether it has any, and whether it may be learnt."""
    return tuple([(message.role, not message.content.isspace() and message.content != "", message.weight != 0) for message in messages])


@dataclass(frozen=True, slots=True)
class _Skeleton:
    """What a template writes around messages of one shape: literal, slot, literal, slot, …, literal.

    `slots` are message positions in the order of the text; `trims` says per message whether its left and right edge is kept;
    `headers` is per slot how much of the literal before it belongs to the answer's generation prompt (all of it, where there is none).
    """

    literals: tuple[str, ...]
    slots: tuple[int, ...]
    trims: tuple[tuple[bool, bool], ...]
    headers: tuple[int, ...]

    def written(self, contents: Sequence[str]) -> str:
        """The text with these contents in the slots."""
        parts = [part for literal, slot in zip(self.literals, self.slots, strict=False) for part in (literal, contents[slot])]
        return "".join([*parts, self.literals[-1]])


@dataclass(frozen=True, slots=True)
class TurnFinder:
    """Finds turns for one template; remembers what it learnt about shapes."""

    template: ChatTemplate
    _skeletons: dict[Shape, _Skeleton | None] = field(default_factory=dict, repr=False, compare=False)

    def find(self, messages: Sequence[Message]) -> Rendered | Unfit:
        """The rendered text and every message's place in it, proved; else why not.

        `template_refused`: the template raises. `text_lost_in_template`: a message, or a part of it, is not in the text.
        `mask_unproven`: messages cannot be told apart in the text.
        """
        text = self.template.render(messages)
        return text if isinstance(text, Unfit) else self.locate(messages, text)

    def locate(self, messages: Sequence[Message], text: str) -> Rendered | Unfit:
        """As `find`, for `text`, which the template wrote of the messages."""
        contents = self.contents(messages, text)
        skeleton = self._skeleton(messages)
        if contents is None or skeleton is None:
            return self._compare(messages, text)
        return Rendered(text, _turns(skeleton, messages, contents))

    def contents(self, messages: Sequence[Message], text: str) -> list[str] | None:
        """Each message's part of `text`, where around them stands what the template writes around messages of this shape; else None."""
        skeleton = self._skeleton(messages)
        if skeleton is None:
            return None
        contents = [_trimmed(message.content, *trims) for message, trims in zip(messages, skeleton.trims, strict=True)]
        return contents if skeleton.written(contents) == text else None

    def outline(self, messages: Sequence[Message]) -> Rendered | None:
        """What the template writes of messages of this shape, with MARKER in the place of each that is not empty; None where that is
        not known."""
        skeleton = self._skeleton(messages)
        if skeleton is None:
            return None
        markers = _markers(messages)
        return Rendered(skeleton.written(markers), _turns(skeleton, messages, markers))

    def literals(self, messages: Sequence[Message]) -> tuple[str, ...]:
        """What the template writes around messages of this shape; empty when it refuses them or loses one."""
        skeleton = self._skeleton(messages)
        return skeleton.literals if skeleton is not None else ()

    def _skeleton(self, messages: Sequence[Message]) -> _Skeleton | None:
        shape = shape_of(messages)
        if shape not in self._skeletons:
            if len(self._skeletons) >= _SHAPES:
                self._skeletons.clear()
            self._skeletons[shape] = self._learn(messages)
        return self._skeletons[shape]

    def _learn(self, messages: Sequence[Message]) -> _Skeleton | None:
        markers = _markers(messages)
        cut = self._cut(messages, markers)
        if cut is None:
            return None
        literals, slots = cut
        headers = tuple(self._header(messages, markers, slot, literal) for literal, slot in zip(literals, slots, strict=False))
        return _Skeleton(literals, slots, self._trims(messages, markers, literals, slots), headers)

    def _cut(self, messages: Sequence[Message], contents: list[str]) -> tuple[tuple[str, ...], tuple[int, ...]] | None:
        text = self.template.render(_with(messages, contents))
        if isinstance(text, Unfit):
            return None
        parts = MARKER.split(text)  # literal, number, literal, number, …, literal
        slots = tuple(int(number) for number in parts[1::2])
        filled = [position for position, content in enumerate(contents) if content]
        return (tuple(parts[::2]), slots) if sorted(slots) == filled else None

    def _trims(
        self, messages: Sequence[Message], markers: list[str], literals: tuple[str, ...], slots: tuple[int, ...]
    ) -> tuple[tuple[bool, bool], ...]:
        """Whether white space at a message's left and right edge survives; (True, True) where it cannot be told."""
        kept = [(True, True)] * len(messages)
        probed = self._cut(messages, [f"{_EDGE}{marker}{_EDGE}" if marker else "" for marker in markers])
        if probed is None or probed[1] != slots:
            return tuple(kept)
        for place, (before, after) in enumerate(zip(literals, probed[0], strict=True)):
            for right, left in product((True, False), repeat=2):
                if after == right * _EDGE + before + left * _EDGE:
                    if place > 0:
                        kept[slots[place - 1]] = (kept[slots[place - 1]][0], right)
                    if place < len(slots):
                        kept[slots[place]] = (left, True)
                    break
        return tuple(kept)

    def _header(self, messages: Sequence[Message], markers: list[str], slot: int, literal: str) -> int:
        prompt = self.template.render(_with(messages, markers)[:slot], generation_prompt=True)
        if messages[slot].role != "assistant" or isinstance(prompt, Unfit):
            return len(literal)
        tail = MARKER.split(prompt)[-1]
        return len(tail) if literal.startswith(tail) else len(literal)

    def _compare(self, messages: Sequence[Message], text: str) -> Rendered | Unfit:
        turns: list[Turn] = []
        for position, message in enumerate(messages):
            turn = self._difference(messages, position, text)
            if isinstance(turn, Unfit):
                return turn
            history = any(later.role == "assistant" for later in messages[position + 1 :])
            region = text[turn.start : turn.end]
            if not _survives(message, region, history):
                return Unfit(
                    "text_lost_in_template", f"message {position + 1} ({message.role[:40]}) is not in the rendered text as a whole"
                )
            turns.append(replace(turn, learnt=message.weight != 0, whole=_survives(message, region, False)))
        in_order = sorted(turns, key=lambda turn: (turn.prompt_end, turn.end))
        if any(before.end > after.prompt_end for before, after in pairwise(in_order)):
            return Unfit("mask_unproven", "the template mixes the texts of two messages")
        return Rendered(text, tuple(turns))

    def _difference(self, messages: Sequence[Message], position: int, text: str) -> Turn | Unfit:
        marker = _marker(position)
        if marker[0] in text or marker[-1] in text:
            return Unfit("mask_unproven", "the text holds the private-use characters that mark a message's place")
        role = messages[position].role
        other = self.template.render([*messages[:position], replace(messages[position], content=marker), *messages[position + 1 :]])
        if isinstance(other, Unfit):
            return other
        if marker not in other:
            return Unfit("text_lost_in_template", f"the template leaves out message {position + 1} ({role[:40]})")
        start = _common_prefix(text, other)
        end = len(text) - _common_prefix(text[start:][::-1], other[start:][::-1])
        prompt = self.template.render(messages[:position], generation_prompt=True)
        prompted = role == "assistant" and isinstance(prompt, str) and len(prompt) <= start and text.startswith(prompt)
        prompt_end = len(str(prompt)) if prompted else start
        if other.index(marker) != start:  # what the template wrote before the message depends on it: a reasoning block of its own
            start = prompt_end
        return Turn(role, start, end, prompt_end)


def _marker(position: int) -> str:
    return f"\ue0a1m{position}m\ue0a2"


def _markers(messages: Sequence[Message]) -> list[str]:
    return [_marker(position) if message.content.strip() else "" for position, message in enumerate(messages)]


def _with(messages: Sequence[Message], contents: Sequence[str]) -> list[Message]:
    return [replace(message, content=content) for message, content in zip(messages, contents, strict=True)]


def _turns(skeleton: _Skeleton, messages: Sequence[Message], contents: Sequence[str]) -> tuple[Turn, ...]:
    """The places of contents that are in their slots."""
    turns: dict[int, Turn] = {}
    at = 0
    for literal, slot, header in zip(skeleton.literals, skeleton.slots, skeleton.headers, strict=False):
        start = at + len(literal)
        end = start + len(contents[slot])
        turns[slot] = Turn(messages[slot].role, start, end, at + header, messages[slot].weight != 0)
        at = end
    return tuple(turns.get(position, Turn(message.role, 0, 0, 0)) for position, message in enumerate(messages))


def _trimmed(content: str, keep_left: bool, keep_right: bool) -> str:
    content = content if keep_left else content.lstrip()
    return content if keep_right else content.rstrip()


def _survives(message: Message, region: str, history: bool) -> bool:
    """Whether the message is in its region. A template may take reasoning out of earlier answers, as it does at inference, and move
    or rewrite the think tags; the answer itself must be there."""
    text = message.content.strip()
    if text in region:
        return True
    if message.role != "assistant" or _REASONING_END not in text:
        return False
    *reasoning, answer = _REASONING.split(text)
    wanted = [answer] if history else [*reasoning, answer]
    return all(part.strip() in region for part in wanted)


def _common_prefix(one: str, other: str) -> int:
    """How many characters two texts share from the start, by halving: slices compare at memory speed."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
