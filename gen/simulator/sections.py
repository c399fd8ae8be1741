"""Takes a prompt apart: the words that ask for something, and the texts that are only quoted (an instruction, an answer, a document).

Works for any reasonable layout: <tag>…</tag>, fenced blocks, "Label: …" lines, "[Label]" or "### Label" headings and "#Given Prompt#:"
markers. What is quoted never decides what is asked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Role = Literal["topic", "persona", "feedback", "document", "answer", "instruction", "examples", "rules"]

_MAX_CHARACTERS = 60_000
_MAX_BLOCKS = 64
_MAX_OPENED = 256  # lines that look like the beginning of a block: each unclosed one is searched to the end of the prompt
_TAG = re.compile(r"\s{0,8}<([A-Za-z][A-Za-z0-9_-]{0,30})(\s[^<>\n]{0,100})?>")
_FENCE = re.compile(r"\s{0,3}(```|~~~|\"\"\")\s{0,3}([A-Za-z]{0,12})\s{0,8}$")
_LABEL = re.compile(r"\s{0,3}(?:#{1,6}\s{0,2}|\*\*|\[)?([A-Za-z][A-Za-z0-9 _'-]{0,40}?)\s?(?:#{1,6}|\*\*|\])?\s?:(?:\*\*)?\s{0,3}(.*)$")
_HEADING = re.compile(
    r"\s{0,3}(?:#{1,6}\s{0,2}([A-Za-z][A-Za-z0-9 _'-]{0,40})#{0,6}|\*\*([A-Za-z0-9 _'-]{1,40})\*\*|\[([A-Za-z0-9 _'-]{1,40})\])\s{0,8}$"
)
_BEGIN = re.compile(r"\s{0,3}(?:-{2,6}\s?)?BEGIN ([A-Za-z0-9 _-]{1,60}?)(?:\s?-{2,6})?\s{0,3}$")
_RULE = re.compile(r"\s{0,3}(?:-{3,}|={3,}|\*{3,})\s{0,8}$")
_ASKS = re.compile(
    r"(?:reply|respond|return|rewrite|rate|score|judge|output|now|please|requirements|your task|"
    r"do not|end with|finish with|choose|say which|evaluate|answer (?:in|with|as|only))\b",
    re.I,
)

_NO_BLOCK = frozenset("format schema json style length language requirements criteria aspects scale rubric steps note".split())
_ROLES: tuple[tuple[Role, frozenset[str]], ...] = (
    ("examples", frozenset({"example", "examples", "existing", "collection", "seed", "seeds"})),
    ("feedback", frozenset({"feedback", "rejected", "rejection", "complaint", "advice", "critique"})),
    ("rules", frozenset({"rules", "system"})),
    ("persona", frozenset({"person", "persona", "audience", "character", "reader", "asker", "asked"})),
    (
        "document",
        frozenset({"document", "passage", "context", "source", "excerpt", "article", "text", "material", "evidence", "reference"}),
    ),
    ("answer", frozenset({"answer", "response", "completion", "reply", "output", "assistant", "candidate"})),
    (
        "instruction",
        frozenset(
            {
                "instruction",
                "prompt",
                "question",
                "task",
                "request",
                "problem",
                "query",
                "user",
                "human",
                "before",
                "after",
                "original",
                "evolved",
            }
        ),
    ),
    ("topic", frozenset({"topic", "subject", "domain", "theme", "area", "field"})),
)
_LINE_ONLY = ("topic", "persona")


@dataclass(frozen=True, slots=True)
class Block:
    """A quoted text, its label as written and what it is."""

    role: Role
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Sections:
    """`frame` is all that was not quoted."""

    frame: str
    blocks: tuple[Block, ...]

    def all(self, role: Role) -> tuple[Block, ...]:
        return tuple(block for block in self.blocks if block.role == role)

    def first(self, role: Role) -> str:
        """The first text of that role, empty when there is none."""
        return next((block.text for block in self.blocks if block.role == role), "")


def role_of(label: str) -> Role | None:
    """What a label announces; None when its text belongs to the asking words.

    >>> role_of("Response A"), role_of("#Given Prompt#"), role_of("Output format")
    ('answer', 'instruction', None)
    """
    words = re.findall(r"[a-z]+|\d+", label.lower().replace("_", " "))
    plain = {word[:-1] if word.endswith("s") and word[:-1] in _SINGULAR else word for word in words}
    if len(words) > 4 or plain & _NO_BLOCK:
        return None
    return next((role for role, cues in _ROLES if plain & cues), None)


def take_apart(prompt: str) -> Sections:
    """The sections of a prompt; of a very long one the first and last 30,000 characters."""
    if len(prompt) > _MAX_CHARACTERS:
        prompt = prompt[: _MAX_CHARACTERS // 2] + "\n" + prompt[-_MAX_CHARACTERS // 2 :]
    lines = prompt.split("\n")
    frame: list[str] = []
    blocks: list[Block] = []
    place = opened = 0
    while place < len(lines):
        opened += _may_open(lines[place])
        taken, after = _block_at(lines, place, frame) if len(blocks) < _MAX_BLOCKS and opened < _MAX_OPENED else (None, place)
        if taken is None:
            frame.append(lines[place])
            place += 1
            continue
        place = after
        if taken.text:
            blocks.append(taken)
    return Sections("\n".join(frame), tuple(blocks))


_SINGULAR = frozenset().union(*(cues for _, cues in _ROLES))


def _may_open(line: str) -> bool:
    return line.lstrip()[:1] in ("<", "`", "~", '"') or "BEGIN " in line[:12]


def _block_at(lines: list[str], place: int, frame: list[str]) -> tuple[Block | None, int]:
    line = lines[place]
    if tag := _TAG.match(line):
        return _tagged(lines, place, (tag.group(1), tag.group(2) or ""), line[tag.end() :])
    if begin := _BEGIN.match(line):
        return _begun(lines, place, begin.group(1))
    if fence := _FENCE.match(line):
        return _fenced(lines, place, fence.group(1), frame)
    if heading := _HEADING.match(line):
        label = next(group for group in heading.groups() if group)
        role = role_of(label)
        return (None, place) if role in (None, "rules") else _labelled(lines, place, label, role, "")
    if labelled := _LABEL.match(line):
        label, rest = labelled.groups()
        role = role_of(label)
        if role in (None, "rules") or rest.lstrip().startswith(("{", "[")):
            return None, place
        return _labelled(lines, place, label, role, rest)
    return None, place


def _tagged(lines: list[str], place: int, tag: tuple[str, str], rest: str) -> tuple[Block | None, int]:
    name, attributes = tag
    role = role_of(name)
    closing = f"</{name}>"
    collected = [rest]
    for after in range(place, len(lines)):
        if after > place:
            collected.append(lines[after])
        if closing in collected[-1]:
            collected[-1] = collected[-1].split(closing)[0]
            return Block(role or "document", f"{name}{attributes}", "\n".join(collected).strip()), after + 1
    return None, place


def _begun(lines: list[str], place: int, name: str) -> tuple[Block | None, int]:
    """The text between `BEGIN NAME` and `END NAME`; a long number at the end of the name only makes the frame unique."""
    end = next((after for after in range(place + 1, len(lines)) if lines[after].strip(" -") == f"END {name}"), None)
    if end is None:
        return None, place
    label = re.sub(r"\s\d{4,}$", "", name)
    return Block(role_of(label) or "document", label, "\n".join(lines[place + 1 : end]).strip()), end + 1


def _fenced(lines: list[str], place: int, mark: str, frame: list[str]) -> tuple[Block | None, int]:
    end = next((after for after in range(place + 1, len(lines)) if lines[after].strip() == mark), None)
    if end is None:
        return None, place
    text = "\n".join(lines[place + 1 : end]).strip()
    before = next((line for line in reversed(frame) if line.strip()), "")
    role = _last_role(before) if before.strip().endswith(":") else None
    if role is None and text.startswith(("{", "[")):
        return None, place
    return Block(role or "document", before.strip().rstrip(":")[-40:], text), end + 1


def _last_role(line: str) -> Role | None:
    """What a sentence that ends in a colon announces: its last word that names a role."""
    words = re.findall(r"[A-Za-z]{2,20}", line[-200:])
    return next((role for word in reversed(words) if (role := role_of(word))), None)


def _labelled(lines: list[str], place: int, label: str, role: Role, rest: str) -> tuple[Block | None, int]:
    """The text after a label: one line for a topic or persona, else up to the next label, a rule, or a paragraph that asks."""
    collected = [rest]
    after = place + 1
    while after < len(lines):
        line = lines[after]
        if role in _LINE_ONLY and collected[-1].strip():
            break
        starts_block = _TAG.match(line) or _RULE.match(line) or _announces(line)
        if starts_block or (not lines[after - 1].strip() and "".join(collected[-3:]).strip() and _ASKS.match(line)):
            break
        collected.append(line)
        after += 1
    return Block(role, label, "\n".join(collected).strip()), after


def _announces(line: str) -> bool:
    if heading := _HEADING.match(line):
        return any(role_of(group) for group in heading.groups() if group)
    labelled = _LABEL.match(line)
    return bool(labelled and role_of(labelled.group(1)))
