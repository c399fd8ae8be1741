"""Keep conversations that a chat template can render and a trainer can learn from."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gen.types import Message, Sample, Verdict, kept, rejected

_ROLES = ("system", "user", "assistant", "tool")
_MAY_FOLLOW = {"": ("user",), "user": ("assistant",), "assistant": ("user", "tool"), "tool": ("tool", "assistant")}
_UNREADABLE = re.compile(r"[\x00\ud800-\udfff]")  # NUL ends texts in many a tool, a lone surrogate has no UTF-8


@dataclass(frozen=True, slots=True)
class Schema:
    """Rejects what is no conversation: at most one system turn, first; then user and assistant by turns, an assistant's tools between;
    the assistant last; every turn a text with something in it, or a call of a tool.

    The rules are those that the published chat templates of Llama, Gemma and Mistral raise errors for. Reasons: `no_messages`,
    `unknown_role`, `system_not_first`, `no_user_turn`, `roles_do_not_alternate`, `last_not_assistant`, `invalid_text`, `empty_content`.

    >>> PLUGIN().check(Sample("1", (Message("user", "Hi"), Message("assistant", " ")))).reason
    'empty_content'
    """

    def check(self, sample: Sample) -> Verdict:
        if not sample.messages:
            return rejected("schema", "no_messages", "0 messages")
        reason, detail = _roles(sample.messages)
        if not reason:
            reason, detail = _texts(sample.messages)
        return rejected("schema", reason, detail) if reason else kept("schema")


def _roles(messages: tuple[Message, ...]) -> tuple[str, str]:
    roles = [message.role for message in messages]
    for place, role in enumerate(roles, 1):
        if role not in _ROLES:
            return "unknown_role", f"message {place}: {str(role)[:40]!r}, known are {', '.join(_ROLES)}"
        if role == "system" and place > 1:
            return "system_not_first", f"message {place} of {len(roles)}"
    if "user" not in roles:
        return "no_user_turn", ", ".join(roles[:8])
    before = ""
    for place, role in enumerate(roles, 1):
        if role == "system":
            continue
        if role not in _MAY_FOLLOW[before]:
            return "roles_do_not_alternate", f"message {place}: {role} after {before or 'the start'}"
        before = role
    return ("", "") if before == "assistant" else ("last_not_assistant", f"last is {before}")


def _texts(messages: tuple[Message, ...]) -> tuple[str, str]:
    for place, message in enumerate(messages, 1):
        where = f"message {place} ({message.role})"
        if not isinstance(message.content, str):
            return "invalid_text", f"{where}: {type(message.content).__name__} instead of text"
        if not message.content.isascii() or "\0" in message.content:
            found = _UNREADABLE.search(message.content)
            if found:
                return "invalid_text", f"{where}: U+{ord(found[0]):04X} at character {found.start()}"
        if not message.content.strip() and not message.tool_calls:
            return "empty_content", where
    return "", ""


PLUGIN = Schema
