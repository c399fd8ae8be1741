"""Escaping: no text becomes markup, and what cannot be seen is shown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gen.markup import cut, fenced, html, html_table, markdown, markdown_table, visible


@given(st.text())
def test_no_text_becomes_html(text: str) -> None:
    assert not set(html(text)) & set("<>\"'")
    html(text).encode("utf-8")


@given(st.text())
def test_no_text_breaks_a_markdown_cell(text: str) -> None:
    cell = markdown(text)
    assert "\n" not in cell
    assert "<" not in cell
    assert "|" not in cell.replace("\\\\", "").replace("\\|", "")
    assert "`" not in cell.replace("\\\\", "").replace("\\`", "")


def test_blocks_do_not_begin_in_a_text() -> None:
    assert [markdown(text) for text in ("- a", "1. b", "12) c", "=== d", "2026", "# e", "> f")] == [
        "\\- a",
        "1\\. b",
        "12\\) c",
        "\\=== d",
        "2026",
        "\\# e",
        "&gt; f",
    ]
    assert markdown("near_dup _x_") == "near_dup \\_x\\_"


def test_links_and_mentions_do_not_come_alive_in_markdown() -> None:
    assert "://" not in markdown("https://example.com")
    assert "@" not in markdown("@someone")


def test_reordering_marks_and_controls_are_shown() -> None:
    assert visible("a\u202eb\x00\ud800") == "a⟨U+202E⟩b⟨U+0000⟩⟨U+D800⟩"
    assert visible("line\r\nnext\ttab") == "line\nnext\ttab"


@given(st.text(alphabet="`a\n", max_size=40))
def test_a_fence_holds_any_run_of_backticks(text: str) -> None:
    opening, *body, closing = fenced(text).split("\n")
    assert "\n".join(body) == text
    assert opening == closing + "text"
    assert all(not line.startswith(closing) for line in body)


def test_tables_keep_their_shape() -> None:
    assert markdown_table(("Name", "N"), [("a|b", 1200), ("c", 0.5)]) == "| Name | N |\n| --- | ---: |\n| a\\|b | 1,200 |\n| c | 0.5 |\n"
    assert markdown_table(("Name",), []) == ""
    head = '<thead><tr><th>Name</th><th class="n">N</th></tr></thead>'
    assert html_table(("Name", "N"), [("<b>", 3)]) == f'<table>{head}<tbody><tr><td>&lt;b&gt;</td><td class="n">3</td></tr></tbody></table>'


def test_a_cut_text_says_how_much_is_missing() -> None:
    assert cut("abcdef", 4) == "abcd… (2 more characters)"
    assert cut("abcd", 4) == "abcd"
