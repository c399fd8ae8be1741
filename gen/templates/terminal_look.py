"""Show checked samples to a person in a terminal: what each was and what the model reads, what is trained on and which tokens are control
tokens marked by signs as well as by colour, so that it can be read in a log."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gen.markup import visible
from gen.templates.sample_draw import Source, middle_cut
from gen.templates.template_check import Checked, Run

LEGEND = "{+trained on+}, [control token]"
_LONGEST, _KEPT_AT_END = 600, 120  # characters of a text; the end of an answer is where a mask goes wrong
_SIDE_BY_SIDE = 100  # columns from which two texts beside each other can be read


def look(checked: Sequence[Checked], width: int) -> list[RenderableType]:
    """Each sample's source and, beside it where `width` columns have room and else below it, what became of it: trained text between `{+`
    and `+}` and green, control tokens in `[…]` and magenta, the rest dim. Long texts are cut in their middle; what cannot be seen is
    written as its code point."""
    return [_one(item, beside=width >= _SIDE_BY_SIDE) for item in checked]


def _one(item: Checked, *, beside: bool) -> RenderableType:
    head = Text(f"--- {visible(item.id)}{': ' if item.where else ''}{item.where}", "bold")
    if not beside:
        below = Text("source\n").append_text(_source(item.source)).append("\nwhat the model reads\n").append_text(_result(item))
        return Group(head, below)
    table = Table(box=None, expand=True, pad_edge=False, padding=(0, 3, 0, 0))
    for title in ("source", "what the model reads"):
        table.add_column(title, ratio=1, overflow="fold", header_style="")
    table.add_row(_source(item.source), _result(item))
    return Group(head, table)


def _source(source: Source) -> Text:
    text = Text()
    for place, (role, content) in enumerate(source):
        text.append("\n" * (place > 0)).append(f"{visible(role[:40])}: ", "bold").append(_shown(content))
    return text


def _result(item: Checked) -> Text:
    if item.unfit is not None:
        return Text(f"left out: {item.unfit.reason} {visible(item.unfit.detail)}", "red")
    text = Text()
    trained = False
    for run in item.runs:
        if run.trained != trained:
            text.append("{+" if run.trained else "+}", "green")
            trained = run.trained
        _append(run, text)
    return text.append("+}" if trained else "", "green")


def _append(run: Run, text: Text) -> None:
    if run.control:
        text.append(f"[{visible(run.text)}]", "bold magenta")
    else:
        text.append(_shown(run.text), "green" if run.trained else "dim")


def _shown(text: str) -> str:
    return middle_cut(visible(text), _LONGEST, _KEPT_AT_END)
