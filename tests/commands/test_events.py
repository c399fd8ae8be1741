"""`sluice run --json-events` and SLUICE_LOG: what programs and the curious may read, without prompts and keys."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pytest

from gen.commands import call
from gen.commands.events import Events, opened, snapshot, told
from gen.errors import InputError, StorageError
from gen.run import Progress

KEY = "sk-" + "proj-abcdefghijklmnopqrstuvwx"
SYSTEM = "Mention the lighthouse of Alexandria."
RECIPE = f"""\
name: small
models:
  writer: {{provider: simulator, simulator: {{api_key: "{KEY}"}}}}
sources:
  topics: [GDPR data retention]
strategies:
  - {{name: self_instruct, model: writer, instructions_per_call: 3, system: "{SYSTEM}"}}
goal: {{accepted: 6}}
"""
# docs/commands.md lists the same keys.
PROGRESS = {
    "event", "time", "seconds", "phase", "goal", "accepted", "rejected", "reasons", "requests", "in_flight", "cache_hits", "rate_limited",
    "retries", "failed", "input_tokens", "output_tokens", "cost",
}  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> list[str]:
    """The arguments of a run of six samples."""
    (tmp_path / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    return ["run", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "run"), "--cache", str(tmp_path / "cache.db"), "--quiet"]


def events_in(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_events_tell_the_run_from_start_to_end(run: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call([*run, "--json-events", str(tmp_path / "events.jsonl")]) == 0
    text = (tmp_path / "events.jsonl").read_text(encoding="utf-8")
    events = events_in(text)
    started, progress, finished = events[0], events[-2], events[-1]
    assert (started["event"], started["recipe"], started["folder"]) == ("started", "small", str(tmp_path / "run"))
    assert set(progress) == PROGRESS
    assert (progress["accepted"], progress["goal"], progress["cost"]) == (6, 6, 0.0)
    assert progress["rejected"] == sum(progress["reasons"].values())
    assert progress["requests"] > 0
    assert finished["event"] == "finished"
    assert (finished["result"]["accepted"], finished["result"]["goal_reached"]) == (6, True)
    assert [one["seconds"] for one in events] == sorted(one["seconds"] for one in events)
    assert "6 of 6 accepted" in capsys.readouterr().out


def test_events_hold_no_prompt_and_no_key(run: list[str], tmp_path: Path) -> None:
    call([*run, "--json-events", str(tmp_path / "events.jsonl")])
    text = (tmp_path / "events.jsonl").read_text(encoding="utf-8")
    assert "lighthouse" not in text
    assert KEY not in text


def test_events_on_standard_output_stand_alone_there(run: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert call([*run, "--json-events", "-"]) == 0
    shown = capsys.readouterr()
    assert [one["event"] for one in events_in(shown.out)][-1] == "finished"
    assert "6 of 6 accepted" in shown.err


def test_two_outputs_cannot_share_standard_output(run: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert call([*run, "--json-events", "-", "--json"]) == 2
    assert "both want standard output" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_told_before_anything_is_paid(
    run: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call([*run, "--json-events", str(tmp_path / "none" / "events.jsonl")]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert not (tmp_path / "cache.db").exists()


async def test_an_error_of_ours_is_the_last_event() -> None:
    file = io.StringIO()
    with pytest.raises(StorageError):
        async with told(Events(file), Progress(), recipe="small"):
            raise StorageError("the disk\nis full")
    assert [one["event"] for one in events_in(file.getvalue())] == ["started", "failed"]
    assert events_in(file.getvalue())[1]["error"] == "the disk is full"


async def test_progress_is_told_while_the_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gen.commands.events.EVERY_SECONDS", 0.0)
    file, progress = io.StringIO(), Progress(goal=3)
    async with told(Events(file), progress):
        for accepted in range(3):
            progress.accepted = progress.candidates = accepted
            await asyncio.sleep(0.001)
    assert {0, 1, 2} <= {one["accepted"] for one in events_in(file.getvalue()) if one["event"] == "progress"}


def test_a_reader_that_left_does_not_end_the_run(caplog: pytest.LogCaptureFixture) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    events = Events(Gone())
    events.tell("progress", **snapshot(Progress()))
    events.tell("progress")
    assert caplog.text.count("the event stream ends here: Broken pipe; the run goes on") == 1


def test_no_stream_is_opened_unless_asked_for() -> None:
    with opened("") as events:
        assert events.file is None
    with pytest.raises(InputError, match="cannot be written"), opened("/"):
        pass


def test_debug_logs_one_line_per_call_without_prompts_and_keys(
    run: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLUICE_LOG", "debug")
    assert call([*run, "--json"]) == 0
    shown = capsys.readouterr()
    lines = [line for line in shown.err.splitlines() if line.startswith("sluice: debug: ") and " call " in line]
    requests = json.loads(shown.out)["session"]["requests"]
    assert 6 < len(lines) <= requests, "a call that is no longer needed at the goal is called off"
    assert "of writer for self_instruct.answer: stop, " in shown.err
    assert "lighthouse" not in shown.err
    assert "GDPR" not in shown.err
    assert KEY not in shown.err


def test_calls_are_not_logged_by_default(run: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert call([*run, "--json"]) == 0
    assert capsys.readouterr().err == ""


def test_an_unknown_level_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SLUICE_LOG", "loud")
    assert call(["--version"]) == 2
    assert capsys.readouterr().err == "sluice: SLUICE_LOG is 'loud': choose from debug, info, warning, error\n"


def test_every_line_is_flushed_at_once(tmp_path: Path) -> None:
    with opened(str(tmp_path / "events.jsonl")) as events:
        events.tell("started")
        assert json.loads((tmp_path / "events.jsonl").read_text())["event"] == "started"
