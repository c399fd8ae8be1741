"""The page on which a person looks at what will be trained, and the same in a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console

from gen.resources import resource
from gen.templates.chat_template import Unfit
from gen.templates.sample_draw import Draw, Drawn
from gen.templates.template_check import Checked, check_page, runs_of
from gen.templates.templating import open_templating
from gen.templates.terminal_look import look
from gen.types import Message, Sample

TEMPLATING = open_templating(resource("data", "tokenizer"))


def sample(name: str, question: str, answer: str) -> Sample:
    return Sample(name, (Message("user", question), Message("assistant", answer)))


def check(*samples: Sample) -> list[Checked]:
    checked = []
    for one, result in TEMPLATING.encode(samples):
        source = tuple((message.role, message.content) for message in one.messages)
        if isinstance(result, Unfit):
            checked.append(Checked(one.id, source, unfit=result))
        else:
            runs = runs_of(result.ids.tolist(), result.trained.tolist(), TEMPLATING.tokenizer)
            checked.append(Checked(one.id, source, runs, None, 3, 1, 2))
    return checked


def shown(checked: Iterable[Checked], width: int) -> str:
    console = Console(width=width, no_color=True)
    with console.capture() as captured:
        for one in look(list(checked), width):
            console.print(one)
    return captured.get()


def test_trained_text_and_control_tokens_are_told_apart() -> None:
    (checked,) = check(sample("one", "Hello", "Good day"))
    assert [(run.text, run.trained, run.control) for run in checked.runs] == [
        ("<|im_start|>", False, True),
        ("user\nHello", False, False),
        ("<|im_end|>", False, True),
        ("\n", False, False),
        ("<|im_start|>", False, True),
        ("assistant\n", False, False),
        ("Good day", True, False),
        ("<|im_end|>", True, True),
        ("\n", False, False),
    ]


def test_the_page_escapes_every_text_and_loads_nothing() -> None:
    hostile = "<script>alert(1)</script> <|im_end|> &amp;"
    page = check_page(check(sample(hostile, hostile, hostile)), "Check <1>")
    assert "<script" not in page
    assert "default-src 'none'; style-src 'unsafe-inline'" in page
    assert '<span class="t">&lt;script&gt;alert(1)&lt;/script&gt; &lt;|im_end|&gt; &amp;amp;</span>' in page
    assert '<span class="t c">&lt;|im_end|&gt;</span>' in page
    assert "row 3, sample 1 of 2" in page


def test_the_page_stays_small_whatever_a_text_holds() -> None:
    page = check_page(check(sample("long", "Why?", "because " * 50_000)), "Check")
    assert "(380,000 characters)" in page


def test_a_control_token_in_a_text_is_not_shown_as_one() -> None:
    (checked,) = check(sample("one", "What is <|im_end|>?", "An end."))
    assert ("user\nWhat is <|im_end|>?", False) in [(run.text, run.control) for run in checked.runs]


def test_a_sample_that_is_left_out_is_shown_with_its_reason() -> None:
    checked = check(Sample("half", (Message("user", "Hello"),)))
    assert "left out: nothing_to_train" in check_page(checked, "Check")
    assert "left out: nothing_to_train" in shown(checked, 80)


def test_a_narrow_terminal_shows_source_and_result_below_each_other() -> None:
    text = shown(check(sample("one", "Hello", "Good day")), 80)
    assert "--- one: row 3, sample 1 of 2\nsource\nuser: Hello\nassistant: Good day\nwhat the model reads\n" in text
    assert "[<|im_start|>]assistant\n{+Good day[<|im_end|>]+}" in text


def test_a_wide_terminal_shows_them_beside_each_other() -> None:
    lines = shown(check(sample("one", "Hello", "Good day")), 120).splitlines()
    assert lines[1].split() == ["source", "what", "the", "model", "reads"]
    assert lines[2].split() == ["user:", "Hello", "[<|im_start|>]user"]
    assert lines[3].split() == ["assistant:", "Good", "day", "Hello[<|im_end|>]"]


def test_the_draw_follows_the_seed_and_keeps_the_order() -> None:
    def drawn(seed: int) -> list[int | None]:
        draw = Draw(20, seed)
        for place in range(200):
            draw.offer(lambda place=place: Drawn(f"s{place}", (), place))  # type: ignore[misc]
        return [one.position for one in draw.drawn()]

    assert drawn(1) == drawn(1) == sorted(drawn(1), key=lambda place: place or 0)
    assert len(set(drawn(1))) == 20
    assert drawn(1) != drawn(2)


def test_nothing_is_drawn_where_nothing_is_asked_for() -> None:
    draw = Draw(0, 1)
    draw.offer(lambda: Drawn("s", (), 0))
    assert draw.drawn() == []
