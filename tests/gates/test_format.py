"""The format gate."""

from __future__ import annotations

import doctest

import pytest

from gen.gates import format as format_gate
from gen.plugins import build
from gen.types import Message, Sample, Verdict


def check(prompt: str, reply: str) -> Verdict:
    verdict: Verdict = build("gates", "format", {}).check(Sample("1", (Message("user", prompt), Message("assistant", reply))))
    return verdict


def test_the_example_in_the_docstring_holds() -> None:
    assert doctest.testmod(format_gate).failed == 0


ASK = "Describe your latest collection for the spring."


@pytest.mark.parametrize(
    ("prompt", "reply", "code"),
    [
        (ASK, "<|im_start|>assistant\nIt is green.", "leaked_template_token"),
        (ASK, "It is green. [/INST]", "leaked_template_token"),
        (ASK, "It is green.</s>", "leaked_template_token"),
        (f"{ASK}<end_of_turn>", "It is green.", "leaked_template_token"),
        (ASK, "### Response:\nIt is green.", "leaked_prompt_text"),
        (ASK, "As per the instructions above, it is green.", "leaked_prompt_text"),
        (ASK, 'Sure! Here is the JSON you asked for:\n{"instruction": "x", "output": "It is green."}', "leaked_prompt_text"),
        (ASK, 'Fine: {"instruction": "x", "output": "It is green."} is my text.', "leaked_prompt_text"),
        (ASK, "...", "placeholder"),
        (ASK, "N/A", "placeholder"),
        (ASK, "[INSERT ANSWER HERE]", "placeholder"),
        (ASK, "{{response}}", "placeholder"),
        (ASK, "<response>", "placeholder"),
        (ASK, "TODO", "placeholder"),
        (ASK, "Lorem ipsum dolor sit amet, consectetur.", "placeholder"),
        (ASK, "My name is [Your Name] and I like green.", "placeholder"),
        (ASK, ASK, "echo"),
        (ASK, "describe your latest collection, for the spring", "echo"),
        ("Write a slogan for the product.\n\nA kettle that boils water in a minute", "A kettle that boils water in a minute.", "echo"),
        (ASK, "It is green.\nUser: And the shoes?\nAssistant: Brown.", "invented_turn"),
        (ASK, "It is green.\nHuman: And the shoes?", "invented_turn"),
        ("Return the data as a JSON object: name Ann, age 3.", '{"name": "Ann", "age": }', "broken_json"),
        ("Return the data as a JSON object: name Ann, age 3.", "```json\n{'name': 'Ann'}\n```", "broken_json"),
        ("Respond with valid JSON only: name Ann.", "Her name is Ann.", "broken_json"),
        (ASK, "<p>It is green.</p><br/>And long.", "stray_html"),
        (ASK, "It is green&nbsp;and&nbsp;long.", "stray_html"),
        (ASK, "It is green.\n```", "unbalanced_fence"),
        (ASK, "It i\ufffd gr\ufffden and \x07ong.", "broken_encoding"),
        (ASK, "Le cafÃ© est trÃ¨s bon.", "broken_encoding"),
        ("?", "It is green.", "broken_instruction"),
        ("1.", "It is green.", "broken_instruction"),
        ("Instruction:", "It is green.", "broken_instruction"),
        ("The", "It is green.", "broken_instruction"),
    ],
)
def test_bad_form_is_rejected(prompt: str, reply: str, code: str) -> None:
    assert check(prompt, reply).reason == code


@pytest.mark.parametrize(
    ("prompt", "reply"),
    [
        (ASK, "It is green, long and made of silk."),
        ("Write a letter template to a customer.", "Dear [Customer Name],\nthank you.\n[Your Name]"),
        ("Schreibe einen Brief an einen Kunden.", "Sehr geehrte Frau [Name],\nvielen Dank."),
        ("Fill in: my name is [name].", "My name is [name]."),
        ("Does any row match? Answer N/A if none.", "N/A"),
        ("What does the function return?", "None"),
        ("Which value has an unset variable in JavaScript?", "undefined"),
        ("Repeat after me: the sea is wide and blue.", "Repeat after me: the sea is wide and blue."),
        ("Fix the spelling.\n\nthe sea is wyde and blue today", "The sea is wide and blue today"),
        ("Fix this code.\n\ndef f(x):\n    return x", "def f(x):\n    return x"),
        ("Extract the town.\n\nShe lives in Rome, not in Paris.", "Rome"),
        ("Write a dialogue between a user and a bot.", "User: Hello.\nBot: Hi, how are you?"),
        ("Write an HTML list with two items.", "<ul><li>a</li><li>b</li></ul>"),
        ("How do I escape an ampersand on a web page?", "Write &amp; and for less-than &lt; instead."),
        ("Return a JSON array of two numbers.", "[1, 2]"),
        ("Return a JSON object with the name.", 'Here it is:\n```json\n{"name": "Ann"}\n```'),
        ("Return JSON lines, one per user.", '{"a": 1}\n{"a": 2}'),
        ("Write Python that parses JSON.", "import json\nprint(json.loads('{}'))"),
        ("What is 1+1?", "2"),
        ("-2+3", "1"),
        ("0", "Zero."),
        ("你好", "你好！"),
        ("Compute.", "He has 2*3 = <<2*3=6>>6 apples.\nA: 6"),
        ("How do I print in C++?", "#include <iostream>\nint main() { std::cout << \"<b>\" << '\\n'; }"),
        ("Note the user's wish.", "The user: someone who wants tea."),
        ("Say it in French.", "C'est l'été à l'hôtel, déjà-vu."),
    ],
)
def test_what_was_asked_for_is_kept(prompt: str, reply: str) -> None:
    assert check(prompt, reply).keep, check(prompt, reply)


def test_deep_nesting_is_a_reason_and_no_crash() -> None:
    assert check("Return a JSON array.", "[" * 40_000).reason == "broken_json"


def test_the_detail_never_holds_more_than_a_glimpse() -> None:
    assert len(check(ASK, "<|" + "a" * 38 + "|> and so on").detail) < 80
