"""A recorded run is replayed from an exported cache: what is in it costs nothing, what is not is never bought."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from gen.errors import Unavailable
from gen.llm.cache import Cache
from gen.llm.cache_upkeep import export_replies, import_replies
from gen.llm.client import Client
from gen.llm.providers.scripted import ScriptedProvider
from gen.llm.retry import Patience
from gen.recipe import ModelLine
from gen.types import Message, Request

LINE = ModelLine(provider="openai", model="m", base_url="http://127.0.0.1:9/v1")


def asked(text: str) -> Request:
    return Request(model="writer", messages=(Message("user", text),))


async def replies(cache_path: Path, script: list[str], texts: list[str]) -> list[str]:
    cache = Cache(cache_path)
    try:
        providers = {"writer": ScriptedProvider(script)}
        async with Client({"writer": LINE}, cache=cache, providers=providers, patience=Patience(attempts=1)) as client:
            return [(await client.generate(asked(text))).text for text in texts]
    finally:
        await cache.close()


async def test_a_recording_is_replayed_and_what_is_not_in_it_is_an_error(tmp_path: Path) -> None:
    assert await replies(tmp_path / "run.db", ["one", "two"], ["a", "b"]) == ["one", "two"]
    lines = [orjson.dumps(row) for row in export_replies(tmp_path / "run.db")]
    assert import_replies(tmp_path / "recording.db", lines).added == 2
    assert await replies(tmp_path / "recording.db", [], ["b", "a"]) == ["two", "one"]
    with pytest.raises(Unavailable) as caught:
        await replies(tmp_path / "recording.db", [], ["c"])
    assert caught.value.reason == "script_exhausted"
