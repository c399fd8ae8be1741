from __future__ import annotations

import asyncio
import logging
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from gen.errors import StorageError
from gen.llm.cache import Cache
from gen.llm.cache_upkeep import cache_stats
from gen.types import Response, Usage

REPLY = Response(text="ein „Text“ \x00 \U0001f600", finish_reason="length", usage=Usage(3, 4, 1), model="m-1", simulated=True)


async def put(cache: Cache, key: str, reply: Response = REPLY) -> Response:
    return await cache.put(key, reply, requested_model="m", created=1000.0)


async def test_a_reply_comes_back_as_it_was(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "deep" / "cache.db")
    assert cache.get("k") is None
    await put(cache, "k")
    await cache.close()
    again = Cache(tmp_path / "deep" / "cache.db")
    found = again.get("k")
    await again.close()
    assert found is not None
    assert (found.text, found.finish_reason, found.usage, found.model, found.simulated, found.key) == (
        REPLY.text,
        "length",
        Usage(3, 4, 1),
        "m-1",
        True,
        "k",
    )


async def test_a_reply_is_on_disk_when_put_returns(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache.db")
    await put(cache, "k")
    with sqlite3.connect(tmp_path / "cache.db") as other:
        assert other.execute("SELECT count(*) FROM replies").fetchone() == (1,)
    other.close()
    await cache.close()


async def test_many_replies_at_once_are_all_kept(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache.db")
    await asyncio.gather(*(put(cache, f"{number}") for number in range(1200)))
    assert cache_stats(tmp_path / "cache.db").replies == 1200
    await cache.close()


@pytest.mark.parametrize("reply", [Response(text="a\ud800"), Response(text="a", usage=Usage(2**64))], ids=["a lone surrogate", "a count"])
async def test_a_reply_that_no_database_takes_is_refused_and_holds_nobody_up(reply: Response, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache.db")
    with pytest.raises(StorageError, match="cannot be kept"):
        await put(cache, "odd", reply)
    await put(cache, "k")
    assert cache.get("k") is not None
    await cache.close()


async def test_a_cache_opened_in_another_thread_can_be_read(tmp_path: Path) -> None:
    cache = await asyncio.to_thread(Cache, tmp_path / "cache.db")
    await put(cache, "k")
    assert cache.get("k") is not None
    await cache.close()


async def test_the_first_reply_under_a_key_stays_and_is_what_the_second_writer_gets(tmp_path: Path) -> None:
    first, second = Cache(tmp_path / "cache.db"), Cache(tmp_path / "cache.db")
    await put(first, "k")
    assert (await put(second, "k", Response(text="later"))).text == REPLY.text
    await first.close()
    await second.close()


async def test_two_processes_share_one_cache(tmp_path: Path) -> None:
    script = """
import asyncio, sys
from gen.llm.cache import Cache
from gen.llm.cache_upkeep import cache_stats
from gen.types import Response
async def main():
    cache = Cache(sys.argv[1])
    await asyncio.gather(*(cache.put(f"{sys.argv[2]}-{n}", Response(text="x" * 500), requested_model="m", created=0.0) for n in range(400)))
    await cache.close()
asyncio.run(main())
"""
    path = tmp_path / "cache.db"
    both = [subprocess.Popen([sys.executable, "-c", script, str(path), name], stderr=subprocess.PIPE) for name in "ab"]
    assert [process.communicate()[1] for process in both] == [b"", b""]
    assert cache_stats(path).replies == 800


@pytest.mark.parametrize("damage", ["garbage", "middle"])
async def test_a_damaged_cache_is_set_aside_with_a_warning(damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "cache.db"
    if damage == "garbage":
        path.write_bytes(b"not a database at all" * 100)
    else:
        cache = Cache(path)
        await asyncio.gather(*(put(cache, f"{number}") for number in range(200)))
        await cache.close()
        data = bytearray(path.read_bytes())
        data[4096:] = b"\xff" * (len(data) - 4096)
        path.write_bytes(bytes(data))
    before = path.read_bytes()
    with caplog.at_level(logging.WARNING):
        cache = Cache(path)
    assert cache.set_aside is not None
    assert cache.set_aside.name.startswith("cache.db.corrupt-")
    assert cache.set_aside.read_bytes() == before
    assert "was damaged" in caplog.text
    await put(cache, "k")
    await cache.close()


def test_a_file_that_never_was_a_cache_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("name: x\n")
    with pytest.raises(StorageError, match="not a cache"):
        Cache(path)
    assert path.read_text() == "name: x\n"


def test_another_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE runs (id)")
    other.close()
    with pytest.raises(StorageError, match="a database of something else"):
        Cache(path)


async def test_a_cache_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    await Cache(path).close()
    with sqlite3.connect(path) as other:
        other.execute("INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('sluice_cache', 'm999_future', '')")
    other.close()
    with pytest.raises(StorageError, match="newer version of Sluice"):
        Cache(path)


def test_a_folder_is_no_cache(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="this is a folder"):
        Cache(tmp_path)


async def test_a_full_disk_is_told_once_and_what_was_committed_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "cache.db"
    cache = Cache(path)
    await put(cache, "kept")
    pages = sqlite3.connect(path)
    limit = pages.execute("PRAGMA page_count").fetchone()[0]
    pages.close()
    writer = cache
    real = sqlite3.connect

    def small(*args: object, **kwargs: object) -> sqlite3.Connection:
        connection = real(*args, **kwargs)  # type: ignore[call-overload]
        connection.execute(f"PRAGMA max_page_count = {limit}")
        return connection

    await cache.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gen.llm.cache.sqlite3.connect", small)
        writer = Cache(path)
        with pytest.raises(StorageError, match="the disk is full"):
            await put(writer, "big", Response(text="x" * 200_000))
        with pytest.raises(StorageError, match="the disk is full"):
            await put(writer, "big", Response(text="x" * 200_000))
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert writer.get("kept") is not None
        await writer.close()


async def test_prompts_and_keys_are_not_in_the_file(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache.db")
    columns = [row[1] for row in cache._reader.execute("PRAGMA table_info(replies)")]
    await cache.close()
    assert columns == [
        "key",
        "requested_model",
        "text",
        "finish_reason",
        "input_tokens",
        "output_tokens",
        "cached_tokens",
        "model",
        "simulated",
        "created",
        "cache_write_tokens",
    ]
