"""`sluice cache`: what is on disk is told as it is, and no command but import makes or empties a cache."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from gen.commands import call
from gen.llm.cache import Cache
from gen.llm.cache_upkeep import cache_stats, parse_line
from gen.types import Response, Usage

NOW = time.time()
DAY = 86_400.0


def filled(path: Path) -> Path:
    """A cache of three replies: two of `m` (one of them 40 days old), one of `other` that was cut off."""

    async def fill() -> None:
        cache = Cache(path)
        await cache.put("a" * 64, Response("old", usage=Usage(10, 2), model="m-1"), requested_model="m", created=NOW - 40 * DAY)
        await cache.put("b" * 64, Response("new, é", usage=Usage(20, 3), model="m-1", simulated=True), requested_model="m", created=NOW)
        await cache.put("c" * 64, Response("cut", finish_reason="length", usage=Usage(5, 9)), requested_model="other", created=NOW)
        await cache.close()

    asyncio.run(fill())
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return filled(tmp_path / "cache.db")


def answer(capsys: pytest.CaptureFixture[str], *arguments: str | Path, status: int = 0) -> Any:
    """What a command prints as JSON."""
    assert call(["cache", *map(str, arguments), "--json"]) == status
    return json.loads(capsys.readouterr().out)


def test_stats_tells_replies_models_tokens_and_reasons(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "stats", "--cache", cache)
    assert (found["replies"], found["simulated"], found["finish_reasons"]) == (3, 1, {"stop": 2, "length": 1})
    assert found["models"][0] == {"model": "m", "replies": 2, "input_tokens": 30, "output_tokens": 5, "characters": 9}
    assert found["oldest"] < found["newest"]
    assert call(["cache", "stats", "--cache", str(cache)]) == 0
    assert "m: 2 replies, 30 + 5 tokens" in capsys.readouterr().out


@pytest.mark.parametrize("command", [["stats"], ["prune", "--model", "m"], ["export"]], ids=lambda value: value[0])
def test_a_missing_cache_is_told_and_not_made(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "none" / "cache.db"
    assert call(["cache", *command, "--cache", str(path)]) == 2
    assert f"there is no cache at {path}" in capsys.readouterr().err
    assert not path.parent.exists()


@pytest.mark.parametrize("command", [["stats"], ["prune", "--model", "m"], ["export"], ["import", "-"]], ids=lambda value: value[0])
def test_a_damaged_cache_is_left_as_it_is(command: list[str], cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = cache.read_bytes()[:4096] + b"\xff" * 8192
    cache.write_bytes(damaged)
    assert call(["cache", *command, "--cache", str(cache)]) == 2
    assert "the cache is damaged; nothing was changed" in capsys.readouterr().err
    assert cache.read_bytes() == damaged
    assert [path.name for path in cache.parent.glob("*corrupt*")] == []


def test_an_empty_file_is_no_cache(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cache.db"
    path.touch()
    assert call(["cache", "stats", "--cache", str(path)]) == 2
    assert "is an empty file, no cache" in capsys.readouterr().err
    assert path.stat().st_size == 0


def test_a_cache_of_a_newer_version_is_refused(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with sqlite3.connect(cache) as other:
        other.execute("INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('sluice_cache', 'm999_future', '')")
    other.close()
    assert call(["cache", "stats", "--cache", str(cache)]) == 2
    assert "written by a newer version of Sluice" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "left"),
    [
        pytest.param(["--older-than", "30d"], 2, id="by age"),
        pytest.param(["--older-than", "6w"], 3, id="none is so old"),
        pytest.param(["--model", "m"], 1, id="by model"),
        pytest.param(["--model", "other", "--older-than", "30d"], 3, id="by both"),
        pytest.param(["--model", "m", "--dry-run"], 3, id="dry run"),
    ],
)
def test_prune_removes_what_is_named_and_nothing_else(options: list[str], left: int, cache: Path) -> None:
    assert call(["cache", "prune", *options, "--cache", str(cache)]) == 0
    assert cache_stats(cache).replies == left


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param([], "say what to remove", id="nothing named"),
        pytest.param(["--older-than", "soon"], "'soon' is no age: write it as 12h, 30d or 8w", id="no age"),
        pytest.param(["--model", "x"], "holds no reply of 'x': choose from m, other", id="unknown model"),
    ],
)
def test_prune_refuses_what_it_cannot_understand(options: list[str], words: str, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["cache", "prune", *options, "--cache", str(cache)]) == 2
    assert words in capsys.readouterr().err
    assert cache_stats(cache).replies == 3


def test_what_is_exported_can_be_imported_once(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, other = tmp_path / "replies.jsonl", tmp_path / "new" / "other.db"
    assert call(["cache", "export", "--out", str(out), "--cache", str(cache)]) == 0
    assert "3 replies written" in capsys.readouterr().out
    assert answer(capsys, "import", out, "--cache", other)["added"] == 3
    again = answer(capsys, "import", out, "--cache", other)
    assert (again["added"], again["present"], again["malformed"]) == (0, 3, 0)
    first, second = Cache(cache), Cache(other)
    assert all(first.get(name * 64) == second.get(name * 64) is not None for name in "abc")
    asyncio.run(first.close())
    asyncio.run(second.close())


def test_export_writes_lines_to_standard_output(cache: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert call(["cache", "export", "--cache", str(cache)]) == 0
    rows = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert [row["text"] for row in rows] == ["old", "new, é", "cut"]


def test_export_never_writes_over_the_cache(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["cache", "export", "--out", str(cache), "--cache", str(cache)]) == 2
    assert "is the cache itself" in capsys.readouterr().err
    assert cache_stats(cache).replies == 3


def test_lines_that_are_no_replies_are_named_and_the_rest_is_added(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(["cache", "export", "--out", str(tmp_path / "out.jsonl"), "--cache", str(cache)])
    good = (tmp_path / "out.jsonl").read_bytes().splitlines()
    bad = [b"\xff\xfe broken", b'{"key": "sk-secret"}', good[1].replace(b'"stop"', b'"whatever"')]
    (tmp_path / "in.jsonl").write_bytes(b"\n".join([good[0], bad[0], b"", bad[1], bad[2], good[2]]))
    capsys.readouterr()
    found = answer(capsys, "import", tmp_path / "in.jsonl", "--cache", tmp_path / "other.db", status=1)
    assert (found["added"], found["malformed"]) == (2, 3)
    assert found["lines"] == [
        {"line": 2, "problem": "no JSON"},
        {"line": 4, "problem": "no requested_model"},
        {"line": 5, "problem": "finish_reason is unknown"},
    ]
    assert call(["cache", "import", str(tmp_path / "in.jsonl"), "--cache", str(tmp_path / "other.db")]) == 1
    assert "  line 4: no requested_model" in capsys.readouterr().out


ROW: dict[str, Any] = {
    "key": "k", "requested_model": "m", "text": "t", "finish_reason": "stop", "input_tokens": 1, "output_tokens": 1, "cached_tokens": 0,
    "model": "m", "simulated": 0, "created": 1.5,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"input_tokens": 10**400}, "input_tokens out of range"),
        ({"output_tokens": -1}, "output_tokens out of range"),
        ({"created": float("nan")}, "created out of range"),
        ({"input_tokens": True}, "input_tokens of the wrong type"),
        ({"text": None}, "text of the wrong type"),
        ({"text": "a\ud800"}, "text with a lone surrogate"),
        ({"key": ""}, "key is empty"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_value_that_no_cache_holds_is_told(change: dict[str, Any], problem: str) -> None:
    assert isinstance(parse_line(json.dumps(ROW)), tuple)
    assert parse_line(json.dumps(ROW | change)) == problem


def test_a_line_nested_too_deeply_is_no_reply() -> None:
    assert parse_line("[" * 100_000) == "no JSON"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["cache", "import", str(tmp_path / "none.jsonl"), "--cache", str(tmp_path / "cache.db")]) == 2
    assert "cannot read" in capsys.readouterr().err
    assert not (tmp_path / "cache.db").exists()


def test_help_names_the_four_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["cache", "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("stats", "prune", "export", "import"))
    assert call(["cache"]) == 2
    assert "Usage: sluice cache" in capsys.readouterr().out
