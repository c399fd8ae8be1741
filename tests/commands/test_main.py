from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from gen import __version__, plugins
from gen.commands import COMMANDS, call

ROOT = Path(__file__).resolve().parents[2]


def sluice(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [sys.executable, "-m", "gen.commands", *arguments], capture_output=True, text=True, cwd=ROOT, check=False, **options
    )


def test_help_names_every_command_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: sluice {name}")


def test_the_version_needs_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["--version"]) == 0
    assert capsys.readouterr().out == f"sluice {__version__}\n"


def test_no_command_at_all_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert call([]) == 2
    assert capsys.readouterr().out.startswith("Usage: sluice")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["rnu"], "sluice: No such command 'rnu'. Did you mean 'run'? (see: sluice --help)", id="a typo"),
        pytest.param(["run"], "sluice: Missing argument 'RECIPE'. (see: sluice run --help)", id="nothing to run"),
        pytest.param(["run", "x.yaml", "--jsn"], "sluice: No such option: --jsn", id="an unknown option"),
        pytest.param(["simulate", "--port", "many"], "sluice: Invalid value for '--port'", id="no number"),
    ],
)
def test_a_wrong_line_is_one_line_of_error(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(arguments) == 2
    wrong = capsys.readouterr().err
    assert wrong.startswith(message)
    assert wrong.count("\n") == 1


def test_a_reader_that_leaves_is_no_error() -> None:
    command = f"{shlex.quote(sys.executable)} -m gen.commands gates | head -n 1; echo ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=ROOT, check=True)
    assert ended.stdout.splitlines()[-1] == "0"
    assert ended.stderr == ""


def test_the_help_loads_no_command_and_no_large_library() -> None:
    code = (
        "import sys; from gen.commands import call; call(['--help']); print(sorted({'openai', 'anthropic', 'gen.run'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"


def test_text_that_the_terminal_cannot_show_is_escaped(tmp_path: Path) -> None:
    (tmp_path / "é.yaml").write_text("name: x\n", encoding="utf-8")
    ended = sluice("check", str(tmp_path / "é.yaml"), env={"PYTHONIOENCODING": "ascii", "PATH": ""})
    assert ended.returncode == 2
    assert r"\xe9.yaml" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_ctrl_c_ends_a_command_with_a_word(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(plugins, "find", stopped)
    assert call(["gates", "pii"]) == 130
    assert capsys.readouterr().err == "sluice: interrupted\n"
