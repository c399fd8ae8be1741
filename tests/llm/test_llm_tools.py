"""Tools as model lines: exact payloads on loopback, the classes of their errors, what their lines may say."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gen.errors import ProviderError, RateLimited, RecipeError, RequestRejected, ServiceStopped, Unavailable
from gen.llm import http_call
from gen.llm.cache import Cache
from gen.llm.check import check_models
from gen.llm.client import Client
from gen.llm.prices import price_of
from gen.llm.providers import command, perspective, search, vllm_reward
from gen.llm.retry import Patience
from gen.llm.tools import RewardTool, SearchTool
from gen.recipe import BudgetLine, ModelLine, fixed_part
from gen.recipe import parse as parse_recipe
from gen.types import Message, Request, Response

QUICK = Patience(attempts=3, first_wait_seconds=0.001, longest_wait_seconds=0.002)
SECRET = "k-123456789-secret"


@dataclass
class Server:
    """Answers with `replies` in turn (status, body), the last one for ever, and keeps what it was asked."""

    replies: list[tuple[int, Any]]
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.asked.append(
            {
                "method": request.method,
                "path": request.path,
                "query": dict(request.query),
                "headers": {name.lower(): value for name, value in request.headers.items()},
                "json": json.loads(body) if body else None,
            }
        )
        status, reply = self.replies[min(len(self.asked), len(self.replies)) - 1]
        content = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
        headers = {"Location": "http://127.0.0.1:9/elsewhere"} if 300 <= status < 400 else {}
        return web.Response(status=status, body=content, content_type="application/json", headers=headers)


@asynccontextmanager
async def serving(*replies: tuple[int, Any]) -> AsyncIterator[Server]:
    server = Server(list(replies))
    app = web.Application(client_max_size=10_000_000)
    app.router.add_route("*", "/{tail:.*}", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


async def ask(line: dict[str, Any], text: str = "Water boils at 100 °C.", *, cache: Cache | None = None, **more: Any) -> Response:
    async with Client({"tool": ModelLine.model_validate(line)}, cache=cache, patience=QUICK) as client:
        messages = more.pop("messages", (Message("user", text),))
        return await client.generate(Request("tool", messages=messages, **more))


def search_line(server: Server, **tool: Any) -> dict[str, Any]:
    return {"provider": "search", "base_url": f"{server.url}/v1/find", "tool": tool}


# --- search ---


async def test_a_claim_is_one_parameter_and_the_finds_come_back_as_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIND_KEY", SECRET)
    finds = {"data": {"items": [{"title": "Water", "text": "It boils\nat 100 °C.", "id": 7}, {"title": "Ice"}, {"title": ""}]}}
    async with serving((200, finds)) as server:
        line = search_line(server, query_parameter="query", parameters={"limit": 3}, results="data.items", fields=["title", "text"])
        reply = await ask(line | {"api_key_env": "FIND_KEY"}, "Water & salt? 50 %")
    (asked,) = server.asked
    assert (asked["method"], asked["path"], asked["query"]) == ("GET", "/v1/find", {"query": "Water & salt? 50 %", "limit": "3"})
    assert asked["headers"]["authorization"] == f"Bearer {SECRET}"
    assert asked["json"] is None
    assert reply.text == "- Water · It boils at 100 °C.\n- Ice"


async def test_a_search_by_post_sends_a_body_and_its_own_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIND_KEY", SECRET)
    async with serving((200, [{"passage": "a"}])) as server:
        await ask(search_line(server, method="POST", key_header="X-Api-Key", parameters={"k": 2}) | {"api_key_env": "FIND_KEY"})
    (asked,) = server.asked
    assert asked["json"] == {"q": "Water boils at 100 °C.", "k": 2}
    assert asked["headers"]["x-api-key"] == SECRET
    assert "authorization" not in asked["headers"]


async def test_the_same_claim_is_looked_up_once_and_a_replay_asks_nothing(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache.db")
    async with serving((200, ["found"])) as server:
        first = await ask(search_line(server), cache=cache)
        again = await ask(search_line(server), cache=cache)
        other = await ask(search_line(server, max_results=1), cache=cache)
    await cache.close()
    assert (first.text, again.text, again.from_cache, other.from_cache) == ("- found", "- found", True, False)
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("reply", "results", "text"),
    [([], "", ""), ({"hits": []}, "hits", ""), ({"a": [{"b": "x"}]}, "a.0.b", "- x"), ({"a": "x", "n": 3}, "", "- x · 3"), ("", "", "")],
)
async def test_an_empty_list_is_nothing_found(reply: Any, results: str, text: str) -> None:
    assert search.read_finds(json.dumps(reply).encode(), SearchTool(results=results)) == text


@pytest.mark.parametrize("reply", [b"<html>", b'{"error": "quota"}', b"", b'{"data": {"items": null}'])
def test_a_reply_without_the_promised_list_is_no_nothing_found(reply: bytes) -> None:
    with pytest.raises(Unavailable) as error:
        search.read_finds(reply, SearchTool(results="data.items"))
    assert error.value.reason == "malformed_reply"


@pytest.mark.parametrize(
    ("status", "kind", "reason", "calls"),
    [
        (500, Unavailable, "server_error", 3),
        (503, Unavailable, "overloaded", 3),
        (404, RequestRejected, "not_found", 1),
        (422, RequestRejected, "bad_request", 1),
        (401, ServiceStopped, "invalid_key", 1),
        (302, ServiceStopped, "redirected", 1),
    ],
)
async def test_a_failing_search_is_an_error_by_its_status_and_no_redirect_is_followed(
    status: int, kind: type[ProviderError], reason: str, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIND_KEY", SECRET)
    async with serving((status, {"error": {"message": f"the key {SECRET} is bad"}})) as server:
        with pytest.raises(kind) as error:
            await ask(search_line(server) | {"api_key_env": "FIND_KEY"})
    assert error.value.reason == reason
    assert len(server.asked) == calls
    assert SECRET not in str(error.value)
    assert "Water boils" not in str(error.value)


async def test_a_passing_fault_is_retried_and_a_rate_limit_waited_for() -> None:
    async with serving((503, {}), (429, {}), (200, ["found"])) as server:
        assert (await ask(search_line(server))).text == "- found"
    assert len(server.asked) == 3


async def test_a_reply_beyond_the_cap_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_call, "MAX_BYTES", 1000)
    async with serving((200, b'["' + b"x" * 200_000 + b'"]')) as server:
        with pytest.raises(Unavailable, match=r"more than 1,000 bytes"):
            await ask(search_line(server))


async def test_a_search_that_is_not_there_cannot_be_reached() -> None:
    with pytest.raises(Unavailable) as error:
        await ask({"provider": "search", "base_url": "http://127.0.0.1:9/find"})
    assert error.value.reason == "connect_failed"


# --- command ---


def script(tmp_path: Path, code: str) -> dict[str, Any]:
    (tmp_path / "look.py").write_text(f"import json, os, sys, time\n{code}\n", encoding="utf-8")
    return {"provider": "command", "tool": {"command": [sys.executable, "look.py"], "folder": str(tmp_path)}}


async def test_a_command_reads_the_claim_as_json_and_prints_its_evidence(tmp_path: Path) -> None:
    line = script(tmp_path, "claim = json.load(sys.stdin)['claim']\nprint(json.dumps({'evidence': [claim.upper(), ' ', 'second']}))")
    assert (await ask(line, "a; rm -rf / $(echo hi)\n'x'")).text == "A; RM -RF / $(ECHO HI)\n'X'\nsecond"


async def test_a_command_sees_its_own_key_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOK_KEY", "mine")
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    line = script(tmp_path, "print(json.dumps({'evidence': ' '.join(sorted(os.environ)) + ' ' + os.environ['LOOK_KEY']}))")
    seen = (await ask(line | {"api_key_env": "LOOK_KEY"})).text
    assert "OPENAI_API_KEY" not in seen
    assert seen.endswith(" mine")


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [
        ("sys.exit('no network')", "tool_failed", "ended with status 1: no network"),
        ("print('not json')", "malformed_reply", "it printed no JSON"),
        ("print(json.dumps({'found': 3}))", "malformed_reply", "it must print"),
        ("sys.stdout.write('x' * 2_000_000)", "malformed_reply", "more than 1,000,000 bytes"),
    ],
)
async def test_a_command_that_fails_is_an_error_and_no_nothing_found(tmp_path: Path, code: str, reason: str, words: str) -> None:
    with pytest.raises(Unavailable, match=words) as error:
        await command.connect(endpoint(), lambda *_: None).send(
            Request("tool", messages=(Message("user", "x"),)), ModelLine.model_validate(script(tmp_path, code))
        )
    assert error.value.reason == reason


def endpoint() -> Any:
    return check_models({"tool": ModelLine(provider="command", tool={"command": ["x"]})}, BudgetLine())["tool"].endpoint


@pytest.mark.parametrize("printed", ['{"evidence": []}', '{"evidence": " "}'])
def test_an_empty_evidence_is_nothing_found(printed: str) -> None:
    assert command.read_output(printed.encode()) == ""


async def test_a_command_that_cannot_be_started_ends_the_run() -> None:
    with pytest.raises(ServiceStopped, match="'no-such-program' cannot be started") as error:
        await ask({"provider": "command", "tool": {"command": ["/nowhere/no-such-program"]}})
    assert error.value.reason == "tool_missing"


async def test_a_command_whose_call_is_given_up_is_ended_with_what_it_started(tmp_path: Path) -> None:
    code = (
        "import subprocess\nchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "open('new', 'w').write(f'{os.getpid()} {child.pid}')\nos.rename('new', 'pids')\ntime.sleep(60)"
    )
    line = ModelLine.model_validate(script(tmp_path, code))
    call = asyncio.create_task(command.connect(endpoint(), lambda *_: None).send(Request("tool", messages=(Message("user", "x"),)), line))
    await until((tmp_path / "pids").exists)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    for pid in (tmp_path / "pids").read_text().split():
        await until(lambda pid=pid: is_over(Path(f"/proc/{pid}/stat")))


async def test_what_a_command_sent_into_the_background_holds_up_nobody(tmp_path: Path) -> None:
    code = (
        "import subprocess\nchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)\n"
        "open('new', 'w').write(str(child.pid))\nos.rename('new', 'pids')\ntime.sleep(60)"
    )
    line = ModelLine.model_validate(script(tmp_path, code))
    call = asyncio.create_task(command.connect(endpoint(), lambda *_: None).send(Request("tool", messages=(Message("user", "x"),)), line))
    await until((tmp_path / "pids").exists)
    child = int((tmp_path / "pids").read_text())
    try:
        call.cancel()
        async with asyncio.timeout(5):
            with pytest.raises(asyncio.CancelledError):
                await call
    finally:
        os.kill(child, signal.SIGKILL)


async def until(claim: Callable[[], bool]) -> None:
    """Wait for what another process does, ten seconds at most."""
    async with asyncio.timeout(10):
        while not claim():
            await asyncio.sleep(0.01)


def is_over(status: Path) -> bool:
    try:
        return status.read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


async def test_a_call_beyond_its_time_is_a_timeout(tmp_path: Path) -> None:
    line = ModelLine.model_validate(script(tmp_path, "time.sleep(60)") | {"timeout_seconds": 0.2})
    async with Client({"tool": line}, cache=None, patience=Patience(attempts=1)) as client:
        with pytest.raises(Unavailable) as error:
            await client.generate(Request("tool", messages=(Message("user", "x"),)))
    assert error.value.reason == "timeout"


# --- perspective ---

ATTRIBUTES = json.dumps({"type": "object", "properties": {"TOXICITY": {"type": "number"}, "THREAT": {"type": "number"}}})
SCORES = {
    "attributeScores": {"TOXICITY": {"summaryScore": {"value": 0.25, "type": "PROBABILITY"}}, "THREAT": {"summaryScore": {"value": 1}}}
}


async def test_perspective_is_asked_for_the_attributes_wanted_and_told_to_store_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", SECRET)
    async with serving((200, SCORES)) as server:
        line = {"provider": "perspective", "base_url": f"{server.url}/v1alpha1", "api_key_env": "MY_KEY", "requests_per_minute": 6000}
        reply = await ask(line | {"extra_body": {"languages": ["en"]}}, "You fool.", response_schema=ATTRIBUTES)
    (asked,) = server.asked
    assert (asked["method"], asked["path"], asked["query"]) == ("POST", "/v1alpha1/comments:analyze", {"key": SECRET})
    assert asked["json"] == {
        "comment": {"text": "You fool."},
        "requestedAttributes": {"TOXICITY": {}, "THREAT": {}},
        "doNotStore": True,
        "languages": ["en"],
    }
    assert json.loads(reply.text) == {"TOXICITY": 0.25, "THREAT": 1.0}


@pytest.mark.parametrize("body", [b"{}", b'{"attributeScores": {"TOXICITY": {}}}', b"[]", b"<html>"])
def test_a_perspective_reply_without_scores_is_malformed(body: bytes) -> None:
    with pytest.raises(Unavailable) as error:
        perspective.read_scores(body)
    assert error.value.reason == "malformed_reply"


def test_a_text_too_long_for_perspective_is_not_sent() -> None:
    with pytest.raises(RequestRejected) as error:
        perspective.build_payload(Request("p", messages=(Message("user", "ä" * 10_241),)), ModelLine(provider="perspective"))
    assert error.value.reason == "context_too_long"


def test_perspective_keeps_to_one_call_a_second_unless_told_otherwise() -> None:
    assert ModelLine.model_validate({"provider": "perspective"}).requests_per_minute == 60
    assert ModelLine.model_validate({"provider": "perspective", "requests_per_minute": 600}).requests_per_minute == 600


# --- reward servers ---

CHAT = (Message("user", "6 × 7?"), Message("assistant", "42"))


@pytest.mark.parametrize("suffix", ["", "/v1", "/v1/"])
async def test_a_classifier_is_asked_beside_v1_with_the_conversation(suffix: str) -> None:
    reply = {"model": "rm", "data": [{"index": 0, "label": "LABEL_0", "probs": [0.75], "num_classes": 1}], "usage": {"prompt_tokens": 9}}
    async with serving((200, reply)) as server:
        line = {"provider": "vllm_reward", "model": "rm", "base_url": server.url + suffix, "extra_body": {"use_activation": False}}
        said = await ask(line, messages=CHAT)
    (asked,) = server.asked
    assert asked["path"] == "/classify"
    assert asked["json"] == {
        "model": "rm",
        "messages": [{"role": "user", "content": "6 × 7?"}, {"role": "assistant", "content": "42"}],
        "use_activation": False,
    }
    assert (said.text, said.usage.input_tokens, said.model) == ("reward:0.75", 9, "rm")


async def test_a_token_reward_is_that_of_the_last_token() -> None:
    async with serving((200, {"data": [{"data": [[0.1], [0.5], [-2.5]]}]})) as server:
        said = await ask({"provider": "vllm_reward", "model": "rm", "base_url": server.url, "tool": {"endpoint": "pooling"}}, messages=CHAT)
    assert server.asked[0]["path"] == "/pooling"
    assert said.text == "reward:-2.5"


@pytest.mark.parametrize(
    ("data", "tool", "reward"),
    [
        ([{"probs": [0.2, 0.8]}], RewardTool(label_index=1), 0.8),
        ([{"data": [3.5]}], RewardTool("pooling"), 3.5),
        ([{"data": 3}], RewardTool("pooling"), 3.0),
        ([{"data": [[0.1, 0.9]]}], RewardTool("pooling"), None),  # the hidden states of a model that is none
        ([{"probs": [0.2]}], RewardTool(label_index=1), None),
        ([{"probs": [True]}], RewardTool(), None),
        ([], RewardTool(), None),
        (None, RewardTool("pooling"), None),
    ],
)
def test_a_reward_is_one_number_or_a_malformed_reply(data: Any, tool: RewardTool, reward: float | None) -> None:
    if reward is not None:
        assert vllm_reward.read_reward({"data": data}, tool) == reward
        return
    with pytest.raises(Unavailable) as error:
        vllm_reward.read_reward({"data": data}, tool)
    assert error.value.reason == "malformed_reply"


async def test_a_rate_limited_reward_server_is_asked_again() -> None:
    async with serving((429, {}), (200, {"data": [{"probs": [0.5]}]})) as server:
        assert (await ask({"provider": "vllm_reward", "model": "rm", "base_url": server.url}, messages=CHAT)).text == "reward:0.5"
    assert len(server.asked) == 2
    assert issubclass(RateLimited, ProviderError)


# --- what a line may say ---


@pytest.mark.parametrize(
    ("line", "key", "words"),
    [
        ({"provider": "search", "base_url": "http://search.example.com"}, "base_url", "write it with https"),
        ({"provider": "search"}, "base_url", "needs a `base_url`"),
        ({"provider": "search", "base_url": "https://a.example", "tool": {"querry": "q"}}, "tool.querry", "unknown option 'querry'"),
        ({"provider": "search", "base_url": "https://a.example", "tool": {"method": "PUT"}}, "tool.method", "'GET' or 'POST'"),
        ({"provider": "search", "base_url": "https://a.example", "tool": {"max_results": 0}}, "tool.max_results", "from 1 to 50"),
        ({"provider": "search", "base_url": "https://a.example", "tool": {"key_header": "a b"}}, "tool.key_header", "no name of a header"),
        ({"provider": "search", "base_url": "https://a.example", "api_key_env": "NO_KEY"}, "api_key_env", "NO_KEY is not set"),
        ({"provider": "command"}, "tool.command", "field required"),
        ({"provider": "command", "tool": {"command": "python x.py"}}, "tool.command", "valid list"),
        ({"provider": "command", "tool": {"command": []}}, "tool.command", "as a list"),
        ({"provider": "command", "tool": {"command": ["x"]}, "base_url": "https://a.example"}, "base_url", "has no address"),
        ({"provider": "openai", "model": "m", "base_url": "http://127.0.0.1:1/v1", "tool": {"a": 1}}, "tool", "belongs to the providers"),
        ({"provider": "vllm_reward", "model": "m", "base_url": "http://127.0.0.1:1", "tool": {"label_index": -1}}, "tool.label_index", "0"),
        ({"provider": "perspective"}, "api_key_env", "PERSPECTIVE_API_KEY is not set"),
    ],
)
def test_a_bad_tool_line_is_named_with_its_key(line: dict[str, Any], key: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words) as caught:
        check_models({"tool": ModelLine.model_validate(line)}, BudgetLine(), {})
    assert caught.value.key == f"models.tool.{key}"


def test_a_recipe_without_tools_continues_in_the_folder_it_had_before_there_were_any(tmp_path: Path) -> None:
    text = "name: a\nmodels: {w: {provider: simulator}}\nstrategies: [{name: self_instruct, model: w}]\ngoal: {accepted: 1}\n"
    assert not [key for key in fixed_part(parse_recipe(text, tmp_path / "r.yaml").config) if "tool" in key.split(".")]


@pytest.mark.parametrize(
    ("line", "known"),
    [
        ({"provider": "perspective"}, True),
        ({"provider": "perspective", "base_url": "https://elsewhere.example/v1alpha1"}, False),
        ({"provider": "command", "tool": {"command": ["x"]}}, True),
        ({"provider": "search", "base_url": "https://search.example.com"}, False),
        ({"provider": "search", "base_url": "https://search.example.com", "price": {"input": 0, "output": 0}}, True),
    ],
    ids=str,
)
def test_what_is_free_is_known_to_be_and_nothing_else(line: dict[str, Any], known: bool) -> None:
    assert (price_of(ModelLine.model_validate(line)) is not None) is known
