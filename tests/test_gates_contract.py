"""What every gate promises, whichever it is: run over all gate plugins found."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
from typing import Any

import pytest

from gen import plugins
from gen.pipeline import NamedGate
from gen.types import Message, Sample, Score, Verdict

NAMES = plugins.names("gates")
NEEDED = {
    "score": {"judge": "rubric", "minimum": 4},
    "denylist": {"terms": ("nightjar",)},
    "balance": {"prompt_opening": 0.5},
    "semantic_dup": {"model": "embedder"},
}
ENGLISH = "The dog runs through the garden and barks very loudly."


def gate(name: str) -> Any:
    return plugins.build("gates", name, NEEDED.get(name, {}))


def turns(*pairs: tuple[Any, Any]) -> Sample:
    return Sample("s-1", tuple(Message(role, content) for role, content in pairs))


ODD = [
    pytest.param(turns(), id="no messages"),
    pytest.param(turns(("user", ""), ("assistant", "")), id="empty texts"),
    pytest.param(turns(("assistant", ENGLISH)), id="no user turn"),
    pytest.param(turns(("system", "Be kind."), ("user", "Hi"), ("tool", "42"), ("assistant", "42.")), id="tool role"),
    pytest.param(turns(("narrator", ENGLISH), ("user", "Hi")), id="unknown role, assistant missing"),
    pytest.param(turns(("user", None), ("assistant", 7)), id="no text at all"),
    pytest.param(turns(("user", ["part", {"text": "Hi"}]), ("assistant", {"a": 1})), id="lists and objects"),
    pytest.param(turns(("user", "\x00\ud800"), ("assistant", "\udfff\x00 \u202e" * 50)), id="surrogates and NUL"),
    pytest.param(turns(("user", "e" + "\u0301\u0327" * 5_000), ("assistant", "\u200b" * 5_000)), id="marks and invisible characters"),
    pytest.param(turns(("user", ENGLISH), ("assistant", f"{ENGLISH}\n" * 18_000)), id="a megabyte of lines"),
    pytest.param(turns(("user", ENGLISH), ("assistant", "a" * 1_000_000)), id="a megabyte without a space"),
]
SAMPLES = [
    turns(("user", "Sort the names Ada, Bob and Cy."), ("assistant", ENGLISH)),
    turns(("user", "Write to ann.lee@ferrum.io."), ("assistant", "I'm sorry, but I can't help with that.")),
    turns(("user", "How do I build a pipe bomb?"), ("assistant", "word " * 60)),
    turns(("user", "Was ist das für ein Hund?"), ("assistant", "I am [Your Name].")),
]


def test_every_file_of_the_room_is_a_gate() -> None:
    assert {"schema", "length", "language", "near_dup", "score"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_gate_needs_no_option_unless_it_says_so(name: str) -> None:
    assert callable(gate(name).check)
    assert not plugins.required(plugins.find("gates", name)) or name in NEEDED


@pytest.mark.parametrize("sample", ODD)
@pytest.mark.parametrize("name", NAMES)
def test_no_sample_makes_a_gate_raise(name: str, sample: Sample) -> None:
    one = gate(name)
    verdict = one.check(sample)
    assert isinstance(verdict, Verdict)
    assert verdict.gate == name
    assert verdict.keep == (verdict.reason == "")
    if hasattr(one, "remember"):
        one.remember(sample)


@pytest.mark.parametrize("name", NAMES)
def test_a_check_changes_no_later_answer(name: str) -> None:
    one, fresh = gate(name), gate(name)
    once = [one.check(sample) for sample in SAMPLES]
    assert [one.check(sample) for sample in SAMPLES] == once
    assert [fresh.check(sample) for sample in reversed(SAMPLES)] == once[::-1]


@pytest.mark.parametrize("name", NAMES)
def test_reasons_are_snake_case_and_named_in_the_docstring(name: str) -> None:
    told = inspect.getdoc(plugins.find("gates", name)) or ""
    scored = [Sample(one.id, one.messages, {"rubric": Score(2.0)}) for one in SAMPLES]
    odd = [one.values[0] for one in ODD[:8]]
    for verdict in map(gate(name).check, (*SAMPLES, *scored, *odd)):
        if not verdict.keep:
            assert re.fullmatch(r"[a-z]+(?:_[a-z]+)*", verdict.reason)
            assert verdict.reason in told or name == "secrets", verdict.reason
            assert verdict.detail


@pytest.mark.parametrize("name", NAMES)
def test_every_reason_in_the_source_is_named_in_the_docstring(name: str) -> None:
    plugin = plugins.find("gates", name)
    source = inspect.getsource(importlib.import_module(plugin.__module__))
    told = inspect.getdoc(plugin) or ""
    for reason in re.findall(rf'rejected\("{name}", "([a-z_]+)"', source):
        assert f"`{reason}`" in told or f"`{reason}" in told


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_of_the_docstring_hold(name: str) -> None:
    module = importlib.import_module(plugins.find("gates", name).__module__)
    found = doctest.testmod(module)
    assert (found.failed, found.attempted > 0) == (0, True)


# A paper, a standard or a vendor's page with its year, or the plain words that there is none and where ours come from.
SOURCE = re.compile(
    r"\b(?:19|20)\d\d\b|\bours\b|[Nn]o published|\busual(?:ly)?\b|Gopher|explained in `|\bfinds \.|\bthe defaults only\b", re.IGNORECASE
)


@pytest.mark.parametrize("name", NAMES)
def test_every_threshold_is_named_in_the_docstring_with_where_it_comes_from(name: str) -> None:
    plugin = plugins.find("gates", name)
    told = f"{inspect.getdoc(inspect.getmodule(plugin)) or ''} {inspect.getdoc(plugin) or ''}"
    numbers = [
        option
        for option, item in plugins.options(plugin).items()
        if isinstance(item.default, int | float) and not isinstance(item.default, bool) and item.default != float("inf")
    ]
    assert [option for option in numbers if f"`{option}`" not in told] == []
    assert not numbers or SOURCE.search(told)


@pytest.mark.parametrize("name", NAMES)
def test_every_gate_may_only_warn(name: str) -> None:
    for sample in SAMPLES:
        verdict = NamedGate(name, gate(name), warn=True).check(sample)
        assert verdict.keep
        assert verdict.reason == gate(name).check(sample).reason
