"""Reads a raw prompt for the completions endpoint: which chat template it is rendered in and whose turn has been opened.

Magpie asks an aligned model for nothing but the opening of a user's turn, and the model writes what a user would say (Xu et al. 2024,
"Magpie: Alignment Data Synthesis from Scratch by Prompting Aligned LLMs with Nothing").
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gen.types import Message

# How the usual templates open a turn: ChatML (also Phi-4), Llama 3, Gemma 2/3 and 4, Phi-3 and Zephyr, DeepSeek, Mistral.
_OPENING = re.compile(
    r"<\|im_start\|>(?P<chatml>[a-z]{1,20})(?:\n|<\|im_sep\|>)"
    r"|<\|start_header_id\|>(?P<llama>[a-z]{1,20})<\|end_header_id\|>\n{0,2}"
    r"|<start_of_turn>(?P<gemma>[a-z]{1,20})\n"
    r"|<\|turn>(?P<gemma4>[a-z]{1,20})\n"
    r"|<\|(?P<phi>user|assistant|system)\|>\n?"
    r"|<[|｜](?P<deepseek>User|Assistant)[|｜]>"
    r"|\[(?P<mistral>/?INST|SYSTEM_PROMPT)\]\s?"
)
_END = re.compile(
    r"<\|im_end\|>|<\|eot_id\|>|<end_of_turn>|<turn\|>|<\|end\|>|</s>|<s>|<bos>|<\|begin_of_text\|>|<\|endoftext\|>|<[|｜]end▁of▁sentence[|｜]>"
    r"|\[/SYSTEM_PROMPT\]|<think>\s{0,4}</think>|<think>"
)
_OLD_SYSTEM = re.compile(r"<<SYS>>(.{0,8000}?)<</SYS>>", re.S)
_ROLES = {"model": "assistant", "User": "user", "Assistant": "assistant", "INST": "user", "/INST": "assistant", "SYSTEM_PROMPT": "system"}
_NUMBERED = re.compile(r"(?:^|\n)\s{0,4}(?:Task\s)?(\d{1,3})[.):]\s{0,4}$")
_MAX_CHARACTERS = 100_000


@dataclass(frozen=True, slots=True)
class Raw:
    """`turns` are the finished turns; `opened` is whose turn comes next, None for a text without a template; `begun` is what that turn
    holds already. `next_number` is set where the prompt ends in the number of a list's next item."""

    turns: tuple[Message, ...]
    opened: str | None
    begun: str = ""
    next_number: int | None = None


def read_raw(prompt: str) -> Raw:
    """The turns of a raw prompt; of a very long one the last 100,000 characters."""
    prompt = prompt[-_MAX_CHARACTERS:]
    openings = list(_OPENING.finditer(prompt))
    if not openings:
        numbered = _NUMBERED.search(prompt[-40:])
        return Raw((Message("user", prompt),), None, next_number=int(numbered.group(1)) if numbered else None)
    turns: list[Message] = []
    for place, opening in enumerate(openings):
        end = openings[place + 1].start() if place + 1 < len(openings) else len(prompt)
        name = next(value for value in opening.groups() if value)
        role = _ROLES.get(name, name)
        content = prompt[opening.end() : end]
        if old := _OLD_SYSTEM.search(content):
            turns.append(Message("system", old.group(1).strip()))
            content = content.replace(old.group(0), "")
        turns.append(Message(role, _END.sub("", content).strip()))
    last = turns.pop()
    return Raw(tuple(turn for turn in turns if turn.content), last.role, last.content)
