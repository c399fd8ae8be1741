"""The same question in other words, told by vectors; the words decide where they can."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import pytest

from gen.errors import RecipeError, RequestRejected, ServiceStopped
from gen.gates.semantic_dup import SemanticDup
from gen.likeness.encoder import open_encoder
from gen.types import Message, Sample

MEANINGS = {
    "How do I cook rice?": [1.0, 0.0, 0.1],
    "What is the right way of boiling basmati grains?": [0.98, 0.05, 0.12],
    "Who painted the Mona Lisa?": [0.0, 1.0, 0.0],
    "What is the square root of 64?": [0.1, 0.1, 1.0],
    "What is the square root of 81?": [0.1, 0.1, 0.99],
    "How do I not cook rice?": [1.0, 0.01, 0.1],
    "Name the advantages of solar power.": [0.5, 0.5, 0.5],
    "Name the disadvantages of solar power.": [0.5, 0.5, 0.51],
}


def ask(text: str, name: str = "s-1", reply: str = "…") -> Sample:
    return Sample(name, (Message("user", text), Message("assistant", reply)))


async def embed(text: str, model: str) -> Sequence[float]:
    assert model == "embedder"
    return MEANINGS[text]


async def reason(first: str, second: str, **options: Any) -> str:
    gate = SemanticDup(model="embedder", **options)
    (await gate.prepare(ask(first), embed)).remember(ask(first))
    return (await gate.prepare(ask(second, "s-2"), embed)).check(ask(second, "s-2")).reason


async def test_another_wording_of_the_same_question_is_rejected_with_the_cosine() -> None:
    gate = SemanticDup(model="embedder")
    first, second = ask("How do I cook rice?"), ask("What is the right way of boiling basmati grains?", "s-2")
    (await gate.prepare(first, embed)).remember(first)
    verdict = (await gate.prepare(second, embed)).check(second)
    assert (verdict.reason, verdict.detail) == ("semantic_duplicate", "same meaning as s-1 (cosine 0.999, threshold 0.85)")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("How do I cook rice?", "Who painted the Mona Lisa?"),
        ("What is the square root of 64?", "What is the square root of 81?"),
        ("How do I cook rice?", "How do I not cook rice?"),
        ("Name the advantages of solar power.", "Name the disadvantages of solar power."),
    ],
)
async def test_another_task_stays_though_its_vector_is_alike(first: str, second: str) -> None:
    assert await reason(first, second) == ""


async def test_the_threshold_decides() -> None:
    one, other = "How do I cook rice?", "What is the right way of boiling basmati grains?"
    assert await reason(one, other, threshold=0.99) == "semantic_duplicate"
    assert await reason(one, other, threshold=1.0) == ""


async def test_a_failed_call_rejects_and_a_stopped_service_ends_the_run() -> None:
    async def fails(text: str, model: str) -> Sequence[float]:
        raise RequestRejected("too long", reason="context_too_long")

    async def stops(text: str, model: str) -> Sequence[float]:
        raise ServiceStopped("no key", reason="unauthorized")

    gate = SemanticDup(model="embedder")
    verdict = (await gate.prepare(ask("Hi there"), fails)).check(ask("Hi there"))
    assert (verdict.reason, verdict.detail) == ("no_vector", "no vector: the call failed (context_too_long)")
    with pytest.raises(ServiceStopped):
        await gate.prepare(ask("Hi there"), stops)


async def test_a_vector_of_another_length_or_without_direction_rejects() -> None:
    async def odd(text: str, model: str) -> Sequence[float]:
        return [0.0, 0.0, 0.0] if text == "zero" else [1.0] * (3 if text == "three" else 4)

    gate = SemanticDup(model="embedder")
    (await gate.prepare(ask("three"), odd)).remember(ask("three"))
    assert (await gate.prepare(ask("four"), odd)).check(ask("four")).detail == "a vector of 4 numbers, earlier ones have 3"
    assert "no direction" in (await gate.prepare(ask("zero"), odd)).check(ask("zero")).detail


async def test_replies_are_compared_when_asked_for_and_an_empty_text_is_kept() -> None:
    async def by_reply(text: str, model: str) -> Sequence[float]:
        return [1.0, 0.0] if "rice" in text else [0.0, 1.0]

    gate = SemanticDup(model="embedder", on="reply")
    first, second = ask("One?", reply="Boil rice."), ask("Two?", "s-2", reply="Put grains of rice into hot water.")
    (await gate.prepare(first, by_reply)).remember(first)
    assert not (await gate.prepare(second, by_reply)).check(second).keep
    assert (await gate.prepare(ask("x", reply=" "), by_reply)).check(ask("x", reply=" ")).keep


def test_one_source_of_vectors_is_named() -> None:
    for options in ({}, {"model": "embedder", "local": "folder"}):
        with pytest.raises(RecipeError, match="either 'model'"):
            SemanticDup(**options)
    with pytest.raises(ValueError, match="cosine"):
        SemanticDup(model="embedder", threshold=1.2)


class HashedWords:
    """A model of another library: each word has a direction of its own."""

    def __init__(self, path: str) -> None:
        if path != "a-folder":
            raise OSError(f"{path} is no folder of a model")

    @classmethod
    def from_pretrained(cls, path: str) -> HashedWords:
        return cls(path)

    def encode(self, texts: list[str], show_progress_bar: bool) -> list[list[float]]:
        vectors = []
        for text in texts:
            vector = [0.0] * 64
            for word in text.lower().split():
                vector[hashlib.sha256(word.encode()).digest()[0] % 64] += 1.0
            vectors.append(vector)
        return vectors


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    open_encoder.cache_clear()
    for name, maker in (("sentence_transformers", "SentenceTransformer"), ("model2vec", "StaticModel")):
        library = ModuleType(name)
        setattr(library, maker, HashedWords)
        monkeypatch.setitem(sys.modules, name, library)


@pytest.mark.parametrize("library", ["sentence_transformers", "model2vec"])
async def test_a_model_on_this_machine_needs_no_service(installed: None, library: Any) -> None:
    gate = SemanticDup(local="a-folder", library=library, threshold=0.7)
    gate.remember(ask("please explain how tides work"))
    assert gate.check(ask("explain how tides work please", "s-2")).reason == "semantic_duplicate"
    assert (await gate.prepare(ask("explain how tides work", "s-3"), embed)).check(ask("explain how tides work", "s-3")).keep is False
    assert gate.check(ask("name three kinds of bread", "s-4")).keep


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    open_encoder.cache_clear()
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(RecipeError, match=r"not installed .*sluice-data\[embeddings\]"):
        SemanticDup(local="a-folder")


def test_a_model_that_cannot_be_opened_is_one_line(installed: None) -> None:
    with pytest.raises(RecipeError, match="sentence_transformers cannot open 'elsewhere': elsewhere is no folder") as caught:
        SemanticDup(local="elsewhere")
    assert "\n" not in str(caught.value)
