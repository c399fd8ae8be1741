"""A run's training sets pushed to a stand-in of the Hub on loopback: what goes there, and what never does."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub.constants as constants
import pytest

from gen.containers import read_rows
from gen.errors import InputError
from gen.publish import check_push, publish
from gen.record import Export

SECRET = "hf_not-a-real-token"


@dataclass
class Hub:
    """What the stand-in was asked and what it holds; `status` is answered to everything where it is not 200."""

    url: str = ""
    status: int = 200
    private: bool = True
    created: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    held: tuple[str, ...] = ()
    removed: list[str] = field(default_factory=list)


def _answers(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            hub.tokens.add(self.headers.get("authorization", ""))
            self._say({"id": "me/set", "sha": "0" * 40, "private": hub.private, "siblings": [{"rfilename": name} for name in hub.held]})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            hub.tokens.add(self.headers.get("authorization", ""))
            if self.path.endswith("/repos/create"):
                hub.created.append(json.loads(body))
                self._say({"url": f"{hub.url}/datasets/me/set", "id": "me/set"})
            elif "/preupload/" in self.path:
                files = [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in json.loads(body)["files"]]
                self._say({"files": files})
            elif "/commit/" in self.path:
                for line in body.splitlines():
                    entry = json.loads(line)
                    if entry["key"] == "deletedFile":
                        hub.removed.append(entry["value"]["path"])
                    elif entry["key"] == "file":
                        hub.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
                self._say({"success": True, "commitUrl": f"{hub.url}/datasets/me/set/commit/0", "commitOid": "0" * 40, "hookOutput": ""})
            else:
                self._say({})

        def _say(self, answer: dict[str, Any]) -> None:
            content = json.dumps(answer if hub.status == 200 else {"error": "no"}).encode()
            self.send_response(hub.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    return Answers


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    stand_in = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _answers(stand_in))
    stand_in.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_ENDPOINT", stand_in.url)
    monkeypatch.setenv("HF_TOKEN", SECRET)
    yield stand_in
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "sft").mkdir()
    for name in (
        "accepted.jsonl",
        "rejected.jsonl",
        "recipe.yaml",
        "quality-report.md",
        "report.html",
        "run.db",
        "data-card.md",
        "sft/train.jsonl",
    ):
        (tmp_path / name).write_text(f"{name}\n")
    (tmp_path / "README.md").write_text("---\ntags:\n- synthetic\n---\n\n# Set\n\n## Files\n\n- rejected.jsonl\n")
    return tmp_path


EXPORTS = [Export("chatml", "sft", {"train": 1, "test": 0}, {}), Export("kto", "preference-kto", {"train": 0}, {})]


def test_only_exports_and_cards_are_pushed_in_private(hub: Hub, run: Path) -> None:
    pushed = publish(run, EXPORTS, "me/set")
    assert hub.files == {
        "sft/train.jsonl": b"sft/train.jsonl\n",
        "data-card.md": b"data-card.md\n",
        "README.md": b"---\ntags:\n- synthetic\n---\n\n# Set\n",
    }
    assert pushed.files == tuple(sorted(hub.files))
    assert "private" in (hub.created[0].get("visibility"), hub.created[0].get("private") and "private")
    assert hub.tokens == {f"Bearer {SECRET}"}


def test_what_an_earlier_push_left_goes_and_files_of_others_stay(hub: Hub, run: Path) -> None:
    stale = ("documents/train/data-00000-of-00001.arrow", "documents/train/state.json", "preference-kto/train.jsonl", "sft/train.parquet")
    hub.held = (*stale, "README.md", "sft/train.jsonl", "sft/mine.jsonl", "train.jsonl", "own/sft/test.jsonl", ".gitattributes")
    pushed = publish(run, EXPORTS, "me/set")
    assert tuple(sorted(hub.removed)) == stale
    assert pushed.removed == stale


def test_a_public_dataset_is_never_taken_for_a_private_one(hub: Hub, run: Path) -> None:
    hub.private = False
    with pytest.raises(InputError, match="is public already: say --public"):
        publish(run, EXPORTS, "me/set")
    assert hub.files == {}
    publish(run, EXPORTS, "me/set", private=False)
    assert "README.md" in hub.files


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (401, r"the Hub refuses access \(HTTP status 401\): set HF_TOKEN"),
        (403, r"the Hub refuses access \(HTTP status 403\)"),
        (404, "no such dataset on the Hub, or it is private"),
        (418, "the Hub answers with HTTP status 418"),
    ],
)
def test_a_refusal_is_one_line_without_the_token(status: int, problem: str, hub: Hub, run: Path) -> None:
    hub.status = status
    with pytest.raises(InputError, match=problem) as refused:
        publish(run, EXPORTS, "me/set")
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["set", "a/b/c", "../x/y", "a b/c"])
def test_a_wrong_name_is_refused_before_anything_is_written(name: str, hub: Hub) -> None:
    with pytest.raises(InputError, match="write owner/name"):
        check_push(name)


def test_no_token_is_no_push(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(InputError, match="set HF_TOKEN"):
        publish(run, EXPORTS, "me/set")


def test_offline_is_one_line(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)
    with pytest.raises(InputError, match=r"--push me/set: offline: HF_HUB_OFFLINE is set"):
        publish(run, EXPORTS, "me/set")


def test_nothing_to_push_is_said(hub: Hub, run: Path) -> None:
    with pytest.raises(InputError, match="no export holds a row"):
        publish(run, EXPORTS[1:], "me/set")
    assert hub.created == []


def test_reading_offline_is_one_line() -> None:
    with pytest.raises(InputError, match="hub:me/set: "):
        list(read_rows(Path("hub:me/set")))
