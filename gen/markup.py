"""Any text into HTML or Markdown without it ever becoming markup: the one place where the report, the card and the service escape.

Control characters, lone surrogates and the marks that reorder a line (U+202E and its kin) are shown by their code point, so that what is
read is what is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

# C0 and C1 controls but tab and newline, line separators, bidirectional marks and overrides, lone surrogates, the two non-characters.
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
# Every character that can begin markup; an underscore between two letters or digits is none.
_MARKDOWN = re.compile(r"([\\`*\[\]#|~$!]|(?<![^\W_])_|_(?![^\W_]))")
_BEGINS_A_BLOCK = re.compile(r"=|[-+](?=[\s-]|$)|\d{1,9}(?=[.)](?:\s|$))")
_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})


def visible(text: str) -> str:
    """The text with what cannot be seen written as its code point.

    >>> visible("a" + chr(0x202E) + "b")
    'a⟨U+202E⟩b'
    """
    return _INVISIBLE.sub(lambda found: f"⟨U+{ord(found.group()):04X}⟩", text.replace("\r\n", "\n"))


def html(text: str) -> str:
    """The text for an element or a quoted attribute.

    >>> html("<b title='x'>")
    '&lt;b title=&#39;x&#39;&gt;'
    """
    return visible(text).translate(_HTML)


def cut(text: str, limit: int) -> str:
    """The first `limit` characters, and how many are missing."""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def markdown(text: str) -> str:
    """The text as one line of Markdown that renders as itself: also inside a table cell.

    >>> markdown("a|b `c` <i>")
    'a\\\\|b \\\\`c\\\\` &lt;i&gt;'
    """
    one_line = " ".join(visible(text).split())
    escaped = _MARKDOWN.sub(r"\\\1", one_line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
    if block := _BEGINS_A_BLOCK.match(escaped):
        escaped = f"{block.group()}\\{escaped[block.end() :]}" if block.group().isdigit() else f"\\{escaped}"
    return escaped.replace("://", ":&#47;&#47;").replace("www.", "www&#46;").replace("@", "&#64;")


def fenced(text: str) -> str:
    """The text as a code block whose fence is longer than any run of backticks in it, so that nothing in it is Markdown or HTML."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}text\n{visible(text)}\n{fence}"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str | int | float]]) -> str:
    """A Markdown table; numbers are right-aligned when the first row has one in that column. Empty without rows."""
    body = [list(row) for row in rows]
    if not body:
        return ""
    rule = ["---:" if isinstance(cell, int | float) else "---" for cell in body[0]]
    lines = [[markdown(cell) for cell in head], rule, *([markdown(text_of(cell)) for cell in row] for row in body)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def html_table(head: Sequence[str], rows: Iterable[Sequence[str | int | float]]) -> str:
    """An HTML table; cells that are numbers get the class `n`, as does the head of a column whose first cell is one."""
    listed = [list(row) for row in rows]
    numeric = [not isinstance(cell, str) for cell in listed[0]] if listed else []
    right = [*numeric, *(False for _ in head[len(numeric) :])]
    top = "".join(
        f'<th class="n">{html(cell)}</th>' if number else f"<th>{html(cell)}</th>" for cell, number in zip(head, right, strict=True)
    )
    body = "".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in listed)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def text_of(value: str | int | float) -> str:
    """A cell's text: thousands separated, at most three decimals and no trailing zeros."""
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.3f}".rstrip("0").rstrip(".")


def _cell(value: str | int | float) -> str:
    return f"<td>{html(value)}</td>" if isinstance(value, str) else f'<td class="n">{text_of(value)}</td>'
