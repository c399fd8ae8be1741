"""Calls in batches through the whole client, over both SDKs, against the simulator on loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gen.errors import ProviderError, RecipeError, RequestRejected, ServiceStopped, Unavailable
from gen.llm.batching.api import Look
from gen.llm.batching.store import Store
from gen.llm.cache import Cache
from gen.llm.cache_upkeep import cache_stats
from gen.llm.client import Client
from gen.llm.provider import Endpoint
from gen.llm.providers.openai_batch import OpenAIBatches
from gen.recipe import BudgetLine, ModelLine
from gen.simulator.options import SimulatorOptions
from gen.simulator.server import Server, serve
from gen.types import Message, Request, Response

PROVIDERS = ("openai", "anthropic")
QUICK = {"gather_seconds": 0.02, "poll_seconds": 0.05, "offered": True}


def line_of(provider: str, server: Server, **more: Any) -> ModelLine:
    base_url = f"{server.base_url}/v1" if provider == "openai" else server.base_url
    model = "m" if provider == "openai" else "claude-haiku-4-5"
    batch = QUICK | more.pop("batch", {})
    line = {"provider": provider, "model": model, "base_url": base_url, "mode": "batch", "batch": batch, "price": {"input": 1, "output": 2}}
    return ModelLine.model_validate(line | more)


def live(line: ModelLine) -> ModelLine:
    return ModelLine.model_validate(line.model_dump(exclude={"mode", "batch"}))


@asynccontextmanager
async def simulator(**options: Any) -> AsyncIterator[Server]:
    async with serve(SimulatorOptions(**({"flaws": {}} | options))) as server:
        yield server


@asynccontextmanager
async def client_on(path: Path, line: ModelLine, **more: Any) -> AsyncIterator[Client]:
    cache = Cache(path)
    try:
        async with Client({"writer": line}, cache=cache, **more) as client:
            yield client
    finally:
        await cache.close()


def ask(number: int) -> Request:
    return Request(model="writer", messages=(Message("user", f"Ask {number}"),), draw=number)


async def many(client: Client, count: int) -> list[Response]:
    return list(await asyncio.gather(*(client.generate(ask(number)) for number in range(count))))


def left_in(path: Path) -> int:
    cache = Cache(path)
    cache._reader.close()
    with Store(path)._open() as database:
        return int(database.execute("SELECT count(*) FROM batches").fetchone()[0])


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_batch_brings_what_single_calls_bring_at_half_the_price(provider: str, tmp_path: Path) -> None:
    async with simulator() as server:
        line = line_of(provider, server)
        async with client_on(tmp_path / "live.db", live(line)) as client:
            single = await many(client, 12)
        async with client_on(tmp_path / "batch.db", line) as client:
            batched = await many(client, 12)
            stats = client.stats
        assert [one.text for one in batched] == [one.text for one in single]
        assert [one.key for one in batched] == [one.key for one in single]
        assert [one.cost for one in batched] == [one.cost / 2 for one in single if one.cost]
        assert all(one.simulated for one in batched)
        assert len(server.batches.by_id) == 1
        assert stats.replies == 12
        assert stats.cost == pytest.approx(sum(one.cost or 0 for one in single) / 2)
        async with client_on(tmp_path / "live.db", line) as client:
            again = await many(client, 12)
            assert client.stats.cache_hits == 12
    assert [one.text for one in again] == [one.text for one in single]
    assert left_in(tmp_path / "batch.db") == 0


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(("limits", "batches"), [({"max_requests": 5}, 3), ({"max_bytes": 600}, None)], ids=["by requests", "by bytes"])
async def test_batches_are_split_at_their_limits(provider: str, limits: dict[str, int], batches: int | None, tmp_path: Path) -> None:
    async with simulator() as server:
        async with client_on(tmp_path / "cache.db", line_of(provider, server, batch=limits)) as client:
            assert len(await many(client, 12)) == 12
        sizes = [len(batch.entries) for batch in server.batches.by_id.values()]
        files = [len(content) for name, content in server.batches.files.items() if name.count("-") == 1]
    assert sum(sizes) == 12
    assert len(sizes) == batches or (batches is None and len(sizes) > 3)
    assert max(sizes) <= limits.get("max_requests", 12)
    assert all(size <= limits.get("max_bytes", size) for size in files)


async def test_the_lines_of_a_results_file_end_at_line_feeds_alone() -> None:
    texts = ["one\u2028two\u0085three", "four", "x" * 200_000]
    results = [
        {"custom_id": f"{number}", "response": {"status_code": 200, "body": {"choices": [{"message": {"content": text}}]}}}
        for number, text in enumerate(texts)
    ]
    async with simulator() as server:
        server.batches.files["file-9"] = "\n".join(json.dumps(one, ensure_ascii=False) for one in results).encode()
        api = OpenAIBatches(Endpoint("openai", f"{server.base_url}/v1"))
        found = {name: reply async for name, reply in api.results(Look("b", ended=True, files=("file-9",)))}
        await api.close()
    assert [reply.text for reply in found.values() if isinstance(reply, Response)] == texts


async def test_a_request_larger_than_a_batch_is_rejected_at_once(tmp_path: Path) -> None:
    async with simulator() as server, client_on(tmp_path / "c.db", line_of("openai", server, batch={"max_bytes": 50})) as client:
        with pytest.raises(RequestRejected) as caught:
            await client.generate(ask(0))
    assert caught.value.reason == "request_too_large"


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_requests_that_fail_or_expire_are_asked_again_in_the_next_batch(provider: str, tmp_path: Path) -> None:
    async with simulator(batch_faults={"item_error": 0.1, "item_expired": 0.1}) as server:
        async with client_on(tmp_path / "cache.db", line_of(provider, server)) as client:
            replies = await many(client, 30)
        asked, batches = server.batches.asked, len(server.batches.by_id)
    assert len({one.text for one in replies}) > 1
    assert all(one.text for one in replies)
    assert 2 <= batches <= 6
    assert 30 < sum(asked.values()) < 70


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_request_that_is_refused_is_final_and_the_others_come(provider: str, tmp_path: Path) -> None:
    async with simulator(reject_containing="Ask 3") as server, client_on(tmp_path / "cache.db", line_of(provider, server)) as client:
        found = await asyncio.gather(*(client.generate(ask(number)) for number in range(6)), return_exceptions=True)
        assert len(server.batches.by_id) == 1
    assert [isinstance(one, Response) for one in found] == [True, True, True, False, True, True]
    assert isinstance(found[3], RequestRejected)
    assert found[3].reason == ("content_policy" if provider == "openai" else "bad_request")


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_batch_that_expires_gives_what_it_has_and_the_rest_is_asked_again(provider: str, tmp_path: Path) -> None:
    """Here each batch expires after the first half of its requests, so that of 8 one is left, which never comes first."""
    async with simulator(batch_faults={"expired": 1}) as server, client_on(tmp_path / "c.db", line_of(provider, server)) as client:
        found = await asyncio.gather(*(client.generate(ask(number)) for number in range(8)), return_exceptions=True)
        sizes = [len(batch.entries) for batch in server.batches.by_id.values()]
    assert sizes == [8, 4, 2, 1, 1, 1, 1]
    assert sum(isinstance(one, Response) for one in found) == 7
    assert [one.reason for one in found if isinstance(one, Unavailable)] == ["batch_expired"]
    assert cache_stats(tmp_path / "c.db").replies == 7


async def test_a_batch_that_fails_as_a_whole_stops_the_run_with_its_reason(tmp_path: Path) -> None:
    async with simulator(batch_faults={"failed": 1}) as server, client_on(tmp_path / "cache.db", line_of("openai", server)) as client:
        with pytest.raises(ServiceStopped, match="failed as a whole: The simulator was told to") as caught:
            await client.generate(ask(0))
    assert caught.value.reason == "batch_failed"
    assert left_in(tmp_path / "cache.db") == 0


async def test_an_unknown_model_stops_the_run_before_anything_is_lost(tmp_path: Path) -> None:
    async with simulator(models=("another",)) as server, client_on(tmp_path / "c.db", line_of("openai", server)) as client:
        found = await asyncio.gather(*(client.generate(ask(number)) for number in range(3)), return_exceptions=True)
    assert all(isinstance(one, ServiceStopped) for one in found)


async def test_a_server_without_batches_stops_the_run_and_no_candidate_is_lost(tmp_path: Path) -> None:
    async with simulator() as server:
        line = line_of("openai", server, base_url=f"{server.base_url}/v2")
        async with client_on(tmp_path / "cache.db", line) as client:
            found = await asyncio.gather(*(client.generate(ask(number)) for number in range(3)), return_exceptions=True)
    assert [(type(one), one.reason) for one in found if isinstance(one, ProviderError)] == [(ServiceStopped, "batch_failed")] * 3
    assert "was refused" in str(found[0])
    assert left_in(tmp_path / "cache.db") == 0


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_results_that_are_gone_are_asked_anew(provider: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with simulator() as server, client_on(tmp_path / "cache.db", line_of(provider, server)) as client:
        api = type(next(iter(client._batchers.values()))._api)
        real, lost = api.results, []

        async def results(self: Any, look: Any) -> Any:
            if not lost:
                lost.append(look)
                raise RequestRejected("gone", reason="not_found", status=404)
            async for one in real(self, look):
                yield one

        monkeypatch.setattr(api, "results", results)
        assert len(await many(client, 3)) == 3
        assert len(server.batches.by_id) == 2


async def test_a_wrong_key_stops_the_client(tmp_path: Path) -> None:
    async with simulator(api_key="right") as server, client_on(tmp_path / "cache.db", line_of("openai", server)) as client:
        with pytest.raises(ServiceStopped) as caught:
            await client.generate(ask(0))
    assert caught.value.reason == "invalid_key"
    assert left_in(tmp_path / "cache.db") == 0


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_next_start_joins_the_batch_that_an_earlier_one_left(provider: str, tmp_path: Path) -> None:
    async with simulator(batch_seconds=0.4) as server:
        line = line_of(provider, server)
        async with client_on(tmp_path / "cache.db", line) as client:
            tasks = [asyncio.create_task(client.generate(ask(number))) for number in range(4)]
            await until(lambda: left_with_id(tmp_path / "cache.db"))
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        [left] = client.batches
        async with client_on(tmp_path / "cache.db", line) as client:
            assert len(await many(client, 6)) == 6
        asked = server.batches.asked
    assert (left.requests, left.cancelled) == (4, False)
    assert left.remote_id in server.batches.by_id
    assert sum(asked.values()) == 6
    assert set(asked.values()) == {1}


def left_with_id(path: Path) -> bool:
    with Store(path)._open() as database:
        return bool(database.execute("SELECT count(*) FROM batches WHERE remote_id != ''").fetchone()[0])


@pytest.mark.parametrize("cut", ["sent", "not sent"])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_crash_before_the_id_is_noted_buys_nothing_twice(
    provider: str, cut: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gen.llm.batching.carriage._ABANDONED_SECONDS", 0.1)
    monkeypatch.setattr("gen.llm.batching.carriage._TOUCH_SECONDS", 0.03)
    async with simulator() as server:
        line = line_of(provider, server)
        async with client_on(tmp_path / "cache.db", line) as client:
            task = asyncio.create_task(many(client, 4))
            hang = asyncio.Event()
            with monkeypatch.context() as patch:
                api = client._batchers.popitem()[1]._api

                async def submit(tag: str, items: Any) -> str:
                    if cut == "sent":
                        await type(api).submit(api, tag, items)
                    hang.set()
                    await asyncio.sleep(60)
                    return ""

                patch.setattr(api, "submit", submit)
                await hang.wait()
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        async with client_on(tmp_path / "cache.db", line) as client:
            assert len(await many(client, 4)) == 4
        asked = server.batches.asked
    assert set(asked.values()) == {1}
    assert sum(asked.values()) == 4


async def test_replies_that_nobody_waits_for_are_kept(tmp_path: Path) -> None:
    async with simulator(batch_seconds=0.2) as server, client_on(tmp_path / "cache.db", line_of("openai", server)) as client:
        tasks = [asyncio.create_task(client.generate(ask(number))) for number in range(5)]
        await until(lambda: left_with_id(tmp_path / "cache.db"))
        for task in tasks[1:]:
            task.cancel()
        await tasks[0]
        assert [batch.cancelled for batch in server.batches.by_id.values()] == [None]
    assert cache_stats(tmp_path / "cache.db").replies == 5


async def test_what_is_gathered_and_not_wanted_any_more_is_not_sent(tmp_path: Path) -> None:
    async with simulator() as server, client_on(tmp_path / "cache.db", line_of("openai", server, batch={"gather_seconds": 0.1})) as client:
        tasks = [asyncio.create_task(client.generate(ask(number))) for number in range(5)]
        await asyncio.sleep(0.03)
        for task in tasks[:4]:
            task.cancel()
        await tasks[4]
        assert sum(server.batches.asked.values()) == 1


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("choice", ["keep", "cancel"])
async def test_an_interrupt_keeps_the_batch_or_cancels_it_as_chosen(provider: str, choice: str, tmp_path: Path) -> None:
    async with simulator(batch_seconds=30) as server:
        async with client_on(tmp_path / "cache.db", line_of(provider, server, batch={"on_interrupt": choice})) as client:
            task = asyncio.create_task(many(client, 3))
            await until(lambda: left_with_id(tmp_path / "cache.db"))
            client.interrupt()
            task.cancel()
        [left] = client.batches
        [batch] = server.batches.by_id.values()
    assert left.cancelled == (choice == "cancel") == (batch.cancelled is not None)
    assert left_in(tmp_path / "cache.db") == 1


async def test_a_batch_that_the_service_lost_is_asked_anew(tmp_path: Path) -> None:
    async with simulator(batch_seconds=30) as server:
        line = line_of("openai", server)
        async with client_on(tmp_path / "cache.db", line) as client:
            task = asyncio.create_task(many(client, 2))
            await until(lambda: left_with_id(tmp_path / "cache.db"))
            server.batches.by_id.clear()
            object.__setattr__(server.service.options, "batch_seconds", 0.0)
            assert len(await task) == 2


async def test_two_clients_on_one_cache_send_a_request_once(tmp_path: Path) -> None:
    async with simulator(batch_seconds=0.2) as server:
        line = line_of("openai", server)
        async with client_on(tmp_path / "cache.db", line) as one, client_on(tmp_path / "cache.db", line) as two:
            first = asyncio.create_task(many(one, 5))
            await until(lambda: left_with_id(tmp_path / "cache.db"))
            second = await many(two, 5)
            assert [reply.text for reply in second] == [reply.text for reply in await first]
        assert set(server.batches.asked.values()) == {1}


async def test_a_batch_that_takes_too_long_stops_the_run_and_stays_noted(tmp_path: Path) -> None:
    async with simulator(batch_seconds=30) as server:
        line = line_of("openai", server, batch={"max_wait_hours": 1e-9})
        async with client_on(tmp_path / "cache.db", line) as client:
            with pytest.raises(ServiceStopped, match="run again to join it") as caught:
                await client.generate(ask(0))
        [left] = client.batches
        assert left.remote_id in server.batches.by_id
    assert caught.value.reason == "batch_unfinished"


async def test_a_budget_bounds_what_a_batch_may_hold(tmp_path: Path) -> None:
    async with simulator() as server:
        async with client_on(tmp_path / "cache.db", line_of("openai", server), budget=BudgetLine(calls=3)) as client:
            found = await asyncio.gather(*(client.generate(ask(number)) for number in range(8)), return_exceptions=True)
        assert sum(server.batches.asked.values()) == 3
    assert sum(isinstance(one, Response) for one in found) == 3
    assert all(isinstance(one, Response) or (isinstance(one, ProviderError) and one.reason == "budget_reached") for one in found)


async def test_a_batch_line_needs_a_cache(tmp_path: Path) -> None:
    async with simulator() as server:
        with pytest.raises(RecipeError, match="needs a cache"):
            async with Client({"writer": line_of("openai", server)}, cache=None):
                pass


async def test_the_own_simulator_takes_batches(tmp_path: Path) -> None:
    line = ModelLine(provider="simulator", mode="batch", batch={"gather_seconds": 0.01, "poll_seconds": 0.05})
    async with client_on(tmp_path / "cache.db", line) as client:
        replies = await many(client, 5)
    async with client_on(tmp_path / "cache.db", ModelLine(provider="simulator")) as client:
        assert [one.text for one in await many(client, 5)] == [one.text for one in replies]
        assert client.stats.requests == 0
