"""Plots: valid SVG with a label, the same bytes each time, and no text that escapes its place."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from gen.plots import STYLE, Bar, Cell, Dot, Panel, Ridge, Tick, bars, columns, dots, heat, line, lines, ridge

EVIL = "<script>alert('1')</script>\" onload=\"x\x00\u202e\ud800"

DRAWINGS: dict[str, Callable[[str], str]] = {
    "bars": lambda text: bars(text, [Bar(text, 3, 1, text), Bar("b", 0, 0)]),
    "columns": lambda text: columns(text, [Bar(text, 3, 1, text), Bar("b", 0, 2)], text, 1.0),
    "heat": lambda text: heat(text, [text, "b"], [text, "y"], [[Cell("1", 1.0, text), Cell("0", 0, hatched=True)]] * 2),
    "ridge": lambda text: ridge(text, [Ridge(text, (0.0, 1.0, 0.5), 0.1, 0.5, 0.9, text)], [Tick(0.5, text)], text),
    "lines": lambda text: lines(text, [Panel(text, ((1, 1.0), (2, 0.5)), text, text)], x_axis=text, y_axis=text, top=1.0),
    "line": lambda text: line(text, [(1, 0.002), (500, 0.001)], x_axis=text, y_axis=text),
    "dots": lambda text: dots(text, [Dot(text, 0.5, 0.2, 0.8, text)], text),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_any_text_stays_text(name: str) -> None:
    svg = DRAWINGS[name](EVIL)
    root = ElementTree.fromstring(svg.encode("utf-8"))
    tags = {element.tag for element in root.iter()}
    assert tags <= {"svg", "g", "title", "text", "rect", "line", "path", "polyline", "circle", "defs", "pattern", "div"}
    assert not any(key.startswith("on") for element in root.iter() for key in element.attrib)


@pytest.mark.parametrize("name", DRAWINGS)
def test_every_picture_has_a_role_and_a_label(name: str) -> None:
    root = ElementTree.fromstring(DRAWINGS[name]("Yield"))
    pictures = [root] if root.tag == "svg" else list(root)
    assert pictures
    assert all(picture.get("role") == "img" and "Yield" in (picture.get("aria-label") or "") for picture in pictures)


@pytest.mark.parametrize("name", DRAWINGS)
def test_the_same_numbers_give_the_same_bytes(name: str) -> None:
    assert DRAWINGS[name]("Yield") == DRAWINGS[name]("Yield")


@pytest.mark.parametrize(
    "empty",
    [
        lambda: bars("l", []),
        lambda: columns("l", [], "x"),
        lambda: heat("l", [], [], []),
        lambda: ridge("l", [], [], "x"),
        lambda: lines("l", [], x_axis="x", y_axis="y"),
        lambda: line("l", [], x_axis="x", y_axis="y"),
        lambda: dots("l", [], "x"),
        lambda: bars("l", [Bar("a", 0)]),
    ],
    ids=["bars", "columns", "heat", "ridge", "lines", "line", "dots", "zero"],
)
def test_nothing_to_draw_is_drawn_as_nothing(empty: Callable[[], str]) -> None:
    ElementTree.fromstring(empty())


def test_bars_are_as_long_as_their_numbers() -> None:
    root = ElementTree.fromstring(bars("l", [Bar("a", 60, 40), Bar("b", 50)]))
    widths = [float(rect.get("width", 0)) for rect in root.iter("rect") if rect.get("class")]
    assert widths[1] == pytest.approx(widths[0] * 40 / 60, rel=0.01)
    assert widths[2] == pytest.approx(widths[0] * 50 / 60, rel=0.01)


def test_a_long_label_is_cut_and_whole_in_the_tooltip() -> None:
    svg = bars("l", [Bar("a very long name of a topic that no column could hold", 1)])
    texts = [element.text or "" for element in ElementTree.fromstring(svg).iter("text")]
    assert any(text.endswith("…") for text in texts)
    assert "a very long name of a topic that no column could hold" in svg


def test_lost_is_told_by_more_than_colour() -> None:
    assert "url(#h" in bars("l", [Bar("a", 1, 1)])


def test_dark_mode_has_colours_of_its_own() -> None:
    assert "prefers-color-scheme:dark" in STYLE
