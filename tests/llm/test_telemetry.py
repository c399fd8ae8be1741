"""What OpenTelemetry is told: spans and metrics by the conventions, never a text or a key, and nothing at all when it is off."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from gen.commands import call
from gen.errors import RateLimited, RequestRejected
from gen.llm import otel
from gen.llm.cache import Cache
from gen.llm.client import Client
from gen.llm.otel import Telemetry
from gen.llm.providers.scripted import Script, ScriptedProvider
from gen.llm.telemetry import open_observer, wanted
from gen.recipe import ModelLine
from gen.types import Message, Request, Response, Sampling, Usage

SECRET = "a prompt nobody may see"
ASKED = Request(
    model="writer", messages=(Message("user", SECRET),), sampling=Sampling(temperature=0.5, max_tokens=70), purpose="persona.ask", step=1
)
LINE = ModelLine(provider="openai", model="gpt-4.1-mini", base_url="http://127.0.0.1:8000/v1")
RECIPE = """
name: told
models: {writer: {provider: simulator, model: simulated-writer}}
sources: {topics: [loans]}
strategies: [{name: self_instruct, model: writer}]
gates: [schema]
goal: {accepted: 2}
"""


class Ear:
    """A Telemetry whose spans and metrics stay here."""

    def __init__(self) -> None:
        self._spans, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        tracers = TracerProvider(shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.telemetry = Telemetry(tracers, MeterProvider(metric_readers=[self._reader], shutdown_on_exit=False))

    def spans(self) -> list[Any]:
        return list(self._spans.get_finished_spans())

    def metrics(self) -> dict[str, list[Any]]:
        data = self._reader.get_metrics_data()
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics] if data else []
        return {metric.name: list(metric.data.data_points) for scope in scopes for metric in scope.metrics}


@pytest.fixture(autouse=True)
def _off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("opentelemetry"), "propagate", True)
    for name in ("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)


async def told(script: Any, *requests: Request, line: ModelLine = LINE, cache: Cache | None = None) -> Ear:
    ear = Ear()
    provider = ScriptedProvider(script)
    async with Client({"writer": line}, cache=cache, providers={"writer": provider}, observer=ear.telemetry) as client:
        for request in requests:
            try:
                await client.generate(request)
            except RequestRejected:
                continue
    return ear


def answer(text: str = "a reply nobody may see") -> Response:
    return Response(text, usage=Usage(12, 34, cached_tokens=5), model="gpt-4.1-mini-2025-04-14")


async def test_a_call_is_a_span_by_the_conventions() -> None:
    (span,) = (await told([answer()], ASKED)).spans()
    assert (span.name, span.kind) == ("chat gpt-4.1-mini", SpanKind.CLIENT)
    found = dict(span.attributes)
    assert isinstance(found.pop("gen_ai.request.seed"), int)
    assert found == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4.1-mini",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 70,
        "gen_ai.output.type": "text",
        "gen_ai.response.model": "gpt-4.1-mini-2025-04-14",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 34,
        "gen_ai.usage.cache_read.input_tokens": 5,
        "server.address": "127.0.0.1",
        "server.port": 8000,
        "sluice.model": "writer",
        "sluice.purpose": "persona.ask",
        "sluice.step": 1,
    }


async def test_tokens_and_seconds_fall_into_the_conventions_buckets() -> None:
    metrics = (await told([answer()], ASKED)).metrics()
    by_kind = {point.attributes["gen_ai.token.type"]: point for point in metrics["gen_ai.client.token.usage"]}
    assert (by_kind["input"].sum, by_kind["output"].sum) == (12, 34)
    assert list(by_kind["input"].explicit_bounds) == [4**power for power in range(14)]
    (seconds,) = metrics["gen_ai.client.operation.duration"]
    assert seconds.count == 1
    assert list(seconds.explicit_bounds)[:4] == [0.01, 0.02, 0.04, 0.08]
    assert seconds.explicit_bounds[-1] == pytest.approx(81.92)


async def test_a_429_is_a_span_of_its_own_and_a_retry() -> None:
    ear = await told([RateLimited("slow down", retry_after_seconds=0.0), answer()], ASKED)
    refused, answered = ear.spans()
    assert (refused.status.status_code, refused.attributes["error.type"]) == (StatusCode.ERROR, "rate_limited")
    assert refused.attributes["http.response.status_code"] == 429
    assert answered.status.status_code is StatusCode.UNSET
    (retry,) = ear.metrics()["sluice.client.retries"]
    assert (retry.value, retry.attributes["error.type"]) == (1, "rate_limited")


async def test_a_reply_from_the_cache_is_counted_and_is_no_span(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache.db")
    try:
        ear = await told([answer()], ASKED, ASKED, cache=cache)
    finally:
        await cache.close()
    assert len(ear.spans()) == 1
    (hits,) = ear.metrics()["sluice.client.cache.hits"]
    assert hits.value == 1


async def test_no_prompt_reply_or_key_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    ear = await told([RequestRejected(f"bad: {SECRET}", reason="bad_request", status=400), answer()], ASKED, ASKED)
    everything = " ".join([*(span.to_json() for span in ear.spans()), str(ear.metrics())])
    assert len(ear.spans()) == 2
    for text in (SECRET, "nobody may see", "bad:"):
        assert text not in everything


@pytest.mark.parametrize(
    ("line", "request_", "name", "provider"),
    [
        (LINE, Request(model="writer", prompt="Once"), "text_completion gpt-4.1-mini", "openai"),
        (LINE.model_copy(update={"base_url": "https://api.groq.com/openai/v1"}), ASKED, "chat gpt-4.1-mini", "groq"),
        (ModelLine(provider="anthropic", model="claude-haiku-4-5"), ASKED, "chat claude-haiku-4-5", "anthropic"),
    ],
    ids=["a raw prompt", "a known host", "another vendor"],
)
async def test_operation_and_provider_have_the_conventions_names(line: ModelLine, request_: Request, name: str, provider: str) -> None:
    (span,) = (await told([answer()], request_, line=line)).spans()
    assert (span.name, span.attributes["gen_ai.provider.name"]) == (name, provider)


async def test_a_call_that_is_called_off_ends_its_span() -> None:
    began = asyncio.Event()

    async def never(_: Request) -> Response:
        began.set()
        await asyncio.Event().wait()
        return answer()

    script: Script = never
    ear = Ear()
    async with asyncio.TaskGroup() as group:
        client = Client({"writer": LINE}, cache=None, providers={"writer": ScriptedProvider(script)}, observer=ear.telemetry)
        async with client:
            asking = group.create_task(client.generate(ASKED))
            await began.wait()
            next(iter(client._flights._flights.values())).task.cancel()  # type: ignore[union-attr]
            await asyncio.wait([asking])
    (span,) = ear.spans()
    assert span.attributes["error.type"] == "cancelled"


@pytest.mark.parametrize(
    ("environ", "signals"),
    [
        ({}, {}),
        ({"OTEL_SERVICE_NAME": "x"}, {}),
        ({"OTEL_TRACES_EXPORTER": "console"}, {"traces"}),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:1"}, {"traces", "metrics"}),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://h:1"}, {"traces"}),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:1", "OTEL_SDK_DISABLED": "TRUE"}, {}),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:1", "OTEL_TRACES_EXPORTER": "none"}, {"metrics"}),
    ],
)
def test_the_standard_variables_turn_it_on(environ: dict[str, str], signals: Any) -> None:
    assert set(wanted(environ)) == set(signals)


def test_nothing_is_imported_when_it_is_off() -> None:
    code = "import gen.llm.client, gen.commands.run, sys; print([n for n in sys.modules if n.startswith('opentelemetry')])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


class Collector(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.server.got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    server.got = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def run_told(tmp_path: Path) -> int:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return call(["run", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "run"), "--cache", str(tmp_path / "c.db"), "--json"])


def test_a_run_sends_its_calls_to_a_collector(collector: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=data")
    assert run_told(tmp_path) == 0
    assert open_observer() is None
    traces = [ExportTraceServiceRequest.FromString(body) for path, body in collector.got if path == "/v1/traces"]
    metrics = [ExportMetricsServiceRequest.FromString(body) for path, body in collector.got if path == "/v1/metrics"]
    spans = [span for one in traces for resource in one.resource_spans for scope in resource.scope_spans for span in scope.spans]
    (run,) = [span for span in spans if span.name == "run told"]
    calls = [span for span in spans if span.name == "chat simulated-writer"]
    assert len(calls) >= 2
    assert all(span.parent_span_id == run.span_id for span in calls)
    about = {pair.key: pair.value.string_value for pair in traces[0].resource_spans[0].resource.attributes}
    assert (about["service.name"], about["team"]) == ("sluice", "data")
    names = {
        metric.name for one in metrics for resource in one.resource_metrics for scope in resource.scope_metrics for metric in scope.metrics
    }
    assert {"gen_ai.client.token.usage", "gen_ai.client.operation.duration"} <= names


def test_a_collector_that_is_away_costs_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(otel, "_FLUSH_SECONDS", 1.0)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    assert run_told(tmp_path) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["goal_reached"]
    assert said.err.count("further complaints") <= 1
    assert "Traceback" not in said.err
    assert "OpenTelemetry" in said.err
    assert not logging.getLogger("opentelemetry").propagate, "a thread that was left behind must not complain later"


def test_an_exporter_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "zipkin")
    assert run_told(tmp_path) == 2
    assert "OTEL_TRACES_EXPORTER: no OpenTelemetry exporter 'zipkin' is installed" in capsys.readouterr().err


def test_without_the_extra_a_run_says_so_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert run_told(tmp_path) == 0
    assert "OpenTelemetry is asked for by OTEL_EXPORTER_OTLP_ENDPOINT, but not installed" in capsys.readouterr().err
