"""Render a conversation by a model's chat template: Jinja as the model hubs use it, sandboxed, and with a date that stands still.

The environment is the one that published chat templates are written for: blocks trimmed, `break` and `continue`, a `tojson` that
keeps Unicode, `raise_exception`, `strftime_now`, and `{% generation %}` (taken as plain text here: the loss mask is found without
markers, see gen.templates.loss_mask). A template is code from somebody else, so it runs in Jinja's immutable sandbox. One that asks
for today's date would make another training set every day, so `strftime_now` answers with a fixed one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from jinja2 import Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from gen.errors import InputError
from gen.resources import resource
from gen.types import Message

FIXED_DATE = date(2024, 7, 26)  # what the Llama 3 templates print when nobody tells them a date
NAMED = ("alpaca", "chatml", "llama3")  # shipped in data/chat_templates, for base models without a template

SURROGATE = re.compile("[\ud800-\udfff]")  # half of a UTF-16 pair, which has no UTF-8 form

# What a sandboxed template can raise on a conversation that it was not written for.
_REFUSALS = (TemplateError, TypeError, ValueError, LookupError, ArithmeticError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why a sample cannot become training data. `reason` is a stable code; `detail` never holds a whole message."""

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A compiled template. `variables` is what it sees besides the messages: the special tokens, and options such as
    `enable_thinking`. `day` is today as far as the template can tell; None means FIXED_DATE, and no `date_string` is set.

    >>> template = ChatTemplate("{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}")
    >>> template.render([Message("user", "Hi")])
    '<user>Hi'
    """

    source: str
    variables: Mapping[str, Any] = field(default_factory=dict)
    day: date | None = None
    name: str = "chat template"
    _compiled: Template = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_compiled", _compile(self.source, self.today, self.name))

    @property
    def today(self) -> date:
        """The date that the template sees."""
        return self.day or FIXED_DATE

    def render(self, messages: Sequence[Message], *, generation_prompt: bool = False) -> str | Unfit:
        """The conversation as text; `generation_prompt` adds the header after which a model answers. An Unfit `template_refused`
        with the template's own words when it raises."""
        given = dict(self.variables)
        if self.day is not None:
            given.setdefault("date_string", self.day.strftime("%d %b %Y"))
        turns = [{"role": message.role, "content": message.content} for message in messages]
        try:
            return self._compiled.render(messages=turns, tools=None, documents=None, add_generation_prompt=generation_prompt, **given)
        except _REFUSALS as error:
            return Unfit("template_refused", " ".join(f"{error or type(error).__name__}".split())[:200])


def named_template(name: str) -> str:
    """The source of one of NAMED."""
    return resource("data", "chat_templates", f"{name}.jinja").read_text(encoding="utf-8")


def _compile(source: str, day: date, name: str) -> Template:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols])
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = _clock(day)
    try:
        return environment.from_string(source)
    except TemplateSyntaxError as error:
        raise InputError(f"the {name} is no valid Jinja: line {error.lineno}: {error.message}") from error


class _Generation(Extension):
    """`{% generation %}…{% endgeneration %}` renders its body."""

    tags = {"generation"}  # noqa: RUF012 (a set, as Jinja's own class declares it)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None, separators: Any = None, sort_keys: bool = False) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise(message: str) -> str:
    raise TemplateError(message)


def _clock(day: date) -> Callable[[str], str]:
    return day.strftime
