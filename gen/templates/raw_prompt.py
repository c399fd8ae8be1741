"""Raw prompts in a model's own chat format: a conversation rendered up to the place where the next turn's words begin.

A marker is rendered as the next message and the text is cut there, so any chat template will do. What the template puts after the
marker says where that turn ends. A beginning-of-sequence token is left out: servers put it before every raw prompt themselves, and a
model that reads two of them writes worse.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gen.errors import InputError
from gen.resources import resource
from gen.templates.chat_template import ChatTemplate, Unfit
from gen.templates.tokenizer import ChatTokenizer, load_tokenizer
from gen.types import EMPTY, Message

SHIPPED = "shipped"  # the tokenizer in data/tokenizer, whose template is ChatML
MAX_STOPS = 4  # OpenAI's API and many servers take no more

_MARKER = "\ue0a1turn\ue0a2"
_CONTROL_LIKE = r"<\|[^|<>\s]{1,60}\|>"  # what looks like a control token in ChatML, Llama 3, Phi, of whichever model


@dataclass(frozen=True, slots=True)
class RawPrompts:
    """Writes the prompts and reads the replies of one model's chat format. `stops` are texts at which any turn is over; `takes_system`
    is False for templates without a system role. Open one with `open_raw_prompts`."""

    name: str
    stops: tuple[str, ...]
    takes_system: bool
    _template: ChatTemplate = field(repr=False)
    _bos: str = field(repr=False)
    _control: re.Pattern[str] = field(repr=False)

    def user_turn(self, messages: Sequence[Message]) -> str:
        """The prompt after which the model writes what the user says next. Raises InputError where the template refuses."""
        before, _ = _around_marker(self._template, messages, self.name)
        return before.removeprefix(self._bos).rstrip(" ")  # a space belongs to the first word's token

    def assistant_turn(self, messages: Sequence[Message]) -> str:
        """The prompt after which the model answers the last user turn. Raises InputError where the template refuses."""
        text = self._template.render(messages, generation_prompt=True)
        if isinstance(text, Unfit):
            raise InputError(f"the chat template of '{self.name}' refuses a conversation: {text.detail}")
        return text.removeprefix(self._bos).rstrip(" ")

    def spoken(self, reply: str) -> str:
        """The turn in a reply: what stands before the first stop, where a server sends it along, without white space around."""
        ends = [place for stop in self.stops if (place := reply.find(stop)) >= 0]
        return reply[: min(ends, default=len(reply))].strip()

    def leak(self, text: str) -> str:
        """The first control token in `text`, empty when there is none."""
        found = self._control.search(text)
        return found[0] if found else ""


def open_raw_prompts(tokenizer: str, options: Mapping[str, Any] = EMPTY) -> RawPrompts:
    """The chat format of `tokenizer`: a folder, a model on the Hub, or SHIPPED. `options` are further variables of its template, such as
    `enable_thinking`.

    Raises InputError when it cannot be loaded, has no chat template, or one that shows no end of a user's turn.
    """
    place: str | Path = resource("data", "tokenizer") if tokenizer == SHIPPED else tokenizer
    loaded = load_tokenizer(place)
    if loaded.template is None:
        raise InputError(f"the tokenizer '{tokenizer}' has no chat template: name the one of an instruction-tuned model")
    template = ChatTemplate(loaded.template, {**loaded.variables, **options}, name=f"chat template of '{tokenizer}'")
    control = _control_pattern(loaded)
    stops = _stops(template, loaded, control, tokenizer)
    return RawPrompts(tokenizer, stops, _takes_system(template), template, loaded.variables.get("bos_token", ""), control)


def _stops(template: ChatTemplate, loaded: ChatTokenizer, control: re.Pattern[str], name: str) -> tuple[str, ...]:
    """What ends a user's turn, what opens the next, and the end of sequence."""
    question = Message("user", _MARKER)
    _, ended = _around_marker(template, (), name)
    opened = template.render((question,), generation_prompt=True)
    after = ended if isinstance(opened, Unfit) else opened.rpartition(_MARKER)[2]
    found = [match[0] for match in control.finditer(after)][:2]
    if not found:  # roles written as plain text: the line that opens the next turn
        found = [line.strip() for line in after.splitlines() if line.strip()][:1]
    if not found:
        raise InputError(f"the chat template of '{name}' puts nothing after a user's turn, so nothing would end it")
    return tuple(dict.fromkeys([*found, *filter(None, [loaded.variables.get("eos_token", "")])]))[:MAX_STOPS]


def _around_marker(template: ChatTemplate, messages: Sequence[Message], name: str) -> tuple[str, str]:
    """What the template writes before and after the words of the user's next turn."""
    text = template.render((*messages, Message("user", _MARKER)))
    if isinstance(text, Unfit):
        raise InputError(f"the chat template of '{name}' refuses a conversation: {text.detail}")
    before, marker, after = text.rpartition(_MARKER)
    if not marker:
        raise InputError(f"the chat template of '{name}' leaves out the user's words")
    return before, after


def _takes_system(template: ChatTemplate) -> bool:
    text = template.render((Message("system", _MARKER), Message("user", "Question")))
    return isinstance(text, str) and _MARKER in text


def _control_pattern(loaded: ChatTokenizer) -> re.Pattern[str]:
    texts = sorted((text for text, special in loaded.specials.items() if special.control), key=len, reverse=True)
    return re.compile("|".join([*(re.escape(text) for text in texts if text), _CONTROL_LIKE]))
