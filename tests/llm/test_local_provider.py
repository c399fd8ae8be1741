"""A model in this process as the client sees it, with a stand-in for the loaded model: batches, memory, giving up. Without PyTorch."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from gen.errors import RequestRejected, ServiceStopped, Unavailable
from gen.llm.client import Client
from gen.llm.embedding import vector_of
from gen.llm.local.row import Row, enough
from gen.llm.provider import Endpoint, connect
from gen.llm.providers.transformers import TransformersProvider
from gen.llm.retry import Patience
from gen.recipe import ModelLine
from gen.types import Json, Message, Request, Sampling

END = 0
LINE = ModelLine(provider="near", model="near-1", max_concurrency=8, max_tokens=30)


class Letters:
    """Writes the prompt's letters in capitals, one a step, then the end. `memory` is how many rows it holds."""

    def __init__(self, *, context: int | None = 200, memory: int = 100) -> None:
        self.context, self.memory = context, memory
        self.batches: list[list[str]] = []
        self.gate: threading.Event | None = None
        self.began = threading.Event()
        self.closed = False
        self.threads: set[str] = set()

    def prompt(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]

    def chat(self, messages: Sequence[Message], options: Mapping[str, Json]) -> tuple[list[int], tuple[str, ...]]:
        if any(message.role == "system" for message in messages):
            raise RequestRejected("the template refuses a system role", reason="bad_request")
        return self.prompt(messages[-1].content), ("#",)

    def takes_system(self, options: Mapping[str, Json]) -> bool:
        return False

    def text(self, ids: Sequence[int]) -> str:
        return "".join(map(chr, ids))

    def write(self, rows: Sequence[Row], leave: Callable[[int], bool]) -> None:
        self.threads.add(threading.current_thread().name)
        self.batches.append([self.text(row.prompt) for row in rows])
        if len(rows) > self.memory:
            raise MemoryError
        steps = 0
        while not leave(steps):
            self.began.set()
            if self.gate is not None:
                self.gate.wait(5)
            steps += 1
            for row in rows:
                said = self.text(row.prompt).upper()
                row.take(ord(said[len(row.tokens)]) if len(row.tokens) < len(said) else END, {END}, self.text)

    def vectors(self, texts: Sequence[str]) -> tuple[list[list[float]], int]:
        if len(texts) > self.memory:
            raise MemoryError
        return [[float(len(text)), 0.5] for text in texts], sum(map(len, texts))

    def close(self) -> None:
        self.closed = True


def asked(text: str, **sampling: Any) -> Request:
    return Request(model="near", messages=(Message("user", text),), sampling=Sampling(**sampling))


async def answers(engine: Letters, *requests: Request, line: ModelLine = LINE) -> list[Any]:
    provider = TransformersProvider(lambda: engine)
    try:
        return await asyncio.gather(*(provider.send(request, line) for request in requests), return_exceptions=True)
    finally:
        await provider.close()


async def test_requests_that_are_asked_together_are_answered_together() -> None:
    engine = Letters()
    found = await answers(engine, *(asked(text) for text in ("one", "three", "five words are here")))
    assert [reply.text for reply in found] == ["ONE", "THREE", "FIVE WORDS ARE HERE"]
    assert [(reply.finish_reason, reply.usage.input_tokens, reply.usage.output_tokens) for reply in found[:1]] == [("stop", 3, 4)]
    assert len(engine.batches) == 1
    assert engine.closed
    assert engine.threads == {"local-model_0"}


async def test_a_batch_holds_no_more_than_max_concurrency() -> None:
    engine = Letters()
    await answers(engine, *(asked("x" * 25) for _ in range(20)))
    assert max(map(len, engine.batches)) == 8


async def test_a_long_reply_goes_on_beside_those_that_waited() -> None:
    engine = Letters()
    found = await answers(engine, asked("a" * 60, max_tokens=100), *(asked(f"{number}b" * 9) for number in range(9)))
    assert [len(reply.text) for reply in found] == [60, *[18] * 9]
    assert len(engine.batches) == 2
    assert engine.batches[1][0] == "a" * 60, "the batch was put together anew before its longest row was over"


async def test_the_end_is_told() -> None:
    cut, stopped, by_template = await answers(
        Letters(), asked("abcdef", max_tokens=3), asked("abcdef", stop=("CD",)), asked("ab#cd", max_tokens=30)
    )
    assert (cut.text, cut.finish_reason, cut.usage.output_tokens) == ("ABC", "length", 3)
    assert (stopped.text, stopped.finish_reason, stopped.usage.output_tokens) == ("AB", "stop", 4)
    assert (by_template.text, by_template.finish_reason) == ("AB", "stop")


async def test_what_the_template_lacks_is_said_in_words() -> None:
    engine = Letters(context=2000)
    request = Request(model="near", messages=(Message("system", "Be brief."), Message("user", "Hi")), response_schema='{"type":"object"}')
    await answers(engine, request, line=LINE.model_copy(update={"provider": "transformers"}))
    (prompt,) = engine.batches[0]
    assert prompt.startswith("Be brief.")
    assert '{"type":"object"}' in prompt
    assert prompt.endswith("Hi")


async def test_raw_prompts_are_taken_as_they_are() -> None:
    (reply,) = await answers(Letters(), Request(model="near", prompt="<|x|>"))
    assert reply.text == "<|X|>"


@pytest.mark.parametrize(
    ("request_", "reason"),
    [(asked("x" * 180), "context_too_long"), (Request(model="near", prompt=""), "bad_request")],
    ids=["too long", "empty"],
)
async def test_what_the_model_cannot_take_is_refused_alone(request_: Request, reason: str) -> None:
    refused, answered = await answers(Letters(), request_, asked("fine"))
    assert isinstance(refused, RequestRejected)
    assert refused.reason == reason
    assert answered.text == "FINE"


async def test_too_little_memory_makes_smaller_batches() -> None:
    engine = Letters(memory=2)
    found = await answers(engine, *(asked(f"q{number}") for number in range(8)))
    assert [reply.text for reply in found] == [f"Q{number}" for number in range(8)]
    assert [len(batch) for batch in engine.batches] == [8, 4, 2, 2, 2, 2]


async def test_one_request_that_does_not_fit_fails_as_something_passing() -> None:
    (failed,) = await answers(Letters(memory=0), asked("x"))
    assert isinstance(failed, Unavailable)
    assert (failed.reason, "up to 31 tokens" in str(failed)) == ("out_of_memory", True)


async def test_who_gives_up_ends_a_row_after_its_step() -> None:
    engine = Letters(context=None)
    engine.gate = threading.Event()
    provider = TransformersProvider(lambda: engine)
    line = LINE.model_copy(update={"max_tokens": 10**9})
    try:
        async with asyncio.timeout(5):
            endless = asyncio.create_task(provider.send(asked("x" * 10_000), line))
            await asyncio.to_thread(engine.began.wait, 5)
            endless.cancel()
            await asyncio.wait([endless])
            engine.gate.set()
            assert (await provider.send(asked("next"), line)).text == "NEXT"
    finally:
        await provider.close()
    assert engine.batches[-1] == ["next"]


async def test_closing_ends_what_is_under_way() -> None:
    engine = Letters(context=None)
    engine.gate = threading.Event()
    provider = TransformersProvider(lambda: engine)
    sending = asyncio.create_task(provider.send(asked("x" * 10_000), LINE.model_copy(update={"max_tokens": 10**9})))
    await asyncio.to_thread(engine.began.wait, 5)
    engine.gate.set()
    await provider.close()
    assert engine.closed
    with pytest.raises(asyncio.CancelledError):
        await sending


async def test_a_model_that_cannot_be_loaded_stops_the_run() -> None:
    def broken() -> Letters:
        raise ServiceStopped("'near-1' cannot be loaded: no weights", reason="model_unusable")

    providers = {"near": TransformersProvider(broken)}
    async with Client({"near": LINE}, cache=None, providers=providers, patience=Patience(attempts=2)) as client:
        for _ in range(2):
            with pytest.raises(ServiceStopped, match="no weights"):
                await client.generate(asked("x"))
        assert client.stats.requests == 1


async def test_without_pytorch_the_first_call_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError("No module named 'torch'")

    options = '{"commit":"","device":"auto","dtype":"auto","model":"x"}'
    provider = connect(Endpoint("transformers", options=options), lambda *_: None)
    monkeypatch.setattr("gen.llm.providers.transformers.importlib.import_module", missing)
    with pytest.raises(ServiceStopped, match="the extra `local`"):
        await provider.send(asked("x"), LINE)
    await provider.close()


async def test_texts_are_embedded_and_too_many_say_so() -> None:
    provider = TransformersProvider(lambda: Letters(memory=2))
    reply = await provider.embed(Request(model="near", messages=(Message("user", "abc"), Message("user", "de"))), LINE)
    assert [list(vector_of(row)) for row in reply.text.split("\n")] == [[3.0, 0.5], [2.0, 0.5]]
    assert reply.usage.input_tokens == 5
    with pytest.raises(Unavailable, match="embedding_inputs"):
        await provider.embed(Request(model="near", messages=(Message("user", "x"),) * 3), LINE)
    await provider.close()


def test_a_seed_depends_on_the_draw_and_the_place_alone() -> None:
    one, same, other = Row([1], 9, draw=7), Row([2, 3], 5, draw=7, temperature=0.1), Row([1], 9, draw=8)
    assert one.seed == same.seed != other.seed
    before = one.seed
    one.take(5, (), str)
    assert one.seed != before
    assert -(2**63) <= one.seed < 2**63


def test_a_stop_is_found_across_tokens_and_only_once_written() -> None:
    pieces = {1: "one", 2: " e", 3: "nd", 4: "!"}

    def text(ids: Sequence[int]) -> str:
        return "".join(pieces[number] for number in ids)

    row = Row([9], 50, stops=(" end",))
    for token in (1, 2, 3, 4):
        row.take(token, (), text)
    assert (row.finish, row.tokens, row.reply(text)) == ("stop", [1, 2, 3], "one")


@pytest.mark.parametrize(
    ("over", "waiting", "steps", "ends"),
    [(0, 5, 99, False), (2, 5, 99, True), (2, 5, 3, False), (2, 0, 99, False), (1, 1, 99, True), (8, 0, 0, True)],
)
def test_a_batch_ends_when_enough_places_can_be_filled(over: int, waiting: int, steps: int, ends: bool) -> None:
    rows = [Row([1], 9, finish="stop" if number < over else None) for number in range(8)]
    assert enough(rows, waiting=waiting, places=8, steps=steps) is ends
