"""A model in this process, for real: a tiny one with random weights and the shipped tokenizer, made here and run on the CPU.

Run by `make test-train` in an environment with torch; skipped where it is missing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM  # noqa: E402 (only where torch is)

from gen.commands import call  # noqa: E402
from gen.errors import RequestRejected, ServiceStopped, Unavailable  # noqa: E402
from gen.llm.cache import Cache  # noqa: E402
from gen.llm.client import Client  # noqa: E402
from gen.llm.local import engine as engines  # noqa: E402
from gen.llm.local.row import Row  # noqa: E402
from gen.recipe import LocalLine, ModelLine  # noqa: E402
from gen.resources import resource  # noqa: E402
from gen.types import Message, Request, Response, Sampling  # noqa: E402

pytestmark = pytest.mark.filterwarnings("default")

TOKENIZER = resource("data", "tokenizer")
QUESTIONS = ("Why?", "What does a lender look at before it grants a loan to a small company?", "Name two fees.", "Hello there, and " * 12)


def make(folder: Path, *, seed: int = 0, chat: bool = True, context: int = 512) -> Path:
    """A Llama of two layers. Its logits are made larger, so that what it writes is not all noise."""
    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER)
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=4096,
            hidden_size=48,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=context,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    with torch.no_grad():
        model.lm_head.weight.mul_(20)
    model.save_pretrained(folder)
    if not chat:
        tokenizer.chat_template = None
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("models") / "tiny")


def line_of(model: Path, **more: Any) -> ModelLine:
    return ModelLine.model_validate({"provider": "transformers", "model": str(model), "local": {"device": "cpu"}, "max_tokens": 40, **more})


def asked(text: str, draw: int = 0, **sampling: Any) -> Request:
    return Request(model="m", messages=(Message("user", text),), draw=draw, sampling=Sampling(**sampling))


def raw(text: str, draw: int = 0, **sampling: Any) -> Request:
    return Request(model="m", prompt=text, draw=draw, sampling=Sampling(**sampling))


async def replies(line: ModelLine, requests: Iterable[Request], cache: Cache | None = None) -> list[Response]:
    async with Client({"m": line}, cache=cache) as client:
        return list(await asyncio.gather(*(client.generate(request) for request in requests)))


async def test_a_request_gets_the_same_text_alone_and_in_a_batch(model: Path) -> None:
    requests = [asked(text, draw) for draw, text in enumerate(QUESTIONS * 4)]
    together = await replies(line_of(model, max_concurrency=16), requests)
    few = await replies(line_of(model, max_concurrency=3), requests)
    alone = [(await replies(line_of(model), [request]))[0] for request in requests[:5]]
    assert [reply.text for reply in few] == [reply.text for reply in together]
    assert [reply.text for reply in alone] == [reply.text for reply in together[:5]]
    assert len({reply.text for reply in together}) == 16, "another draw is another answer"


async def test_tokens_are_counted_and_the_end_is_told(model: Path) -> None:
    line, request = line_of(model), raw("One two three", max_tokens=7)
    reply = (await replies(line, [request]))[0]
    backend = AutoTokenizer.from_pretrained(TOKENIZER)
    assert reply.finish_reason == "length"
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (len(backend("One two three").input_ids), 7)
    assert (reply.cost, reply.simulated) == (0.0, False)
    stop = reply.text[len(reply.text) // 2 :][:3]
    cut = (await replies(line, [replace(request, sampling=Sampling(max_tokens=7, stop=(stop,)))]))[0]
    assert cut.finish_reason == "stop"
    assert cut.text == reply.text[: reply.text.index(stop)]


async def test_temperature_zero_takes_the_likeliest_whatever_the_draw(model: Path) -> None:
    first, second = await replies(line_of(model), [asked("Why?", draw, temperature=0) for draw in (1, 2)])
    assert first.text == second.text


async def test_what_does_not_fit_into_the_context_is_refused(model: Path) -> None:
    with pytest.raises(RequestRejected, match="context of 512") as caught:
        await replies(line_of(model), [asked("word " * 600)])
    assert caught.value.reason == "context_too_long"


async def test_a_model_without_a_chat_template_says_so_and_takes_raw_prompts(tmp_path: Path) -> None:
    line = line_of(make(tmp_path / "base", chat=False))
    assert (await replies(line, [raw("Once")]))[0].text
    with pytest.raises(ServiceStopped, match="no chat template"):
        await replies(line, [asked("Why?")])


async def test_a_replay_comes_from_the_cache_and_a_changed_folder_is_asked_anew(tmp_path: Path) -> None:
    folder, cache = make(tmp_path / "changing"), Cache(tmp_path / "cache.db")
    try:
        first = (await replies(line_of(folder), [asked("Why?")], cache))[0]
        again = (await replies(line_of(folder), [asked("Why?")], cache))[0]
        assert (again.text, again.from_cache) == (first.text, True)
        make(folder, seed=1)
        other = (await replies(line_of(folder), [asked("Why?")], cache))[0]
        assert not other.from_cache
        assert other.text != first.text
    finally:
        await cache.close()


async def test_texts_are_embedded(model: Path) -> None:
    async with Client({"m": line_of(model)}, cache=None) as client:
        one, two = await client.embed(["a loan", "a house with a garden"], model="m")
        alone = (await client.embed(["a loan"], model="m"))[0]
    assert len(one) == len(two) == 48
    assert sum(value * value for value in one) == pytest.approx(1.0, abs=1e-5)
    assert list(alone) == pytest.approx(list(one), abs=1e-5)


async def test_a_model_that_runs_out_of_memory_goes_on_with_smaller_batches(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, write = [], engines.Engine.write

    def narrow(self: Any, rows: list[Row], leave: Any) -> None:
        sizes.append(len(rows))
        self._computed(lambda: _burst(len(rows) > 3))
        write(self, rows, leave)

    monkeypatch.setattr(engines.Engine, "write", narrow)
    found = await replies(line_of(model, max_concurrency=16), [asked("Why?", draw) for draw in range(16)])
    assert len(found) == 16
    tried = next(place for place, size in enumerate(sizes) if size <= 3)
    assert tried >= 1
    assert all(later == earlier // 2 for earlier, later in pairwise(sizes[: tried + 1]))
    assert max(sizes[tried:]) <= 3


def _burst(really: bool) -> None:
    if really:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")


def test_a_whole_recipe_runs_twice_to_the_same_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = make(tmp_path / "tiny", context=8192)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"""
name: local
seed: 3
models:
  local: {{provider: transformers, model: {model}, max_tokens: 48, local: {{device: cpu}}, max_concurrency: 8}}
sources: {{topics: [loans]}}
strategies:
  - {{name: magpie, model: local, tokenizer: {model}, share: 3, max_instruction_tokens: 32}}
  - {{name: self_instruct, model: local, share: 1}}
gates: [schema]
goal: {{accepted: 4, max_candidates: 60}}
attempts: 1
"""
    )
    seen = []
    for run in ("first", "second"):
        status = call(["run", str(recipe), "--out", str(tmp_path / run), "--cache", str(tmp_path / f"{run}.db"), "--quiet"])
        assert status in (0, 1), capsys.readouterr().err
        seen.append([(tmp_path / run / name).read_bytes() for name in ("accepted.jsonl", "rejected.jsonl")])
    assert seen[0] == seen[1]
    rows = [json.loads(row) for row in b"".join(seen[0]).splitlines()]
    assert len(rows) > 10
    assert not [row for row in rows if row.get("gate") == "provider"]
    assert {row["strategy"] for row in rows} == {"magpie", "self_instruct"}
    assert all(not row["simulated"] for row in rows)
    replayed = call(["run", str(recipe), "--out", str(tmp_path / "third"), "--cache", str(tmp_path / "first.db"), "--json"])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert replayed in (0, 1)
    assert [(tmp_path / "third" / name).read_bytes() for name in ("accepted.jsonl", "rejected.jsonl")] == seen[0]
    assert told["session"]["requests"] <= 8, "no more than was called off in flight when the first run ended"
    assert told["session"]["cache_hits"] >= len(rows) // 2


def test_the_distribution_is_followed_and_top_p_cuts_its_tail() -> None:
    scores = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]]))
    found = [int(engines.choose(scores, [Row([1], 9, draw=draw)])[0]) for draw in range(4000)]
    shares = [found.count(token) / len(found) for token in range(4)]
    assert shares == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.03)
    narrow = {int(engines.choose(scores, [Row([1], 9, draw=draw, top_p=0.7)])[0]) for draw in range(500)}
    assert narrow == {0, 1}
    assert int(engines.choose(scores, [Row([1], 9, draw=5, temperature=0)])[0]) == 0


def test_the_noise_is_gumbels_and_knows_nothing_but_its_seed_and_place() -> None:
    noise = engines.gumbel(torch.tensor([3, -5]), 50_000, torch.float64)
    assert noise.mean().item() == pytest.approx(0.5772, abs=0.02)
    assert noise.std().item() == pytest.approx(1.2825, abs=0.02)
    assert torch.equal(engines.gumbel(torch.tensor([-5]), 100, torch.float64)[0], noise[1, :100])


def test_a_device_that_is_not_there_is_named() -> None:
    with pytest.raises(ServiceStopped, match="no device 'cuda:77'"):
        engines.Engine(str(TOKENIZER), commit="", device="cuda:77", dtype="auto")


def test_another_failure_of_the_device_is_passing(model: Path) -> None:
    engine = engines.Engine(str(model), commit="", device="cpu", dtype="auto")

    def broken() -> None:
        raise RuntimeError("CUDA error: device-side assert triggered. Compile with …")

    with pytest.raises(Unavailable, match="device-side assert") as caught:
        engine._computed(broken)
    assert caught.value.reason == "local_failure"
    assert LocalLine().device == "auto"
