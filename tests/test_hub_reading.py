"""Datasets of the Hub by name, from a stand-in on loopback: read row by row, and refused in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from gen.containers.hub import refusal

ROOT = Path(__file__).resolve().parents[1]
ROWS = b'{"prompt":"Why?","completion":"Because."}\n{"prompt":"Who?","completion":"You."}\n'
REFUSED = {"/me/gone": 404, "/me/secret": 401}
# A process of its own: the libraries read HF_ENDPOINT once, when they are imported.
SCRIPT = """
import json, sys
from pathlib import Path
from gen.errors import InputError
from gen.records import read_records
for name in sys.argv[1:]:
    try:
        said = [record.sample.last("assistant") for record in read_records(Path(name))]
    except InputError as error:
        said = str(error)
    print(json.dumps(said))
"""


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    tokens: set[str] = set()  # noqa: RUF012

    def do_GET(self) -> None:
        self.tokens.add(self.headers.get("authorization", ""))
        refused = next((status for name, status in REFUSED.items() if name in self.path), 0)
        if refused:
            self._say(refused, b'{"error": "no"}')
        elif self.path.endswith("/train.jsonl"):
            self._say_rows()
        elif "/resolve/" in self.path:
            self._say(404, b"{}", {"X-Error-Code": "EntryNotFound"})
        elif "/tree/" in self.path:
            entry = {"type": "file", "path": "train.jsonl", "size": len(ROWS), "oid": "a" * 40}
            self._say(200, json.dumps([] if "/data?" in self.path else [entry]).encode())
        else:
            found = {"id": "me/set", "sha": "0" * 40, "private": False, "siblings": [{"rfilename": "train.jsonl"}], "tags": []}
            self._say(200, json.dumps(found).encode())

    do_HEAD = do_POST = do_GET  # noqa: N815

    def _say_rows(self) -> None:
        first, _, last = self.headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")
        part = ROWS[int(first) : int(last or len(ROWS)) + 1]
        place = f"bytes {first}-{int(first) + len(part) - 1}/{len(ROWS)}"
        self._say(206, part, {"Content-Range": place, "ETag": '"abc"', "X-Repo-Commit": "0" * 40, "Accept-Ranges": "bytes"})

    def _say(self, status: int, content: bytes, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(content)), **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_rows_are_streamed_and_refusals_are_one_line(endpoint: str, tmp_path: Path) -> None:
    own = {"HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path), "HF_TOKEN": "hf_none", "PYTHONPATH": str(ROOT)}
    names = ["hub:me/set", "hub:me/set:train", "hub:me/set:dev", "hub:me/set/other", "hub:me/gone", "hub:me/secret"]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, *names], cwd=tmp_path, env={**os.environ, **own}, capture_output=True, timeout=60
    )
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert said == [
        ["Because.", "You."],
        ["Because.", "You."],
        "hub:me/set: Bad split: dev. Available splits: ['train']",
        "hub:me/set: BuilderConfig 'other' not found. Available: ['default']",
        "hub:me/gone: no such dataset on the Hub, or it is private: look at its name, or set HF_TOKEN",
        "hub:me/secret: the Hub refuses access (HTTP status 401): set HF_TOKEN to a token that may use it",
    ]
    assert "Bearer hf_none" in Answers.tokens
    assert "Traceback" not in done.stderr.decode()


@pytest.mark.parametrize(("offline", "said"), [(True, "offline: HF_HUB_OFFLINE is set"), (False, "the Hub cannot be reached")])
def test_a_hub_that_is_switched_off_is_told_from_one_that_is_away(offline: bool, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    assert str(refusal("hub:me/set", ConnectionError("Couldn't reach 'me/set' on the Hub"))).startswith(f"hub:me/set: {said}")
