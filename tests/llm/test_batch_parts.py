"""The parts of batching by themselves: who offers it, what results and failures mean, the tables, the price, the rounds."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlite_utils import Database

from gen.batch_rounds import rounds_of
from gen.errors import RateLimited, RecipeError, RequestRejected, ServiceStopped, Unavailable
from gen.estimate import BATCH_SECONDS, Between, estimate
from gen.llm import cache_file
from gen.llm.batching.api import Item, Look, Traces
from gen.llm.batching.batcher import Batcher
from gen.llm.batching.offer import check_batch, offers_batches
from gen.llm.batching.store import Row, Store
from gen.llm.cache import Cache
from gen.llm.clock import Clock
from gen.llm.keys import line_identity, request_key
from gen.llm.prices import price_of
from gen.llm.providers import anthropic_batch, openai_batch
from gen.parts import build_parts
from gen.recipe import ModelLine, load, parse
from gen.rehearsal import rehearse
from gen.types import Message, Request, Response, Usage

ROOT = Path(__file__).resolve().parents[2]
SECRET = "sk-" + "proj-abcdefghijklmnopqrstuvwx"


def line_of(**more: Any) -> ModelLine:
    return ModelLine.model_validate({"provider": "openai", "model": "gpt-4.1-mini", "mode": "batch"} | more)


# --- who offers it ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        pytest.param({}, True, id="OpenAI"),
        pytest.param({"base_url": "https://api.openai.com/v1"}, True, id="OpenAI by its address"),
        pytest.param({"provider": "anthropic", "model": "claude-haiku-4-5"}, True, id="Anthropic"),
        pytest.param({"provider": "simulator"}, True, id="the simulator"),
        pytest.param({"base_url": "http://127.0.0.1:8000/v1"}, False, id="another server"),
        pytest.param({"base_url": "http://127.0.0.1:8000/v1", "batch": {"offered": True}}, True, id="another server that is said to"),
        pytest.param({"provider": "anthropic", "base_url": "https://gateway.test"}, False, id="a gateway"),
    ],
)
def test_batches_are_used_where_they_are_offered(line: dict[str, Any], offered: bool) -> None:
    assert offers_batches(line_of(**line)) == offered
    if offered:
        check_batch("writer", line_of(**line))
    else:
        with pytest.raises(RecipeError, match="offered: true") as caught:
            check_batch("writer", line_of(**line))
        assert caught.value.key == "models.writer.mode"


def test_batch_options_without_batches_are_an_error() -> None:
    with pytest.raises(ValueError, match="need `mode: batch`"):
        ModelLine.model_validate({"batch": {"max_requests": 5}})


def test_the_mode_is_no_part_of_a_requests_key() -> None:
    request = Request(model="writer", messages=(Message("user", "hello"),))
    batched = line_of(batch={"max_requests": 7})
    single = ModelLine(provider="openai", model="gpt-4.1-mini")
    assert request_key(request, batched, line_identity(batched)) == request_key(request, single, line_identity(single))


# --- the price -------------------------------------------------------------------------------------------------------------------


def test_a_call_in_a_batch_costs_half_of_what_it_costs_alone_or_as_the_recipe_says() -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
    single = price_of(ModelLine(provider="openai", model="gpt-4.1-mini"))
    batched, dearer = price_of(line_of()), price_of(line_of(batch={"price_factor": 0.8}))
    assert single is not None
    assert batched is not None
    assert dearer is not None
    assert batched.cost(usage) == pytest.approx(single.cost(usage) / 2)
    assert dearer.cost(usage) == pytest.approx(single.cost(usage) * 0.8)
    assert "50% of it in batches" in batched.source
    assert price_of(line_of(model="home-made", base_url="http://h.test/v1")) is None


# --- what results mean -----------------------------------------------------------------------------------------------------------

CHAT = {"model": "m", "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3}}
MESSAGE = {"model": "m", "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn", "usage": {"input_tokens": 3}}


def openai_line(status: int | None, body: Any = None, error: Any = None) -> bytes:
    reply = None if status is None else {"status_code": status, "body": body}
    return json.dumps({"custom_id": "k", "response": reply, "error": error}).encode()


@pytest.mark.parametrize(
    ("line", "kind", "reason"),
    [
        pytest.param(openai_line(429, {"error": {"message": "slow down"}}), RateLimited, "rate_limited", id="429"),
        pytest.param(openai_line(500, {}), Unavailable, "server_error", id="500"),
        pytest.param(openai_line(400, {"error": {"code": "context_length_exceeded"}}), RequestRejected, "context_too_long", id="400"),
        pytest.param(openai_line(429, {"error": {"code": "insufficient_quota"}}), ServiceStopped, "quota_exhausted", id="quota"),
        pytest.param(openai_line(None, error={"code": "batch_expired", "message": "late"}), Unavailable, "batch_expired", id="expired"),
        pytest.param(openai_line(None, error={"code": "batch_cancelled"}), Unavailable, "batch_cancelled", id="cancelled"),
        pytest.param(openai_line(None, error="odd"), Unavailable, "batch_failed", id="an odd error"),
        pytest.param(openai_line(200, ["odd"]), Unavailable, "malformed_reply", id="an odd body"),
        pytest.param(openai_line(200, CHAT | {"choices": []}), Unavailable, "malformed_reply", id="no choice"),
    ],
)
def test_an_openai_result_is_classed_as_the_live_reply_would_be(line: bytes, kind: type[Exception], reason: str) -> None:
    found = openai_batch.parse_result(line)
    assert found is not None
    assert found[0] == "k"
    assert isinstance(found[1], kind)
    assert found[1].reason == reason  # type: ignore[union-attr]


def anthropic_line(kind: str, **more: Any) -> bytes:
    return json.dumps({"custom_id": "k", "result": {"type": kind} | more}).encode()


@pytest.mark.parametrize(
    ("line", "kind", "reason"),
    [
        pytest.param(
            anthropic_line("errored", error={"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}),
            RequestRejected,
            "bad_request",
            id="invalid",
        ),
        pytest.param(
            anthropic_line("errored", error={"type": "error", "error": {"type": "overloaded_error"}}),
            Unavailable,
            "overloaded",
            id="overloaded",
        ),
        pytest.param(anthropic_line("errored", error="odd"), Unavailable, "server_error", id="an odd error"),
        pytest.param(anthropic_line("expired"), Unavailable, "batch_expired", id="expired"),
        pytest.param(anthropic_line("canceled"), Unavailable, "batch_cancelled", id="cancelled"),
        pytest.param(anthropic_line("succeeded", message={}), Unavailable, "malformed_reply", id="no message"),
        pytest.param(anthropic_line("what"), Unavailable, "malformed_reply", id="an unknown kind"),
    ],
)
def test_an_anthropic_result_is_classed_as_the_live_reply_would_be(line: bytes, kind: type[Exception], reason: str) -> None:
    found = anthropic_batch.parse_result(line)
    assert found is not None
    assert isinstance(found[1], kind)
    assert found[1].reason == reason  # type: ignore[union-attr]


@pytest.mark.parametrize("parse_result", [openai_batch.parse_result, anthropic_batch.parse_result])
@pytest.mark.parametrize("line", [b"{", b"[]", b"3", b'{"custom_id": 4}', b"\xff"])
def test_a_line_that_names_no_request_is_passed_over(parse_result: Any, line: bytes) -> None:
    assert parse_result(line) is None


def test_no_key_is_told_by_an_error_in_a_result() -> None:
    found = openai_batch.parse_result(openai_line(401, {"error": {"message": f"Incorrect API key provided: {SECRET}"}}), (SECRET,))
    assert found is not None
    assert SECRET not in str(found[1])


# --- a batch that failed as a whole ----------------------------------------------------------------------------------------------


def failed(*errors: tuple[str, str, int | None]) -> Look:
    data = [SimpleNamespace(code=code, message=message, line=line) for code, message, line in errors]
    batch = SimpleNamespace(id="b", status="failed", output_file_id=None, error_file_id=None, errors=SimpleNamespace(data=data))
    return openai_batch._look(batch, ())


def test_a_full_queue_is_waited_for() -> None:
    look = failed(("token_limit_exceeded", "Enqueued token limit reached", None))
    assert isinstance(look.missing, RateLimited)
    assert look.missing.retry_after_seconds == 120


def test_lines_that_are_at_fault_are_final_and_the_others_are_asked_again() -> None:
    look = failed(("invalid_request", "line 2 is wrong", 2))
    assert isinstance(look.missing, Unavailable)
    assert isinstance(look.lines[2], RequestRejected)


@pytest.mark.parametrize("errors", [[], [("model_not_found", "no such model", None)]])
def test_any_other_failure_ends_the_run(errors: list[Any]) -> None:
    look = failed(*errors)
    assert isinstance(look.missing, ServiceStopped)
    assert look.missing.reason == "batch_failed"


# --- results in any order, and strange ones --------------------------------------------------------------------------------------


class Backwards:
    """A batch API whose results come in reverse, with strangers among them and some twice."""

    limits = openai_batch.LIMITS_OF_A_BATCH

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.submitted = 0

    def item(self, key: str, request: Request, line: ModelLine) -> Item:
        return openai_batch.item_of(key, request, line)

    async def submit(self, tag: str, items: Any) -> str:
        self.items, self.submitted = list(items), self.submitted + 1
        return "batch_1"

    async def find(self, traces: Traces) -> str:
        raise AssertionError(traces)

    async def look(self, remote_id: str) -> Look:
        return Look(remote_id, ended=True)

    async def results(self, look: Look) -> Any:
        yield "stranger", Response(text="not ours")
        for item in reversed(self.items):
            text = json.loads(item.body)["body"]["messages"][0]["content"]
            yield item.custom_id, Response(text=text.upper())
            yield item.custom_id, Response(text="again")

    async def cancel(self, remote_id: str) -> None:
        raise AssertionError(remote_id)

    async def close(self) -> None: ...


async def test_results_find_their_request_by_name_whatever_their_order(tmp_path: Path) -> None:
    line = line_of(batch={"gather_seconds": 0.0})
    cache, api = Cache(tmp_path / "cache.db"), Backwards()
    batcher = Batcher(api, {"writer": line}, "service", cache, Clock())
    asked = [Request(model="writer", messages=(Message("user", text),)) for text in ("one", "two", "three")]
    replies = await asyncio.gather(*(batcher.send(request, line) for request in asked))
    await batcher.close()
    await cache.close()
    assert [one.text for one in replies] == ["ONE", "TWO", "THREE"]
    assert batcher.under_way == ()


# --- the tables ------------------------------------------------------------------------------------------------------------------


def row(tag: str = "t", **more: Any) -> Row:
    return Row(
        **({"tag": tag, "service": "s", "remote_id": "", "requested_model": "m", "requests": 2, "created": 1.0, "touched": 1.0} | more)
    )


def item(key: str) -> Item:
    return Item(key, f"id-{key}", "/v1/chat/completions", b"a prompt")


async def test_a_request_is_in_one_batch_at_a_time_and_no_prompt_is_noted(tmp_path: Path) -> None:
    await Cache(tmp_path / "cache.db").close()
    store = Store(tmp_path / "cache.db")
    own, elsewhere = store.claim(row("a"), [item("1"), item("2")])
    assert ([one.key for one in own], elsewhere) == (["1", "2"], {})
    own, elsewhere = store.claim(row("b"), [item("2"), item("3")])
    assert [one.key for one in own] == ["3"]
    assert elsewhere["2"].tag == "a"
    assert store.requests("a") == [("id-1", "1"), ("id-2", "2")]
    store.sent("a", "batch_1")
    assert {one.tag: one.remote_id for one in store.under_way("s")} == {"a": "batch_1", "b": ""}
    assert store.under_way("another") == []
    store.forget("a")
    assert store.row("a") is None
    assert [one.key for one in store.claim(row("c"), [item("2")])[0]] == ["2"]
    assert (
        b"a prompt" not in (tmp_path / "cache.db").read_bytes() + (tmp_path / "cache.db-wal").read_bytes()
        if (tmp_path / "cache.db-wal").exists()
        else b"a prompt" not in (tmp_path / "cache.db").read_bytes()
    )


async def test_a_request_that_was_answered_meanwhile_is_in_no_batch(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache.db")
    await cache.put("2", Response(text="there"), requested_model="m", created=1.0)
    store = Store(tmp_path / "cache.db")
    own, elsewhere = store.claim(row("a"), [item("1"), item("2")])
    await cache.close()
    assert ([one.key for one in own], elsewhere) == (["1"], {})
    assert store.requests("a") == [("id-1", "1")]


async def test_a_reply_that_another_process_brought_while_a_batch_was_gathered_is_not_bought_again(tmp_path: Path) -> None:
    line = line_of(batch={"gather_seconds": 0.05})
    cache, api = Cache(tmp_path / "cache.db"), Backwards()
    batcher = Batcher(api, {"writer": line}, "service", cache, Clock())
    request = Request(model="writer", messages=(Message("user", "one"),))
    asked = asyncio.create_task(batcher.send(request, line))
    await asyncio.sleep(0)
    key = request_key(request, line, line_identity(line))
    await cache.put(key, Response(text="theirs"), requested_model="m", created=1.0)
    assert (await asked).text == "theirs"
    await batcher.close()
    await cache.close()
    assert (api.submitted, batcher.under_way) == (0, ())


async def test_an_abandoned_batch_is_taken_over_once(tmp_path: Path) -> None:
    await Cache(tmp_path / "cache.db").close()
    store = Store(tmp_path / "cache.db")
    store.claim(row("a"), [item("1")])
    abandoned = store.row("a")
    assert abandoned is not None
    assert store.take_over(abandoned, 2.0)
    assert not store.take_over(abandoned, 3.0)
    store.touch("a", 4.0)
    found = store.row("a")
    assert found is not None
    assert found.touched == 4.0


async def test_a_cache_of_an_older_version_learns_of_batches_and_keeps_its_replies(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with sqlite3.connect(path) as connection:
        cache_file.migrations.apply(Database(connection), stop_before="m002_batches")
        columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(replies)")]
        values = {"key": "k", "text": "kept", "finish_reason": "stop", "model": "m", "requested_model": "m"}
        connection.execute(
            f"INSERT INTO replies ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})", [values.get(one, 1) for one in columns]
        )
    connection.close()
    cache = Cache(path)
    kept = cache.get("k")
    await cache.close()
    assert kept is not None
    assert kept.text == "kept"
    assert Store(path).under_way("s") == []


# --- how many one after another --------------------------------------------------------------------------------------------------

RECIPE = """\
name: small
seed: 3
models:
  writer: {provider: simulator, mode: batch}
  critic: {provider: simulator, MODE}
sources: {topics: [Basel III capital, GDPR data retention]}
strategies:
  - {name: self_instruct, model: writer, instructions_per_call: 1, lag: 4}
judges: [{name: rubric, model: critic}]
gates: [schema, {name: score, judge: rubric, minimum: 2}]
goal: {per_topic: GOAL}
"""


@pytest.mark.parametrize(
    ("critic", "goal", "depth", "low", "high"),
    [
        pytest.param("mode: batch", 3, 3, 3, 9, id="one wave of three steps"),
        pytest.param("mode: live", 3, 2, 2, 6, id="a live judge waits for no batch"),
        pytest.param("mode: batch", 30, 3, 24, 42, id="a short lag makes many waves"),
    ],
)
async def test_rounds_follow_steps_lag_and_goal(critic: str, goal: int, depth: int, low: int, high: int, tmp_path: Path) -> None:
    recipe = parse(RECIPE.replace("MODE", critic).replace("GOAL", str(goal)), tmp_path / "r.yaml")
    rounds = await rounds_of(recipe, build_parts(recipe))
    assert rounds is not None
    assert (rounds.low, rounds.high, rounds.depths) == (low, high, {"self_instruct": depth})


async def test_a_live_recipe_has_no_rounds() -> None:
    recipe = load(ROOT / "examples" / "compliance.yaml")
    assert await rounds_of(recipe, build_parts(recipe)) is None


async def test_the_estimate_takes_the_price_and_the_time_of_batches(tmp_path: Path) -> None:
    text = RECIPE.replace("MODE", "mode: live").replace("GOAL", "3")
    priced = text.replace("{provider: simulator, mode: batch}", "{provider: simulator, mode: batch, price: {input: 1, output: 2}}")
    recipe = parse(priced, tmp_path / "r.yaml")
    rehearsal = await rehearse(recipe)
    batched = estimate(recipe.config, rehearsal, busy=100, rounds=Between(2, 4))
    single = estimate(parse(priced.replace(", mode: batch", ""), tmp_path / "r.yaml").config, rehearsal, busy=100)
    assert batched.usd is not None
    assert single.usd is not None
    assert batched.usd.high == pytest.approx(single.usd.high / 2)
    writer = next(one for one in batched.models if one.model == "writer")
    assert (writer.seconds, writer.bound_by) == (Between(2 * BATCH_SECONDS[0], 4 * BATCH_SECONDS[1]), "batches one after another")
    assert batched.seconds.high >= writer.seconds.high
