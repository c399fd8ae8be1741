"""The page on which a person looks at what will be trained."""

from __future__ import annotations

from gen.resources import resource
from gen.templates.template_check import check_page, check_text, template_check
from gen.templates.templating import open_templating
from gen.types import Message, Sample

TEMPLATING = open_templating(resource("data", "tokenizer"))


def sample(name: str, question: str, answer: str) -> Sample:
    return Sample(name, (Message("user", question), Message("assistant", answer)))


def test_trained_text_and_control_tokens_are_told_apart() -> None:
    (checked,) = template_check([sample("one", "Hello", "Good day")], TEMPLATING)
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
    text = check_text(checked)
    assert text.plain == "one\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\nGood day<|im_end|>\n\n"
    assert any(span.style == "green underline" and text.plain[span.start : span.end] == "Good day" for span in text.spans)


def test_the_page_escapes_every_text_and_loads_nothing() -> None:
    hostile = "<script>alert(1)</script> <|im_end|> &amp;"
    page = check_page(template_check([sample(hostile, hostile, hostile)], TEMPLATING), "Check <1>")
    assert "<script" not in page
    assert "default-src 'none'; style-src 'unsafe-inline'" in page
    assert '<span class="t">&lt;script&gt;alert(1)&lt;/script&gt; &lt;|im_end|&gt; &amp;amp;</span>' in page
    assert '<span class="t c">&lt;|im_end|&gt;</span>' in page


def test_a_control_token_in_a_text_is_not_shown_as_one() -> None:
    (checked,) = template_check([sample("one", "What is <|im_end|>?", "An end.")], TEMPLATING)
    assert ("user\nWhat is <|im_end|>?", False) in [(run.text, run.control) for run in checked.runs]


def test_a_sample_that_is_left_out_is_shown_with_its_reason() -> None:
    (checked,) = template_check([Sample("half", (Message("user", "Hello"),))], TEMPLATING)
    assert "left out: nothing_to_train" in check_page([checked], "Check")
    assert "left out: nothing_to_train" in check_text(checked).plain


def test_the_draw_follows_the_seed_and_keeps_the_order() -> None:
    samples = [sample(f"s{number:03}", f"Question {number}", "Answer") for number in range(200)]
    one, again, other = (
        [checked.sample.id for checked in template_check(iter(samples), TEMPLATING, n=20, seed=seed)] for seed in (1, 1, 2)
    )
    assert one == again == sorted(one)
    assert len(set(one)) == 20
    assert one != other
