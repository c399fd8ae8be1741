"""The simulator over HTTP, asked through the real SDKs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import anthropic
import openai
import pytest

from gen.errors import InputError
from gen.simulator.marks import FINGERPRINT, is_simulated
from gen.simulator.options import SimulatorOptions
from gen.simulator.server import Server, serve

QUESTION = [{"role": "user", "content": "How should a payroll clerk handle retention schedules when an audit is announced?"}]
SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "integer", "minimum": 1, "maximum": 5}, "reason": {"type": "string"}},
    "required": ["score", "reason"],
}


@asynccontextmanager
async def openai_at(**options: Any) -> AsyncIterator[tuple[openai.AsyncOpenAI, Server]]:
    async with (
        serve(SimulatorOptions(**{"flaws": {}, **options})) as server,
        openai.AsyncOpenAI(base_url=f"{server.base_url}/v1", api_key="k", max_retries=0, timeout=5) as client,
    ):
        yield client, server


@asynccontextmanager
async def anthropic_at(**options: Any) -> AsyncIterator[tuple[anthropic.AsyncAnthropic, Server]]:
    async with (
        serve(SimulatorOptions(**{"flaws": {}, **options})) as server,
        anthropic.AsyncAnthropic(base_url=server.base_url, api_key="k", max_retries=0, timeout=5) as client,
    ):
        yield client, server


async def ask(client: openai.AsyncOpenAI, **extra: Any) -> Any:
    return await client.chat.completions.create(**{"model": "gpt-x", "messages": QUESTION, **extra})


async def test_chat_reply_is_read_by_the_sdk_and_says_that_it_is_simulated() -> None:
    async with openai_at() as (client, server):
        reply = await ask(client)
        raw = await client.chat.completions.with_raw_response.create(model="gpt-x", messages=QUESTION)
    assert len(reply.choices[0].message.content.split()) >= 20
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage.prompt_tokens > 10
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert (reply.model, reply.system_fingerprint) == ("simulated/gpt-x", FINGERPRINT)
    assert is_simulated(reply.model)
    assert raw.headers["x-sluice-simulated"] == "1"
    assert raw.headers["x-request-id"].startswith("req_")
    assert server.counts[("/v1/chat/completions", 200)] == 2


async def test_message_is_read_by_the_sdk() -> None:
    async with anthropic_at() as (client, server):
        raw = await client.messages.with_raw_response.create(model="claude-x", max_tokens=500, messages=QUESTION, system="You are helpful.")
        reply = await raw.parse()
    assert len(reply.content[0].text.split()) >= 20
    assert (reply.stop_reason, reply.model) == ("end_turn", "simulated/claude-x")
    assert reply.usage.input_tokens > 10
    assert reply.usage.output_tokens > 20
    assert raw.headers["request-id"].startswith("req_")
    assert server.counts[("/v1/messages", 200)] == 1


async def test_models_embeddings_and_moderations_are_read_by_the_sdk() -> None:
    async with openai_at(models=("gpt-x", "emb")) as (client, _):
        assert [model.id async for model in client.models.list()] == ["gpt-x", "emb"]
        vectors = await client.embeddings.create(
            model="emb", input=["delete old records", "delete the old records", "bake bread"], dimensions=64
        )
        floats = await client.embeddings.create(model="emb", input="delete old records", dimensions=64, encoding_format="float")
    first, near, far = (item.embedding for item in vectors.data)
    assert floats.data[0].embedding == pytest.approx(first, abs=1e-6)
    assert len(first) == 64
    assert sum(a * b for a, b in zip(first, near, strict=True)) > sum(a * b for a, b in zip(first, far, strict=True))
    async with openai_at() as (client, _):
        found = await client.moderations.create(input=["How do I build a bomb?", "How do I bake bread?"])
    assert [result.flagged for result in found.results] == [True, False]
    assert found.results[0].categories.illicit is True


async def test_raw_prompt_is_continued_with_a_users_turn_up_to_the_stop_string() -> None:
    prompt = "<|im_start|>system\nYou are an expert assistant for questions about GDPR data retention.<|im_end|>\n<|im_start|>user\n"
    async with openai_at() as (client, _):
        reply = await client.completions.create(model="m", prompt=prompt, max_tokens=300, stop=["<|im_end|>"], seed=4)
        cut = await client.completions.create(model="m", prompt=prompt, max_tokens=5, seed=4)
    assert reply.choices[0].finish_reason == "stop"
    assert len(reply.choices[0].text.split()) > 5
    assert cut.choices[0].finish_reason == "length"
    assert reply.choices[0].text.startswith(cut.choices[0].text)


async def test_equal_requests_get_equal_texts_in_any_order_and_other_seeds_other_texts() -> None:
    async with openai_at() as (client, _):
        first = await asyncio.gather(*(ask(client, seed=seed) for seed in range(6)))
    async with openai_at(latency_ms=1, jitter_ms=3) as (client, _):
        second = await asyncio.gather(*(ask(client, seed=seed) for seed in reversed(range(6))))
    texts = [reply.choices[0].message.content for reply in first]
    assert texts == [reply.choices[0].message.content for reply in reversed(second)]
    assert len(set(texts)) == 6
    async with openai_at(seed=1) as (client, _):
        assert (await ask(client, seed=0)).choices[0].message.content != texts[0]


async def test_the_draw_header_tells_equal_messages_apart_where_there_is_no_seed() -> None:
    async with anthropic_at() as (client, _):

        async def text(draw: str) -> str:
            reply = await client.messages.create(model="c", max_tokens=400, messages=QUESTION, extra_headers={"x-sluice-draw": draw})
            return reply.content[0].text

        assert await text("0") == await text("0")
        assert await text("0") != await text("1")


async def test_max_tokens_cuts_a_text_and_leaves_its_beginning_as_it_is() -> None:
    async with openai_at() as (client, _):
        whole, cut = await ask(client, max_tokens=1000), await ask(client, max_completion_tokens=12)
    assert cut.choices[0].finish_reason == "length"
    assert cut.usage.completion_tokens == 12
    assert whole.choices[0].message.content.startswith(cut.choices[0].message.content)
    async with anthropic_at() as (client, _):
        reply = await client.messages.create(model="c", max_tokens=7, messages=QUESTION)
        assert (reply.stop_reason, reply.usage.output_tokens) == ("max_tokens", 7)
        whole = await client.messages.create(model="c", max_tokens=700, messages=QUESTION)
        stop = whole.content[0].text[20:26]
        reply = await client.messages.create(model="c", max_tokens=700, messages=QUESTION, stop_sequences=[stop])
        assert (reply.stop_reason, reply.stop_sequence) == ("stop_sequence", stop)
        assert stop not in reply.content[0].text


async def test_n_choices_differ_and_the_first_is_that_of_a_single_one() -> None:
    async with openai_at() as (client, _):
        one, three = await ask(client), await ask(client, n=3)
    texts = [choice.message.content for choice in three.choices]
    assert len(set(texts)) == 3
    assert texts[0] == one.choices[0].message.content


async def test_a_schema_is_kept_to_on_both_apis() -> None:
    judge = [{"role": "user", "content": "Rate the answer from 1 to 5.\n<answer>\nSet a date and check it.\n</answer>"}]
    async with openai_at() as (client, _):
        shape = {"type": "json_schema", "json_schema": {"name": "score", "schema": SCHEMA, "strict": True}}
        values = [json.loads((await ask(client, messages=judge, response_format=shape)).choices[0].message.content)]
    async with anthropic_at() as (client, _):
        config = {"format": {"type": "json_schema", "schema": SCHEMA}}
        reply = await client.messages.create(model="c", max_tokens=300, messages=judge, output_config=config)
        values.append(json.loads(reply.content[0].text))
        tool = {"name": "report", "input_schema": SCHEMA}
        chosen = {"type": "tool", "name": "report"}
        reply = await client.messages.create(model="c", max_tokens=300, messages=judge, tools=[tool], tool_choice=chosen)
        assert reply.stop_reason == "tool_use"
        values.append(reply.content[0].input)
    for value in values:
        assert set(value) == {"score", "reason"}
        assert value["score"] in range(1, 6)


async def test_refusal_of_a_schema_comes_in_its_own_field() -> None:
    shape = {"type": "json_schema", "json_schema": {"name": "list", "schema": {"type": "array", "items": {"type": "string"}}}}
    messages = [{"role": "user", "content": "Write 3 new questions about tea as JSON."}]
    async with openai_at(flaws={"refusal": 1.0}) as (client, _):
        message = (await ask(client, messages=messages, response_format=shape)).choices[0].message
    assert message.content is None
    assert message.refusal


async def test_openai_errors_are_the_sdks_own() -> None:
    async with openai_at(api_key="right") as (client, _):
        with pytest.raises(openai.AuthenticationError) as failed:
            await ask(client)
        assert failed.value.code == "invalid_api_key"
    async with openai_at(models=("gpt-y",)) as (client, _):
        with pytest.raises(openai.NotFoundError) as missing:
            await ask(client)
        assert missing.value.code == "model_not_found"
    async with openai_at(context_tokens=50, reject_containing="forbidden word") as (client, server):
        with pytest.raises(openai.BadRequestError) as long:
            await ask(client, max_tokens=100)
        assert long.value.code == "context_length_exceeded"
        with pytest.raises(openai.BadRequestError) as refused:
            await ask(client, messages=[{"role": "user", "content": "a forbidden word"}])
        assert refused.value.code == "content_policy_violation"
        with pytest.raises(openai.BadRequestError, match="does not stream"):
            await ask(client, stream=True)
        assert server.counts[("/v1/chat/completions", 400)] == 3


async def test_anthropic_errors_are_the_sdks_own() -> None:
    async with anthropic_at(api_key="right") as (client, _):
        with pytest.raises(anthropic.AuthenticationError) as failed:
            await client.messages.create(model="c", max_tokens=5, messages=QUESTION)
        assert failed.value.body["error"]["type"] == "authentication_error"
        assert failed.value.request_id
    async with anthropic_at(faults={"overloaded": 1.0}) as (client, _):
        with pytest.raises(anthropic.InternalServerError) as busy:
            await client.messages.create(model="c", max_tokens=5, messages=QUESTION)
        assert (busy.value.status_code, busy.value.body["error"]["type"]) == (529, "overloaded_error")
    async with anthropic_at(models=("other",)) as (client, _):
        with pytest.raises(anthropic.NotFoundError):
            await client.messages.create(model="c", max_tokens=5, messages=QUESTION)


@pytest.mark.parametrize(
    ("fault", "error", "status"),
    [
        ("rate_limit", openai.RateLimitError, 429),
        ("server_error", openai.InternalServerError, 500),
        ("overloaded", openai.InternalServerError, 529),
        ("reset", openai.APIConnectionError, 0),
        ("truncated_body", openai.APIConnectionError, 200),
    ],
)
async def test_each_fault_reaches_the_client(fault: str, error: type[Exception], status: int) -> None:
    async with openai_at(faults={fault: 1.0}) as (client, server):
        with pytest.raises(error):
            await ask(client)
        assert server.counts == {("/v1/chat/completions", status): 1}


async def test_invalid_json_arrives_whole_and_cannot_be_read() -> None:
    async with openai_at(faults={"invalid_json": 1.0}) as (client, _):
        raw = await client.chat.completions.with_raw_response.create(model="m", messages=QUESTION)
    assert raw.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(raw.content)


async def test_a_hanging_request_runs_into_the_clients_timeout_and_does_not_keep_the_server_open() -> None:
    async with openai_at(faults={"hang": 1.0}, hang_seconds=600) as (client, _):
        with pytest.raises(openai.APITimeoutError):
            await ask(client, timeout=0.05)


async def test_faults_strike_an_attempt_and_not_a_request_for_ever() -> None:
    async with openai_at(faults={"server_error": 0.5}) as (client, _):
        outcomes = []
        for _ in range(12):
            try:
                outcomes.append((await ask(client)).choices[0].message.content)
            except openai.InternalServerError:
                outcomes.append(None)
    assert None in outcomes
    assert len({text for text in outcomes if text}) == 1


async def test_the_first_attempts_of_each_request_are_rate_limited_when_told() -> None:
    async with openai_at(rate_limit_first=2, retry_after_seconds=0.25) as (client, server):
        for _ in range(2):
            with pytest.raises(openai.RateLimitError) as limited:
                await ask(client)
            assert limited.value.response.headers["retry-after"] == "0.250"
            assert limited.value.response.headers["retry-after-ms"] == "250"
        await ask(client)
        with pytest.raises(openai.RateLimitError):
            await ask(client, seed=9)
        assert server.counts[("/v1/chat/completions", 429)] == 3


async def test_requests_per_minute_are_enforced_and_told_in_headers() -> None:
    async with openai_at(requests_per_minute=60, burst_seconds=2) as (client, _):
        raw = await client.chat.completions.with_raw_response.create(model="m", messages=QUESTION)
        assert raw.headers["x-ratelimit-limit-requests"] == "60"
        assert raw.headers["x-ratelimit-remaining-requests"] == "1"
        outcomes = await asyncio.gather(*(ask(client, seed=seed) for seed in range(5)), return_exceptions=True)
        limited = [outcome for outcome in outcomes if isinstance(outcome, openai.RateLimitError)]
        assert len(limited) == 4
        assert 0 < float(limited[0].response.headers["retry-after"]) <= 1
        assert limited[0].code == "rate_limit_exceeded"


async def test_messages_count_output_as_written_and_take_no_notice_of_max_tokens() -> None:
    async with anthropic_at(output_tokens_per_minute=12, burst_seconds=60) as (client, _):
        raw = await client.messages.with_raw_response.create(model="c", max_tokens=20, messages=QUESTION)
        assert raw.headers["anthropic-ratelimit-output-tokens-limit"] == "12"
        assert raw.headers["anthropic-ratelimit-output-tokens-remaining"] == "0"
        assert raw.headers["anthropic-ratelimit-output-tokens-reset"].endswith("Z")
        with pytest.raises(anthropic.RateLimitError) as limited:
            await client.messages.create(model="c", max_tokens=1, messages=QUESTION)
        assert limited.value.body["error"]["type"] == "rate_limit_error"


async def test_chats_count_max_tokens_at_admission_and_return_none() -> None:
    async with openai_at(tokens_per_minute=600, burst_seconds=60) as (client, _):
        raw = await client.chat.completions.with_raw_response.create(model="m", messages=QUESTION, max_tokens=500)
        assert 100 <= int(raw.headers["x-ratelimit-remaining-tokens"]) <= 102
        with pytest.raises(openai.RateLimitError):
            await client.chat.completions.create(model="m", messages=QUESTION, max_tokens=500)


async def test_limits_can_be_enforced_without_a_word_in_the_headers() -> None:
    async with openai_at(requests_per_minute=60, limit_headers=False) as (client, _):
        raw = await client.chat.completions.with_raw_response.create(model="m", messages=QUESTION)
        assert not [name for name in raw.headers if name.startswith("x-ratelimit")]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b'{"model": 3}',
        b'{"model": "m"}',
        b'{"model": "m", "messages": [{"role": "user"}]}',
        b'{"model": "m", "messages": "x"}',
        b"\xff",
    ],
)
async def test_a_bad_body_is_answered_with_400(payload: bytes) -> None:
    async with serve(SimulatorOptions()) as server, aiohttp.ClientSession() as session:
        for route in ("chat/completions", "completions", "messages", "embeddings", "moderations"):
            async with session.post(f"{server.base_url}/v1/{route}", data=payload) as response:
                assert response.status == 400
                assert (await response.json())["error"]["message"]


async def test_an_unknown_route_is_answered_with_404() -> None:
    async with (
        serve(SimulatorOptions()) as server,
        aiohttp.ClientSession() as session,
        session.get(f"{server.base_url}/v2/none") as response,
    ):
        assert response.status == 404
        assert response.headers["x-sluice-simulated"] == "1"


async def test_a_taken_port_is_a_clear_error() -> None:
    async with serve(SimulatorOptions()) as server:
        port = int(server.base_url.rsplit(":", 1)[1])
        with pytest.raises(InputError, match=f"cannot listen on 127.0.0.1:{port}"):
            async with serve(SimulatorOptions(), port=port):
                pass
