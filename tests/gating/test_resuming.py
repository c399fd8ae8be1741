from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from gating_sets import a_set, chain, outputs, varied, write

from gen.commands import call
from gen.errors import InputError
from gen.gating import dataset
from gen.gating.dataset import gate_files
from gen.gating.job import Progress
from gen.gating.outputs import OUTPUTS

KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from gating_sets import varied
from gen.gating.dataset import gate_files

def tell(progress):
    tell.calls += 1
    if tell.calls == {after}:
        os.kill(os.getpid(), signal.SIGKILL)
tell.calls = 0
gate_files([Path({file!r})], Path({out!r}), varied(), keep={keep!r}, processes=1, progress=tell, every_seconds={every})
"""
TESTS = str(Path(__file__).resolve().parents[1])


class Stopped(BaseException):
    """Stands for Ctrl-C."""


def stopping(after: int, phase: str = "gating") -> object:
    calls = [0]

    def tell(progress: Progress) -> None:
        calls[0] += progress.phase == phase
        if calls[0] == after:
            raise Stopped

    return tell


def killed(file: Path, out: Path, after: int, keep: str = "first", every: float = 0.0) -> None:
    script = KILLED.format(tests=TESTS, file=str(file), out=str(out), after=after, keep=keep, every=every)
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert sorted(path.name for path in out.iterdir()) == [".gating", ".lock"]


@pytest.mark.parametrize("keep", ["first", "longest", "score:rank"])
def test_after_kills_the_files_are_those_of_an_undisturbed_gating(keep: str, tmp_path: Path) -> None:
    file = a_set(tmp_path / "in.jsonl")
    whole = gate_files([file], tmp_path / "whole", varied(), keep=keep)
    for after in (3, 2):
        killed(file, tmp_path / "out", after, keep)
    assert gate_files([file], tmp_path / "out", varied(), keep=keep) == whole
    assert outputs(tmp_path / "out") == outputs(tmp_path / "whole")
    assert min(whole.accepted, whole.rejected, whole.unreadable, whole.replaced) > 0
    assert {reason.split("/")[0] for reason in whole.reasons} >= {"exact_dup", "length"}


def test_what_was_written_after_the_last_state_is_cut_off(tmp_path: Path) -> None:
    file = a_set(tmp_path / "in.jsonl")
    gate_files([file], tmp_path / "whole", varied())
    killed(file, tmp_path / "out", 4, every=1000.0)
    for name in OUTPUTS:
        with (tmp_path / "out" / ".gating" / name).open("ab") as half:
            half.write(b'{"half a li')
    gate_files([file], tmp_path / "out", varied())
    assert outputs(tmp_path / "out") == outputs(tmp_path / "whole")


def test_rows_that_are_done_are_not_gated_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = a_set(tmp_path / "in.jsonl")
    with pytest.raises(Stopped):
        gate_files([file], tmp_path / "out", chain("schema", "length"), progress=stopping(4), every_seconds=0.0)  # type: ignore[arg-type]
    seen: list[int] = []
    real = dataset.assessed

    def counted(batches, gates, processes):  # type: ignore[no-untyped-def]
        for batch, results in real(batches, gates, processes):
            seen.append(len(batch.works))
            yield batch, results

    monkeypatch.setattr(dataset, "assessed", counted)
    gate_files([file], tmp_path / "out", chain("schema", "length"))
    assert sum(seen) < 700 - 2 * 128


@pytest.mark.parametrize("phase", ["choosing", "writing"])
def test_an_interrupted_choice_of_the_best_goes_on_too(phase: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gen.gating.best._TELL_EVERY", 100)
    file = a_set(tmp_path / "in.jsonl")
    whole = gate_files([file], tmp_path / "whole", varied(), keep="longest")
    with pytest.raises(Stopped):
        gate_files([file], tmp_path / "out", varied(), keep="longest", progress=stopping(3, phase))  # type: ignore[arg-type]
    assert gate_files([file], tmp_path / "out", varied(), keep="longest") == whole
    assert outputs(tmp_path / "out") == outputs(tmp_path / "whole")


def test_a_kill_between_the_last_renames_loses_nothing(tmp_path: Path) -> None:
    file = a_set(tmp_path / "in.jsonl", 150)
    whole = gate_files([file], tmp_path / "whole", varied())
    out = tmp_path / "out"
    real, renamed = Path.replace, []

    def once(self: Path, target: Path) -> Path:
        if self.name in OUTPUTS and renamed:
            raise Stopped
        renamed.extend([self.name] if self.name in OUTPUTS else [])
        return real(self, target)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "replace", once)
        with pytest.raises(Stopped):
            gate_files([file], out, varied())
    assert renamed == ["accepted.jsonl"]
    assert gate_files([file], out, varied()) == whole
    assert outputs(out) == outputs(tmp_path / "whole")


def interrupted(file: Path, out: Path) -> None:
    with pytest.raises(Stopped):
        gate_files([file], out, varied(), progress=stopping(2), every_seconds=0.0)  # type: ignore[arg-type]


def test_other_gates_do_not_go_on_from_there(tmp_path: Path) -> None:
    file, out = a_set(tmp_path / "in.jsonl"), tmp_path / "out"
    interrupted(file, out)
    with pytest.raises(InputError, match=r"holds an unfinished gating whose gates differ from these: say --restart to begin anew"):
        gate_files([file], out, chain("schema"))
    assert (out / ".gating").is_dir()
    gate_files([file], out, chain("schema"), restart=True)
    gate_files([file], tmp_path / "whole", chain("schema"))
    assert outputs(out) == outputs(tmp_path / "whole")


def test_a_changed_input_or_option_does_not_go_on_either(tmp_path: Path) -> None:
    file, out = a_set(tmp_path / "in.jsonl"), tmp_path / "out"
    interrupted(file, out)
    with pytest.raises(InputError, match="whose options differ"):
        gate_files([file], out, varied(), keep="longest")
    with file.open("a", encoding="utf-8") as more:
        more.write("{}\n")
    with pytest.raises(InputError, match="whose inputs differ"):
        gate_files([file], out, varied())


def test_a_changed_file_behind_a_gate_counts_as_another_gate(tmp_path: Path) -> None:
    file, out = a_set(tmp_path / "in.jsonl"), tmp_path / "out"
    words = tmp_path / "words.txt"
    words.write_text("nothing\n", encoding="utf-8")
    with pytest.raises(Stopped):
        gate_files([file], out, chain("denylist", denylist={"file": str(words)}), progress=stopping(2))  # type: ignore[arg-type]
    words.write_text("violin\n", encoding="utf-8")
    os.utime(words, ns=(1, 1))
    with pytest.raises(InputError, match="whose gates differ"):
        gate_files([file], out, chain("denylist", denylist={"file": str(words)}))


def test_an_input_that_cannot_be_read_leaves_no_journal(tmp_path: Path) -> None:
    good = write(tmp_path / "good.jsonl", {"instruction": "Hi?", "output": "Hello to you."})
    (tmp_path / "broken.jsonl.gz").write_bytes(b"\x1f\x8b\x08\x00broken")
    with pytest.raises(InputError, match="gzip stream is cut off or broken"):
        gate_files([good, tmp_path / "broken.jsonl.gz"], tmp_path / "out", chain("schema"))
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]


def test_ctrl_c_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    arguments = ["gate", str(a_set(tmp_path / "in.jsonl")), "--out", str(tmp_path / "out"), "--gates", "schema"]
    with monkeypatch.context() as patched:
        patched.setattr(dataset, "assessed", stopped)
        assert call(arguments) == 130
    assert capsys.readouterr().err == "sluice: interrupted; the same command goes on from there\n"
    assert call(arguments) == 1
