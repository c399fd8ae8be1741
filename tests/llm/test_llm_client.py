from __future__ import annotations

import asyncio
import dataclasses
import logging
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
import respx

from gen.errors import BudgetReached, RateLimited, RecipeError, RequestRejected, ServiceStopped, Unavailable
from gen.llm.cache import Cache
from gen.llm.cache_upkeep import cache_stats
from gen.llm.client import Client
from gen.llm.providers.scripted import ScriptedProvider
from gen.llm.retry import Patience
from gen.recipe import BudgetLine, ModelLine
from gen.types import Request, Response, Usage

Ask = Callable[..., Request]
Line = Callable[..., ModelLine]
GOOD = Response(text="answer", usage=Usage(10, 20), model="m")


def client(script: Any, line: ModelLine, *, cache: Cache | None = None, clock: Any = None, **more: Any) -> Client:
    provider = script if isinstance(script, ScriptedProvider) else ScriptedProvider(script)
    if clock is not None:
        more["clock"] = clock
    return Client({"writer": line}, cache=cache, providers={"writer": provider}, **more)


async def test_a_reply_carries_its_key_cost_and_usage(line: Line, ask: Ask) -> None:
    async with client([GOOD], line()) as model:
        reply = await model.generate(ask())
    assert (reply.text, reply.usage, reply.from_cache, len(reply.key)) == ("answer", Usage(10, 20), False, 64)
    assert reply.cost == pytest.approx((10 * 1 + 20 * 2) / 1e6)


async def test_a_reply_is_on_disk_before_it_is_returned(tmp_path: Path, line: Line, ask: Ask) -> None:
    cache = Cache(tmp_path / "cache.db")
    async with client([GOOD], line(), cache=cache) as model:
        reply = await model.generate(ask())
        with sqlite3.connect(tmp_path / "cache.db") as other:
            assert other.execute("SELECT key, text FROM replies").fetchall() == [(reply.key, "answer")]
        other.close()
    await cache.close()


async def test_a_replay_sends_nothing_and_costs_nothing_now(tmp_path: Path, line: Line, ask: Ask) -> None:
    cache = Cache(tmp_path / "cache.db")
    refused = dataclasses.replace(GOOD, finish_reason="refusal", simulated=True)
    async with client([refused], line(), cache=cache) as model:
        first = await model.generate(ask())
    async with client([], line(), cache=cache) as model:
        again = await model.generate(ask())
        stats = model.stats
    await cache.close()
    assert again == dataclasses.replace(first, from_cache=True)
    assert (stats.requests, stats.cache_hits, stats.cost, stats.input_tokens) == (0, 1, 0.0, 0)


async def test_another_draw_is_another_request(tmp_path: Path, line: Line, ask: Ask) -> None:
    cache = Cache(tmp_path / "cache.db")
    provider = ScriptedProvider(["a", "b"])
    async with client(provider, line(), cache=cache) as model:
        texts = {(await model.generate(ask(draw=draw))).text for draw in (0, 1, 0)}
    await cache.close()
    assert (texts, len(provider.requests)) == ({"a", "b"}, 2)


async def test_equal_requests_in_flight_are_sent_once(line: Line, ask: Ask) -> None:
    async def slow(_: Request) -> Response:
        await asyncio.sleep(0.01)
        return GOOD

    provider = ScriptedProvider(slow)
    async with client(provider, line()) as model:
        replies = await asyncio.gather(*(model.generate(ask()) for _ in range(20)))
        assert model.stats.joined == 19
    assert len(provider.requests) == 1
    assert {reply.text for reply in replies} == {"answer"}


async def test_one_waiter_that_gives_up_does_not_take_the_others_along(line: Line, ask: Ask) -> None:
    async def slow(_: Request) -> Response:
        await asyncio.sleep(0.02)
        return GOOD

    provider = ScriptedProvider(slow)
    async with client(provider, line()) as model:
        first, second = (asyncio.create_task(model.generate(ask())) for _ in range(2))
        await asyncio.sleep(0.005)
        first.cancel()
        assert (await second).text == "answer"
        assert (await asyncio.gather(first, return_exceptions=True))[0].__class__ is asyncio.CancelledError
    assert len(provider.requests) == 1


async def test_a_reply_on_the_wire_that_nobody_waits_for_any_more_comes_home_and_is_kept(tmp_path: Path, line: Line, ask: Ask) -> None:
    cache, sent, answered = Cache(tmp_path / "cache.db"), asyncio.Event(), asyncio.Event()

    async def slow(_: Request) -> Response:
        sent.set()
        await answered.wait()
        return GOOD

    provider = ScriptedProvider(slow)
    async with client(provider, line(), cache=cache, budget=BudgetLine(calls=1)) as model:
        task = asyncio.create_task(model.generate(ask()))
        await sent.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert model.stats.in_flight == 1
        joined = asyncio.create_task(model.generate(ask()))
        await asyncio.sleep(0)
        joined.cancel()
        asyncio.get_running_loop().call_later(0.01, answered.set)
    async with client([], line(), cache=cache) as later:
        assert (await later.generate(ask())).from_cache
    await cache.close()
    assert (len(provider.requests), model.stats.replies, model.stats.in_flight) == (1, 1, 0)


async def test_a_call_not_yet_on_the_wire_is_called_off_when_the_client_closes(line: Line, ask: Ask) -> None:
    sent = asyncio.Event()

    async def slow(_: Request) -> Response:
        sent.set()
        await asyncio.sleep(0.01)
        return GOOD

    provider = ScriptedProvider(slow)
    async with client(provider, line(max_concurrency=1)) as model:
        first, second = (asyncio.create_task(model.generate(ask(text))) for text in ("one", "two"))
        await sent.wait()
    assert (await first).text == "answer"
    assert isinstance((await asyncio.gather(second, return_exceptions=True))[0], asyncio.CancelledError)
    assert len(provider.requests) == 1


async def test_what_does_not_land_in_time_is_called_off_and_keeps_its_reservation(line: Line, ask: Ask, time: Any) -> None:
    async def never(_: Request) -> Response:
        await asyncio.Event().wait()
        return GOOD

    async with client(never, line(), clock=time.clock, patience=Patience(landing_seconds=7.0)) as model:
        task = asyncio.create_task(model.generate(ask()))
        await asyncio.sleep(0.005)
    assert time.slept == [7.0]
    assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError)
    assert model._flights._budget.spent.calls == 1


async def test_a_failure_that_nobody_waits_for_is_not_asked_again(line: Line, ask: Ask) -> None:
    sent, failing = asyncio.Event(), asyncio.Event()

    async def fails(_: Request) -> Response:
        sent.set()
        await failing.wait()
        raise Unavailable("down", reason="overloaded", status=503)

    provider = ScriptedProvider(fails)
    async with client(provider, line()) as model:
        task = asyncio.create_task(model.generate(ask()))
        await sent.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        failing.set()
        await asyncio.sleep(0.01)
        assert model.stats.in_flight == 0
    assert len(provider.requests) == 1


async def test_twelve_429s_then_a_reply(line: Line, ask: Ask, time: Any) -> None:
    script = [RateLimited("slow", retry_after_seconds=1.0)] * 12 + [GOOD]
    async with client(script, line(), clock=time.clock) as model:
        assert (await model.generate(ask())).text == "answer"
        stats = model.stats
    assert (stats.rate_limited, stats.retries, stats.requests) == (12, 0, 13)


async def test_a_rejected_request_is_sent_once_and_not_cached(tmp_path: Path, line: Line, ask: Ask) -> None:
    cache = Cache(tmp_path / "cache.db")
    provider = ScriptedProvider([RequestRejected("bad", reason="bad_request", status=400)])
    async with client(provider, line(), cache=cache) as model:
        with pytest.raises(RequestRejected):
            await model.generate(ask())
    await cache.close()
    assert (len(provider.requests), cache_stats(tmp_path / "cache.db").replies) == (1, 0)


async def test_an_invalid_key_stops_every_call_with_the_same_error(line: Line, ask: Ask) -> None:
    provider = ScriptedProvider(lambda _: ServiceStopped("openai answered 401: no", reason="invalid_key", status=401))
    async with client(provider, line(max_concurrency=4)) as model:
        errors = await asyncio.gather(*(model.generate(ask(f"{number}")) for number in range(50)), return_exceptions=True)
        with pytest.raises(ServiceStopped):
            await model.generate(ask("later"))
    assert {(type(error), str(error)) for error in errors} == {(ServiceStopped, "openai answered 401: no")}
    assert len(provider.requests) <= 4


@pytest.mark.parametrize(
    ("more", "hint"),
    [
        ({"api_key_env": "SOME_KEY"}, r"\(model 'writer', the key in SOME_KEY\)"),
        ({}, "asked without a key: name the variable .* `api_key_env`"),
    ],
    ids=["a wrong key", "no key"],
)
async def test_whose_key_was_refused_is_told(
    more: dict[str, str], hint: str, line: Line, ask: Ask, wire: respx.MockRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "k-1234567890")
    monkeypatch.setattr("gen.llm.providers.openai.DirectClient", lambda _: httpx2.AsyncClient())
    wire.post("http://server.test/v1/chat/completions").respond(401, json={"error": {"message": "no"}})
    async with Client({"writer": line(**more)}, cache=None) as model:
        with pytest.raises(ServiceStopped, match=f"answered 401: no {hint if more else '.*' + hint}") as caught:
            await model.generate(ask())
    assert "k-1234567890" not in str(caught.value)


async def test_a_stopped_client_still_replays_what_is_paid_for(tmp_path: Path, line: Line, ask: Ask) -> None:
    cache = Cache(tmp_path / "cache.db")
    async with client([GOOD, ServiceStopped("gone")], line(), cache=cache) as model:
        await model.generate(ask("one"))
        with pytest.raises(ServiceStopped):
            await model.generate(ask("two"))
        assert (await model.generate(ask("one"))).from_cache
    await cache.close()


async def test_a_service_that_is_not_there_stops_the_run(line: Line, ask: Ask, time: Any) -> None:
    async with client(lambda _: Unavailable("refused", reason="connect_failed"), line(), clock=time.clock) as model:
        errors = await asyncio.gather(*(model.generate(ask(f"{number}")) for number in range(30)), return_exceptions=True)
        with pytest.raises(ServiceStopped, match="10 calls in a row got no answer") as caught:
            await model.generate(ask("later"))
    assert caught.value.reason == "service_unreachable"
    assert any(type(error) is Unavailable for error in errors)


async def test_a_model_that_is_unknown_stops_the_run_after_the_first_answer(line: Line, ask: Ask) -> None:
    gone = RequestRejected("openai answered 404: The model 'm' does not exist.", reason="not_found", status=404)
    provider = ScriptedProvider(lambda _: gone)
    async with Client({"writer": line()}, cache=None, providers={"writer": provider}) as model:
        with pytest.raises(ServiceStopped, match=r"check `models\.writer\.model` and `models\.writer\.base_url`") as caught:
            await model.generate(ask("one"))
        with pytest.raises(ServiceStopped):
            await model.generate(ask("two"))
    assert caught.value.reason == "model_not_found"
    assert len(provider.requests) == 1


async def test_a_404_after_a_reply_concerns_its_own_request_only(line: Line, ask: Ask) -> None:
    async with client([GOOD, RequestRejected("no", reason="not_found", status=404), GOOD], line()) as model:
        await model.generate(ask("one"))
        with pytest.raises(RequestRejected):
            await model.generate(ask("two"))
        assert (await model.generate(ask("three"))).text == "answer"


async def test_a_judge_that_is_not_there_stops_the_run_though_the_writer_answers(line: Line, ask: Ask, time: Any) -> None:
    gone = ScriptedProvider(lambda _: Unavailable("refused", reason="connect_failed"))
    lines, providers = {"writer": line(), "judge": line(model="j")}, {"writer": ScriptedProvider(lambda _: GOOD), "judge": gone}
    async with Client(lines, cache=None, providers=providers, clock=time.clock) as model:
        for number in range(9):
            assert (await model.generate(ask(f"{number}"))).text == "answer"
            with pytest.raises(Unavailable):
                await model.generate(ask(f"{number}", model="judge"))
        with pytest.raises(ServiceStopped, match=r"\(model 'judge'\)") as caught:
            await model.generate(ask("the tenth", model="judge"))
    assert caught.value.reason == "service_unreachable"


async def test_a_reply_that_is_being_kept_when_its_last_waiter_gives_up_is_not_bought_again(tmp_path: Path, line: Line, ask: Ask) -> None:
    cache = Cache(tmp_path / "cache.db")
    provider, keeping, kept = ScriptedProvider(lambda _: GOOD), asyncio.Event(), asyncio.Event()
    put = cache.put

    async def slowly(*args: Any, **more: Any) -> Response:
        keeping.set()
        await kept.wait()
        return await put(*args, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "put", slowly)
        async with client(provider, line(), cache=cache) as model:
            first = asyncio.create_task(model.generate(ask()))
            await keeping.wait()
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            second = asyncio.create_task(model.generate(ask()))
            await asyncio.sleep(0)
            kept.set()
            assert (await second).text == "answer"
    await cache.close()
    assert len(provider.requests) == 1


async def test_a_rate_limit_of_hours_ends_the_run_instead_of_waiting(line: Line, ask: Ask) -> None:
    async with client([RateLimited("daily", retry_after_seconds=20_000.0)], line()) as model:
        with pytest.raises(ServiceStopped, match="it asks to wait 20000 s"):
            await model.generate(ask())


async def test_a_call_that_takes_too_long_is_asked_again_and_stays_booked(line: Line, ask: Ask) -> None:
    calls = 0

    async def hang_once(_: Request) -> Response:
        nonlocal calls
        calls += 1
        if calls == 1:
            await asyncio.Event().wait()
        return GOOD

    async with client(hang_once, line(timeout_seconds=0.02), budget=BudgetLine(calls=2)) as model:
        assert (await model.generate(ask())).text == "answer"
        assert model.stats.retries == 1
        with pytest.raises(BudgetReached):
            await model.generate(ask("third call"))


@pytest.mark.parametrize("budget", [{"calls": 40}, {"tokens": 4000}, {"usd": 0.006}], ids=lambda budget: next(iter(budget)))
async def test_a_budget_is_never_passed_with_64_in_flight(budget: dict[str, float], line: Line, ask: Ask) -> None:
    spent = {"calls": 0, "tokens": 0, "usd": 0.0}

    async def reply(request: Request) -> Response:
        await asyncio.sleep(0.001 * (request.draw % 3))
        usage = Usage(20 + request.draw % 30, request.draw % 64)
        spent["calls"] += 1
        spent["tokens"] += usage.input_tokens + usage.output_tokens
        spent["usd"] += (usage.input_tokens + 2 * usage.output_tokens) / 1e6
        return Response(text="x", usage=usage, model="m")

    async with client(reply, line(max_concurrency=64, max_tokens=64), budget=BudgetLine.model_validate(budget)) as model:
        results = await asyncio.gather(*(model.generate(ask(draw=number)) for number in range(300)), return_exceptions=True)
        paid = model.stats
    [(name, cap)] = budget.items()
    assert spent[name] <= cap
    assert spent[name] >= 0.85 * cap
    assert {type(result) for result in results} == {Response, BudgetReached}
    assert paid.cost == pytest.approx(spent["usd"])


async def test_stats_tell_models_and_purposes_apart(line: Line, ask: Ask) -> None:
    models = {"writer": line(), "critic": line(price=None, model="nobody-knows")}
    provider = ScriptedProvider(lambda _: GOOD)
    async with Client(models, cache=None, providers={"writer": provider, "critic": provider}) as model:
        await model.generate(ask(purpose="answer"))
        await model.generate(ask(model="critic", purpose="judge"))
        stats = model.stats
    assert (stats.requests, stats.output_tokens, stats.cost) == (2, 40, None)
    assert stats.models["writer"].cost is not None
    assert (stats.models["critic"].cost, stats.purposes["judge"].requests) == (None, 1)


async def test_an_unknown_model_is_named(line: Line, ask: Ask) -> None:
    async with client([], line()) as model:
        with pytest.raises(RecipeError, match="unknown model 'wrter': did you mean 'writer'"):
            await model.generate(ask(model="wrter"))


def test_check_sends_nothing_and_names_the_key() -> None:
    with pytest.raises(RecipeError) as caught:
        Client({"writer": ModelLine(provider="nope")}, cache=None).check()
    assert caught.value.key == "models.writer.provider"


async def test_logs_hold_neither_prompts_nor_replies(line: Line, ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="gen.llm"):
        async with client([Unavailable("down"), dataclasses.replace(GOOD, text="secret answer")], line()) as model:
            await model.generate(ask("secret question", purpose="p"))
    assert len(caplog.records) == 2
    assert "secret" not in caplog.text


async def test_each_finished_call_leaves_one_line(tmp_path: Path, line: Line, ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    cache = Cache(tmp_path / "cache.db")
    script = [Unavailable("down", reason="overloaded", status=503), GOOD, RequestRejected("no", reason="bad_request", status=400)]
    with caplog.at_level(logging.DEBUG, logger="gen.llm"):
        async with client(script, line(), cache=cache, patience=Patience(first_wait_seconds=0.001)) as model:
            await asyncio.gather(*(model.generate(ask(purpose="p")) for _ in range(2)))
            await model.generate(ask(purpose="p"))
            with pytest.raises(RequestRejected):
                await model.generate(ask("other"))
    await cache.close()
    said = [record.getMessage().partition(" of writer for ")[2] for record in caplog.records]
    assert said[0] == "p joins an equal call in flight"
    assert said[1] == "p is asked again after overloaded (status 503)"
    assert said[2].startswith("p: stop, 10 + 20 tokens, $0.000050, 0.")
    assert said[3] == "p: stop, 10 + 20 tokens, $0.000000, from the cache"
    assert said[4] == "no purpose failed: bad_request (status 400)"


async def test_a_killed_process_pays_nothing_twice(tmp_path: Path, line: Line, ask: Ask) -> None:
    script = """
import asyncio, os, sys
from gen.llm.cache import Cache
from gen.llm.cache_upkeep import cache_stats
from gen.llm.client import Client
from gen.llm.providers.scripted import ScriptedProvider
from gen.llm.retry import Patience
from gen.recipe import ModelLine
from gen.types import Message, Request
async def main():
    line = ModelLine.model_validate({"provider": "openai", "model": "m", "base_url": "http://server.test/v1"})
    provider = ScriptedProvider(lambda request: "answer to " + request.messages[0].content)
    async with Client({"writer": line}, cache=Cache(sys.argv[1]), providers={"writer": provider}) as client:
        for number in range(20):
            await client.generate(Request(model="writer", messages=(Message("user", f"{number}"),)))
            print(number, flush=True)
        os.kill(os.getpid(), 9)
asyncio.run(main())
"""
    path = tmp_path / "cache.db"
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, check=False)
    assert len(done.stdout.split()) == 20
    cache = Cache(path)
    async with client([], line(), cache=cache) as model:
        replies = [await model.generate(ask(f"{number}")) for number in range(20)]
    await cache.close()
    assert all(reply.from_cache for reply in replies)
    assert replies[7].text == "answer to 7"


def test_the_client_loads_no_sdk_until_a_line_names_one() -> None:
    script = (
        "import sys, gen.llm.client; print([name for name in ('openai', 'anthropic', 'genai_prices', 'httpx2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"
