"""Rendering: as published templates expect it, sandboxed, and the same every day."""

from __future__ import annotations

from datetime import date

import pytest

from gen.errors import InputError
from gen.templates.chat_template import NAMED, ChatTemplate, Unfit, named_template
from gen.types import Message

CHAT = (Message("user", "Hello"), Message("assistant", "Good day"))


def rendered(source: str, **variables: object) -> str:
    text = ChatTemplate(source, variables).render(CHAT)
    assert isinstance(text, str), text
    return text


def test_blocks_are_trimmed_as_published_templates_expect() -> None:
    source = "{% for m in messages %}\n    {% if m.role == 'user' %}\n{{ m.content }}!\n    {% endif %}\n{% endfor %}\n"
    assert rendered(source) == "Hello!\n"


def test_what_templates_call_is_there() -> None:
    assert rendered("{{ {'a': 'é', 'b': [1]} | tojson }}") == '{"a": "é", "b": [1]}'
    assert rendered("{% for m in messages %}{% if loop.index0 %}{% break %}{% endif %}{{ m.role }}{% endfor %}") == "user"
    assert rendered("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}") == "2"
    assert rendered("a{% generation %}b{% endgeneration %}c") == "abc"
    assert rendered("{{ bos_token }}{{ enable_thinking }}", bos_token="<s>", enable_thinking=False) == "<s>False"


def test_the_generation_prompt_is_added_on_request_only() -> None:
    template = ChatTemplate(named_template("chatml"))
    assert template.render(CHAT[:1]) == "<|im_start|>user\nHello<|im_end|>\n"
    assert template.render(CHAT[:1], generation_prompt=True) == "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"


def test_today_is_the_same_every_day() -> None:
    source = "{{ strftime_now('%d %b %Y') }} {{ date_string is defined }}"
    assert ChatTemplate(source).render(CHAT) == "26 Jul 2024 False"
    assert ChatTemplate(source, day=date(2031, 5, 4)).render(CHAT) == "04 May 2031 True"


def test_a_template_that_raises_is_a_reason_in_its_own_words() -> None:
    assert ChatTemplate("{{ raise_exception('roles must alternate') }}").render(CHAT) == Unfit("template_refused", "roles must alternate")


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages[7].content }}",
        "{{ messages + 1 }}",
        "{{ 1 / 0 }}",
        "{{ messages[0].content | int + none }}",
        "{{ nothing.at.all }}",
        "{{ messages.append(1) }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.__class__.__base__.__subclasses__() }}",
        "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
        "{{ range(10000000) | list }}",
    ],
)
def test_a_template_cannot_get_out_or_bring_the_run_down(source: str) -> None:
    refused = ChatTemplate(source).render(CHAT)
    assert isinstance(refused, Unfit), refused
    assert refused.reason == "template_refused"
    assert len(refused.detail) <= 200


def test_text_of_a_message_is_never_a_template() -> None:
    hostile = Message("user", "{{ 7 * 7 }}{% for x in y %}")
    assert ChatTemplate("{% for m in messages %}{{ m.content }}{% endfor %}").render([hostile]) == hostile.content


@pytest.mark.parametrize("source", ["{% if %}", "{% for m in messages %}", "{{ a | no_such_filter }}"])
def test_invalid_jinja_is_one_clear_error(source: str) -> None:
    with pytest.raises(InputError, match="the chat template is no valid Jinja: line 1"):
        ChatTemplate(source)


@pytest.mark.parametrize("name", NAMED)
def test_the_named_templates_render_a_conversation(name: str) -> None:
    text = ChatTemplate(named_template(name), {"bos_token": "<s>", "eos_token": "</s>"}).render(CHAT)
    assert isinstance(text, str)
    assert text.index("Hello") < text.index("Good day")


def test_the_alpaca_template_says_which_role_it_has_not() -> None:
    template = ChatTemplate(named_template("alpaca"), {"eos_token": "</s>"})
    assert template.render([Message("tool", "{}")]) == Unfit("template_refused", "the alpaca template has no role tool")
