from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from gating_sets import a_set, chain, outputs, varied

from gen.gating import batches
from gen.gating.crew import specs_of
from gen.gating.dataset import gate_files
from gen.gating.job import Progress
from gen.pipeline import NamedGate
from gen.types import Sample, Verdict, kept

ORPHANED = """
import multiprocessing, os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from gating_sets import varied
from gen.gating.dataset import gate_files

def tell(progress):
    print(*[child.pid for child in multiprocessing.active_children()], flush=True)
    os.kill(os.getpid(), signal.{signal})

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell inherits that it is ignored
    gate_files([Path({file!r})], Path({out!r}), varied(), processes=2, progress=tell)
"""
TESTS = str(Path(__file__).resolve().parents[1])


class Kept:
    """A gate that is no plugin."""

    def check(self, sample: Sample) -> Verdict:
        return kept("kept")


@pytest.mark.parametrize("keep", ["first", "longest"])
def test_two_processes_write_the_same_bytes_as_one(keep: str, tmp_path: Path) -> None:
    file = a_set(tmp_path / "in.jsonl")
    one = gate_files([file], tmp_path / "one", varied(), keep=keep, processes=1)
    two = gate_files([file], tmp_path / "two", varied(), keep=keep, processes=2)
    assert one == two
    assert outputs(tmp_path / "one") == outputs(tmp_path / "two")
    assert not multiprocessing.active_children()


def test_workers_that_are_killed_cost_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = a_set(tmp_path / "in.jsonl", 2_000)
    killed: list[int] = []

    def tell(_: Progress) -> None:
        children = multiprocessing.active_children()
        if children and children[0].pid not in killed:
            with suppress(ProcessLookupError):  # it ended by itself meanwhile
                os.kill(children[0].pid or 0, signal.SIGKILL)
                killed.append(children[0].pid or 0)

    gate_files([file], tmp_path / "one", varied())
    gate_files([file], tmp_path / "two", varied(), processes=2, progress=tell)
    assert killed
    assert "a worker process ended unexpectedly" in caplog.text
    assert outputs(tmp_path / "one") == outputs(tmp_path / "two")
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_no_worker_outlives_its_parent(name: str, tmp_path: Path) -> None:
    file = a_set(tmp_path / "in.jsonl")
    script = tmp_path / "script.py"
    script.write_text(ORPHANED.format(tests=TESTS, file=str(file), out=str(tmp_path / "out"), signal=name), encoding="utf-8")
    done = subprocess.run([sys.executable, str(script)], check=False, capture_output=True, text=True)
    workers = sorted({int(pid) for pid in done.stdout.split()})  # told at each look before the signal came
    assert len(workers) == 2, done.stderr
    assert done.returncode in (-signal.SIGKILL, -signal.SIGINT)
    assert "Process SpawnProcess" not in done.stderr
    until = time.monotonic() + 20
    while any(is_running(pid) for pid in workers) and time.monotonic() < until:
        time.sleep(0.02)
    assert not any(is_running(pid) for pid in workers)


def test_a_gate_that_no_other_process_can_build_is_asked_here(tmp_path: Path) -> None:
    gates = [*chain("schema"), NamedGate("kept", Kept())]
    assert specs_of(gates) is None
    counts = gate_files([a_set(tmp_path / "in.jsonl", 150)], tmp_path / "out", gates, processes=2)
    assert counts.records == 151


def test_small_inputs_start_no_process_and_large_ones_one_a_core(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    some = [batches.Rows([], [object()] * 100)] * 3  # type: ignore[list-item]
    kept_back, processes = batches.processes_for(iter(some), None)
    assert (list(kept_back), processes) == (some, 1)
    monkeypatch.setattr(batches, "PARALLEL_FROM_RECORDS", 250)
    kept_back, processes = batches.processes_for(iter(some), None)
    assert (list(kept_back), processes) == (some, 3)
    assert batches.processes_for(iter(some), 5)[1] == 5


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie that waits for whoever inherited it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
