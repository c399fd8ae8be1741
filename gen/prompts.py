"""Load and render the prompts in prompts/: one Jinja file per step of a strategy or judge.

A file begins with a YAML header between two `---` lines (version, variables with their meaning, what the reply must hold), then
`{% block system %}` (optional) and `{% block user %}`. Rendering is sandboxed; an undefined variable is an error. What is filled in is
data: it is never compiled as a template and cannot open a block, so a topic or a model's text can't change a prompt's structure.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from gen.errors import InputError, PromptError
from gen.resources import resource
from gen.types import Message

_HEADER = re.compile(r"\A---\n(.{1,4000}?)\n---\n", re.DOTALL)
_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=False)


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt file. `ref` (`self_instruct/answer@1a2b3c4d5e6f`) is what provenance and the data card cite."""

    name: str
    version: int
    variables: Mapping[str, str]
    reply: str
    hash: str
    source: str
    template: Template

    @property
    def ref(self) -> str:
        return f"{self.name}@{self.hash}"

    def render(self, **values: Any) -> tuple[Message, ...]:
        """The messages to send: system first where the prompt has one.

        Raises PromptError when a variable is missing or unknown, so that a typo never becomes an empty place in a paid prompt.
        """
        missing = sorted(set(self.variables) - set(values))
        unknown = sorted(set(values) - set(self.variables))
        if missing or unknown:
            raise PromptError(f"prompt {self.name}: missing {missing or 'nothing'}, not in its header {unknown or 'nothing'}")
        messages = []
        try:
            for role in ("system", "user"):
                block = self.template.blocks.get(role)
                if block is not None:
                    text = "".join(block(self.template.new_context(values))).strip()
                    if text:
                        messages.append(Message(role, text))
        except TemplateError as error:
            raise PromptError(f"prompt {self.name}: {error}") from error
        return tuple(messages)


@cache
def load(name: str) -> Prompt:
    """The prompt `strategy/step`. Raises PromptError when the file is missing or not of the form above."""
    try:
        path = resource("prompts", *name.split("/")[:-1], name.rsplit("/", 1)[-1] + ".jinja")
    except InputError as error:
        raise PromptError(f"no prompt '{name}': {error}") from error
    return read(name, path)


def read(name: str, path: Path) -> Prompt:
    """The prompt in the file `path`, called `name`."""
    source = path.read_text(encoding="utf-8")
    found = _HEADER.match(source)
    if not found:
        raise PromptError(f"prompt {name}: begins with a header between two '---' lines: version, variables, reply")
    try:
        header = YAML(typ="safe", pure=True).load(found.group(1))
        variables = header.get("variables") or {}
        version, reply = int(header["version"]), str(header["reply"])
        template = _ENVIRONMENT.from_string(source[found.end() :])
    except (YAMLError, KeyError, TypeError, ValueError, AttributeError, TemplateError) as error:
        raise PromptError(f"prompt {name}: {str(error).splitlines()[0] if str(error) else type(error).__name__}") from error
    if "user" not in template.blocks:
        raise PromptError(f"prompt {name}: has no {{% block user %}}")
    return Prompt(
        name=name,
        version=version,
        variables=MappingProxyType({str(key): str(meaning) for key, meaning in variables.items()}),
        reply=reply,
        hash=hashlib.sha256(source.encode()).hexdigest()[:12],
        source=source,
        template=template,
    )


def names() -> list[str]:
    """Every prompt that ships, sorted."""
    root = resource("prompts")
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.jinja"))
