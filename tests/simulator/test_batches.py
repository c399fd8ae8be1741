"""The simulator's batch APIs as the vendors' own SDKs see them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import openai
import pytest

from gen.errors import RecipeError
from gen.simulator.batch_routes import read_lines, read_requests
from gen.simulator.options import from_mapping
from gen.simulator.server import Server, serve
from gen.simulator.wire import Problem

CHAT = "/v1/chat/completions"


def body(number: int) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": f"Ask {number}"}], "max_tokens": 50}


def lines_of(count: int, **more: Any) -> bytes:
    items = [{"custom_id": f"r{number}", "method": "POST", "url": CHAT, "body": body(number)} | more for number in range(count)]
    return b"\n".join(json.dumps(item).encode() for item in items)


@asynccontextmanager
async def openai_client(**options: Any) -> AsyncIterator[tuple[openai.AsyncOpenAI, Server]]:
    async with serve(from_mapping({"flaws": 0} | options)) as server:
        http = openai.DefaultAioHttpClient()
        async with openai.AsyncOpenAI(api_key="k", base_url=f"{server.base_url}/v1", max_retries=0, http_client=http) as client:
            yield client, server


@asynccontextmanager
async def anthropic_client(**options: Any) -> AsyncIterator[tuple[anthropic.AsyncAnthropic, Server]]:
    async with serve(from_mapping({"flaws": 0} | options)) as server:
        http = anthropic.DefaultAioHttpClient()
        async with anthropic.AsyncAnthropic(api_key="k", base_url=server.base_url, max_retries=0, http_client=http) as client:
            yield client, server


async def begun(client: openai.AsyncOpenAI, content: bytes, **more: Any) -> Any:
    file = await client.files.create(file=("in.jsonl", content), purpose="batch")
    return await client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h", **more)


async def results(client: openai.AsyncOpenAI, file_id: str) -> dict[str, Any]:
    found = [json.loads(line) for line in (await client.files.content(file_id)).text.splitlines()]
    return {one["custom_id"]: one for one in found}


async def test_a_batch_answers_what_single_calls_answer() -> None:
    async with openai_client() as (client, server):
        batch = await client.batches.retrieve((await begun(client, lines_of(3), metadata={"mine": "1"})).id)
        assert (batch.status, batch.request_counts.completed, batch.metadata) == ("completed", 3, {"mine": "1"})
        found = await results(client, batch.output_file_id)
        single = await client.chat.completions.create(**body(1))
        assert found["r1"]["response"]["body"]["choices"][0]["message"]["content"] == single.choices[0].message.content
        assert found["r1"]["response"]["body"]["model"].startswith("simulated/")
        assert batch.error_file_id is None
        assert sum(server.batches.asked.values()) == 3


async def test_a_batch_takes_its_time_and_can_be_cancelled_within_it() -> None:
    async with openai_client(batch_seconds=60) as (client, _):
        batch = await begun(client, lines_of(4))
        assert (await client.batches.retrieve(batch.id)).status == "in_progress"
        await client.batches.cancel(batch.id)
        ended = await client.batches.retrieve(batch.id)
        assert (ended.status, ended.request_counts.completed, ended.request_counts.failed) == ("cancelled", 2, 2)
        left = await results(client, ended.error_file_id)
        assert {one["error"]["code"] for one in left.values()} == {"batch_cancelled"}


async def test_batches_are_listed_the_latest_first_page_by_page() -> None:
    async with openai_client() as (client, _):
        ids = [(await begun(client, lines_of(1))).id for _ in range(5)]
        assert [one.id async for one in client.batches.list(limit=2)] == ids[::-1]


@pytest.mark.parametrize(
    ("faults", "status", "codes"),
    [
        pytest.param({"item_error": 1}, "completed", {500}, id="every request fails"),
        pytest.param({"item_expired": 1}, "completed", {"batch_expired"}, id="every request expires"),
        pytest.param({"expired": 1}, "expired", {"batch_expired"}, id="the batch expires"),
    ],
)
async def test_faults_end_up_in_the_error_file(faults: dict[str, float], status: str, codes: set[Any]) -> None:
    async with openai_client(batch_faults=faults) as (client, _):
        batch = await client.batches.retrieve((await begun(client, lines_of(4))).id)
        left = await results(client, batch.error_file_id)
    assert batch.status == status
    assert {one["error"]["code"] if one["error"] else one["response"]["status_code"] for one in left.values()} == codes


async def test_a_batch_that_fails_as_a_whole_says_why_and_answers_nothing() -> None:
    async with openai_client(batch_faults={"failed": 1}) as (client, server):
        batch = await client.batches.retrieve((await begun(client, lines_of(2))).id)
        assert (batch.status, batch.errors.data[0].code, batch.output_file_id) == ("failed", "simulated_failure", None)
        assert not server.batches.asked


@pytest.mark.parametrize(
    ("content", "line", "code"),
    [
        pytest.param(b"no json", 1, "invalid_json_line", id="no JSON"),
        pytest.param(lines_of(1, url="/v1/embeddings"), 1, "mismatched_url", id="another endpoint"),
        pytest.param(lines_of(2, custom_id="same"), 2, "duplicate_custom_id", id="a name twice"),
        pytest.param(b"", None, "invalid_request_count", id="nothing"),
        pytest.param(lines_of(1) + b"\n" + lines_of(1, custom_id="x", body={"model": "n"}), None, "mismatched_model", id="two models"),
    ],
)
def test_an_input_file_is_checked_line_by_line(content: bytes, line: int | None, code: str) -> None:
    assert [(where, what) for where, what, _ in read_lines(content, CHAT)[1]] == [(line, code)]


async def test_a_file_and_a_batch_that_are_not_there_are_404s() -> None:
    async with openai_client() as (client, _):
        for call in (
            client.batches.retrieve("batch_x"),
            client.files.content("file-x"),
            client.batches.create(input_file_id="file-x", endpoint=CHAT, completion_window="24h"),
        ):
            with pytest.raises(openai.NotFoundError):
                await call


async def test_a_wrong_key_opens_no_batch() -> None:
    async with openai_client(api_key="right") as (client, _):
        with pytest.raises(openai.AuthenticationError):
            await client.batches.list()


PARAMS = {"model": "claude-haiku-4-5", "max_tokens": 50, "messages": [{"role": "user", "content": "Ask"}]}


async def test_anthropics_batches_end_with_one_result_per_request() -> None:
    async with anthropic_client(batch_faults={"item_error": 0.3, "item_expired": 0.3}) as (client, _):
        requests: Any = [{"custom_id": f"r{n}", "params": PARAMS | {"max_tokens": 50 + n, "system": f"{n}"}} for n in range(12)]
        batch = await client.messages.batches.create(requests=requests)
        ended = await client.messages.batches.retrieve(batch.id)
        assert [one.id async for one in client.messages.batches.list()] == [batch.id]
        kinds = {one.custom_id: one.result.type async for one in await client.messages.batches.results(batch.id)}
    counts = ended.request_counts
    assert ended.processing_status == "ended"
    assert len(kinds) == counts.succeeded + counts.errored + counts.expired == 12
    assert {"succeeded", "errored", "expired"} == set(kinds.values())


async def test_anthropics_batches_are_cancelled_too() -> None:
    async with anthropic_client(batch_seconds=60) as (client, _):
        requests: Any = [{"custom_id": f"r{n}", "params": PARAMS} for n in range(4)]
        batch = await client.messages.batches.create(requests=requests)
        assert batch.processing_status == "in_progress"
        assert batch.request_counts.processing == 4
        await client.messages.batches.cancel(batch.id)
        assert (await client.messages.batches.retrieve(batch.id)).request_counts.canceled == 2


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(None, id="nothing"),
        pytest.param([], id="none"),
        pytest.param([{"custom_id": "x" * 65, "params": {"model": "m"}}], id="a long name"),
        pytest.param([{"custom_id": "x", "params": {"model": "m"}}] * 2, id="a name twice"),
        pytest.param([{"custom_id": "x"}], id="no params"),
    ],
)
def test_a_message_batch_is_checked(given: Any) -> None:
    assert isinstance(read_requests(given), Problem)


def test_an_unknown_batch_fault_is_an_error_with_the_right_names() -> None:
    with pytest.raises(RecipeError, match=r"batch_faults.*item_eror"):
        from_mapping({"batch_faults": {"item_eror": 0.1}})
