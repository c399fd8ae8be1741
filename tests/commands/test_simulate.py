from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from gen.commands import call

ROOT = Path(__file__).resolve().parents[2]


def test_it_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    (tmp_path / "options.yaml").write_text("faults: {rate_limit: 0}\n")
    command = [sys.executable, "-m", "gen.commands", "simulate", "--port", "0", "--clean", "--options", str(tmp_path / "options.yaml")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as served:
        assert served.stdout is not None
        url = served.stdout.readline().split()[5]
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Say something."}]}).encode()
        request = urllib.request.Request(f"{url}/v1/chat/completions", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as reply:
            assert json.load(reply)["choices"][0]["message"]["content"]
        served.send_signal(signal.SIGINT)
        assert served.wait(timeout=20) == 0
        assert served.stderr is not None
        assert served.stderr.read() == "stopped\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--host", "0.0.0.0"], "can be reached from other machines: give --key-env NAME too", id="an open door"),
        pytest.param(["--key-env", "NOT_SET_ANYWHERE"], "that environment variable is not set", id="no key"),
        pytest.param(["--options", "missing.yaml"], "missing.yaml: no such file or directory", id="no file"),
        pytest.param(["--options", "list.yaml"], "list.yaml: a mapping of options is wanted", id="no mapping"),
        pytest.param(["--options", "typo.yaml"], "typo.yaml: ", id="an unknown option"),
        pytest.param(["--options", "broken.yaml"], "broken.yaml is no YAML text: ", id="broken YAML"),
        pytest.param(["--options", "bytes.yaml"], "bytes.yaml is no YAML text: ", id="no text"),
        pytest.param(["--port", "70000"], "Invalid value for '--port'", id="no port"),
    ],
)
def test_wrong_options_are_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list.yaml").write_text("- a\n")
    Path("typo.yaml").write_text("falws: {}\n")
    Path("broken.yaml").write_text("a: [\n")
    Path("bytes.yaml").write_bytes(b"\xff\xfe\x00")
    assert call(["simulate", *arguments]) == 2
    wrong = capsys.readouterr().err
    assert message in wrong
    assert wrong.count("\n") == 1
