from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gen.commands import call

ROOT = Path(__file__).resolve().parents[2]


def recipe_in(folder: Path, **changes: str) -> Path:
    text = """\
name: small
seed: 3
models:
  writer: {provider: simulator}
sources:
  topics: [GDPR data retention]
strategies:
  - {name: self_instruct, model: writer, instructions_per_call: 3}
goal: {per_topic: 3}
"""
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    folder.mkdir(exist_ok=True)
    (folder / "small.yaml").write_text(text, encoding="utf-8")
    return folder / "small.yaml"


def test_it_ends_with_what_a_person_wants_to_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(["run", str(recipe_in(tmp_path / "with spaces")), "-q"]) == 0
    shown = capsys.readouterr().out
    assert "3 of 3 accepted, " in shown
    assert "goal reached" in shown
    assert "runs/small/sft: 3 rows of chatml" in shown
    assert (tmp_path / "runs" / "cache.db").is_file()


def test_json_is_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path / "run"), "--cache", str(tmp_path / "not yet there" / "c.db"), "--json"]
    assert call(["run", str(recipe_in(tmp_path)), *out]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["accepted"], told["goal"], told["goal_reached"], told["stop"]) == (3, 3, True, "goal_reached")
    assert all((tmp_path / "run" / name).is_file() for name in told["files"])


def test_falling_short_is_status_1_and_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = recipe_in(tmp_path, **{"{per_topic: 3}": "{per_topic: 3}\nbudget: {calls: 2}"})
    assert call(["run", str(file), "-q", "--out", str(tmp_path / "run"), "--cache", str(tmp_path / "c.db")]) == 1
    shown = capsys.readouterr().out
    assert "of 3 accepted" in shown.splitlines()[0]
    assert "budget" in shown
    assert "run again to go on" in shown


def test_the_only_sequence_that_falls_short_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = recipe_in(tmp_path, **{"{per_topic: 3}": "{per_topic: 3}\ngates: [{name: length, min_words: 3000}]\nattempts: 1"})
    assert call(["run", str(file), "-q", "--out", str(tmp_path / "run"), "--cache", str(tmp_path / "c.db")]) == 1
    assert "topic 'GDPR data retention': 0 of the last 60 candidates accepted; most often length/too_short (" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("out", "cache", "message"),
    [
        pytest.param("taken", "c.db", "taken is a file, where a folder should be: take another --out", id="a file in the way"),
        pytest.param("taken/run", "c.db", "cannot use the folder taken/run: Not a directory", id="a file on the way"),
        pytest.param("run", "folder", "folder: this is a folder; name the cache file in it", id="a folder as cache"),
        pytest.param("damaged", "c.db", "damaged/run.db is damaged", id="a damaged ledger"),
        pytest.param("newer", "c.db", "newer/run.db was written by a newer version of Sluice: update Sluice", id="a newer ledger"),
    ],
)
def test_a_place_that_cannot_be_used_is_one_line(
    out: str, cache: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("taken").write_text("")
    for name in ("folder", "damaged", "newer"):
        Path(name).mkdir()
    Path("damaged/run.db").write_bytes(b"this is no database" * 1000)
    file = recipe_in(tmp_path)
    if out == "newer":
        assert call(["run", str(file), "-q", "--out", out, "--cache", cache]) == 0
        with sqlite3.connect("newer/run.db") as database:
            database.execute("INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('ledger', 'm999_later', '2099')")
        database.close()
        capsys.readouterr()
    assert call(["run", str(file), "-q", "--out", out, "--cache", cache]) == 2
    wrong = capsys.readouterr().err
    assert message in wrong
    assert wrong.count("\n") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_must_not_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    assert call(["run", str(recipe_in(tmp_path)), "-q", "--out", str(tmp_path / "locked" / "run")]) == 2
    assert "cannot use the folder" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_ends_it_cleanly_and_the_same_command_goes_on(number: signal.Signals, tmp_path: Path) -> None:
    slow = "{provider: simulator, simulator: {latency_ms: 400}}"
    file = recipe_in(tmp_path, **{"{provider: simulator}": slow, "{per_topic: 3}": "{per_topic: 6}"})
    command = [
        sys.executable,
        "-m",
        "gen.commands",
        "run",
        str(file),
        "-q",
        "--out",
        str(tmp_path / "run"),
        "--cache",
        str(tmp_path / "c.db"),
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        deadline = time.monotonic() + 30
        while not (tmp_path / "c.db").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
        running.send_signal(number)
        shown, wrong = running.communicate(timeout=30)
    assert (running.returncode, wrong) == (130, "")
    assert "Run the same command again to go on" in shown
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (again.returncode, again.stderr) == (0, "")
    assert "6 of 6 accepted" in again.stdout


def test_the_goal_may_go_up_and_down_and_what_was_made_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path / "run"), "--cache", str(tmp_path / "c.db"), "--json"]
    kept: dict[int, bytes] = {}
    asked = []
    for goal in (7, 16, 16, 7, 16):
        file = recipe_in(tmp_path, **{"{per_topic: 3}": f"{{per_topic: {goal}}}", "[GDPR data retention]": "[cheese, bread]"})
        assert call(["run", str(file), *out]) == 0
        asked.append(json.loads(capsys.readouterr().out)["session"]["requests"])
        accepted = (tmp_path / "run" / "accepted.jsonl").read_bytes()
        assert kept.setdefault(goal, accepted) == accepted
    ids = {goal: {json.loads(line)["id"] for line in content.splitlines()} for goal, content in kept.items()}
    assert ids[7] < ids[16]
    assert asked[0] > 0 < asked[1]
    assert asked[2:] == [0, 0, 0]
