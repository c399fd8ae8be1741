"""Calls as OpenTelemetry spans and metrics, by its semantic conventions for generative AI (v1.40, status: development).

Loaded only where telemetry is asked for (gen.llm.telemetry). Sending happens in threads of the SDK with bounded queues: a collector that is
away costs spans, never a call, and is told of once.
"""

from __future__ import annotations

import importlib.metadata
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.metrics import Meter, MeterProvider
from opentelemetry.sdk.metrics import MeterProvider as SdkMeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider
from opentelemetry.util.types import AttributeValue

from gen import __version__
from gen.errors import InputError, ProviderError
from gen.llm.capabilities import capabilities_of
from gen.llm.check import Route
from gen.llm.moderation import is_moderation
from gen.llm.provider import CAPABILITIES, Endpoint, wire_seed
from gen.llm.wire import scrub
from gen.types import Request, Response, Sampling

log = logging.getLogger(__name__)

# opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics, as of November 2026.
TOKEN_BUCKETS = [4**power for power in range(14)]
SECOND_BUCKETS = [0.01 * 2**power for power in range(14)]
# Ends of host names and what the conventions call the service; what speaks OpenAI's API elsewhere is told as `openai`, with its address.
_HOSTS: Mapping[str, str] = {
    "openai.azure.com": "azure.ai.openai",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
    "generativelanguage.googleapis.com": "gcp.gemini",
}
_PORTS = {"https": 443, "http": 80}
_FLUSH_SECONDS = 5.0
_ENTRY_POINTS = {"traces": "opentelemetry_traces_exporter", "metrics": "opentelemetry_metrics_exporter"}
_OTLP = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}

Attributes = dict[str, AttributeValue]


class Telemetry:
    """Listens to clients. An application that has tracers and meters of its own hands them in: `Client(…, observer=Telemetry(…))`."""

    def __init__(self, tracers: TracerProvider, meters: MeterProvider) -> None:
        self._tracer = tracers.get_tracer("gen.llm", __version__)
        meter: Meter = meters.get_meter("gen.llm", __version__)
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=TOKEN_BUCKETS,
        )
        self._seconds = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="GenAI operation duration.",
            explicit_bucket_boundaries_advisory=SECOND_BUCKETS,
        )
        self._hits = meter.create_counter("sluice.client.cache.hits", unit="{reply}", description="Replies that came out of the cache.")
        self._retries = meter.create_counter("sluice.client.retries", unit="{call}", description="Calls sent again, by the error before.")
        self._known: dict[tuple[Endpoint, str, str], Attributes] = {}

    def call(self, route: Route, request: Request, chosen: Sampling, *, embedding: bool, batched: bool) -> OpenCall:
        """An attempt is being sent: its span begins, as a child of whichever is current."""
        operation = _operation(route, request, embedding=embedding)
        common = self._common(route, operation)
        local = CAPABILITIES[route.line.provider].on_this_machine if route.line.provider in CAPABILITIES else True
        span = self._tracer.start_span(
            f"{operation} {route.line.model}",
            kind=SpanKind.INTERNAL if local else SpanKind.CLIENT,
            attributes=common | _asked(route, request, chosen, embedding=embedding, batched=batched),
        )
        return OpenCall(span, common, None if batched else self._seconds.record, self._tokens.record)

    def cache_hit(self, route: Route, request: Request, *, embedding: bool) -> None:
        """A reply came out of the cache."""
        self._hits.add(1, self._common(route, _operation(route, request, embedding=embedding)))

    def retry(self, route: Route, request: Request, error: ProviderError, *, embedding: bool) -> None:
        """A call will be sent again after this error."""
        operation = _operation(route, request, embedding=embedding)
        self._retries.add(1, self._common(route, operation) | {"error.type": error.reason})

    def _common(self, route: Route, operation: str) -> Attributes:
        """The attributes of spans and metrics alike, made once per model and operation."""
        key = route.endpoint, route.line.model, operation
        if key not in self._known:
            self._known[key] = {
                "gen_ai.operation.name": operation,
                "gen_ai.provider.name": _provider(route),
                "gen_ai.request.model": route.line.model,
                **_server(route),
            }
        return self._known[key]


class OpenCall:
    """An attempt on the wire and its span."""

    def __init__(self, span: Span, common: Attributes, seconds: Callable[..., None] | None, tokens: Callable[..., None]) -> None:
        self._span, self._common, self._seconds, self._tokens = span, common, seconds, tokens
        self._began = time.perf_counter()

    def ended(self, reply: Response | None, error: ProviderError | None) -> None:
        """End the span and record tokens and time."""
        outcome: Attributes = {} if reply is not None else {"error.type": error.reason if error is not None else "cancelled"}
        if reply is not None and reply.model:
            outcome["gen_ai.response.model"] = reply.model
        if self._seconds is not None:
            self._seconds(time.perf_counter() - self._began, self._common | outcome)
        if reply is not None:
            usage = reply.usage
            for kind, count in (("input", usage.input_tokens), ("output", usage.output_tokens)):
                if count:
                    self._tokens(count, self._common | outcome | {"gen_ai.token.type": kind})
            self._span.set_attributes(_answered(reply))
        else:
            self._span.set_status(Status(StatusCode.ERROR))
            if error is not None and error.status is not None:
                self._span.set_attribute("http.response.status_code", error.status)
        self._span.set_attributes(outcome)
        self._span.end()


@contextmanager
def opened(asked: Mapping[str, str], environ: Mapping[str, str], job: str, name: str) -> Iterator[Telemetry]:
    """A Telemetry that sends by the environment's exporters, inside a span for the whole job. Raises InputError for an exporter that is not
    installed. Closing sends what is left, for a few seconds at most."""
    resource = Resource.create({"service.version": __version__} | ({} if environ.get("OTEL_SERVICE_NAME") else {"service.name": "sluice"}))
    closing: list[Callable[[], object]] = []
    tracers: TracerProvider = trace.NoOpTracerProvider()
    readers = []
    with ExitStack() as stack:
        complaints = stack.enter_context(_complaints_once())
        if "traces" in asked:
            sdk = SdkTracerProvider(resource=resource, shutdown_on_exit=False)
            for exporter in _exporters("traces", environ):
                sdk.add_span_processor(BatchSpanProcessor(exporter))
            tracers = sdk
            closing.append(sdk.shutdown)
        if "metrics" in asked:
            readers = [PeriodicExportingMetricReader(exporter) for exporter in _exporters("metrics", environ)]
        meters = SdkMeterProvider(metric_readers=readers, resource=resource, shutdown_on_exit=False)
        closing.append(meters.shutdown)
        stack.callback(_close, closing, complaints)
        with tracers.get_tracer("gen", __version__).start_as_current_span(f"{job} {name}", attributes={"gen_ai.workflow.name": name}):
            yield Telemetry(tracers, meters)


def _exporters(signal: str, environ: Mapping[str, str]) -> list[Any]:
    """The exporters that the environment names, OTLP where it names none. The console is standard error: results go to standard output."""
    variable = f"OTEL_{signal.upper()}_EXPORTER"
    made: list[SpanExporter | MetricExporter] = []
    for name in (environ.get(variable, "").strip() or "otlp").split(","):
        if name.strip() == "console":
            made.append(ConsoleSpanExporter(out=sys.stderr) if signal == "traces" else ConsoleMetricExporter(out=sys.stderr))
            continue
        protocols = (f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
        protocol = next((value for key in protocols if (value := environ.get(key, "").strip())), "http/protobuf")
        wanted = _OTLP.get(protocol, protocol) if name.strip() == "otlp" else name.strip()
        found = next(iter(importlib.metadata.entry_points(group=_ENTRY_POINTS[signal], name=wanted)), None)
        if found is None:
            there = sorted({point.name for point in importlib.metadata.entry_points(group=_ENTRY_POINTS[signal])})
            raise InputError(f"{variable}: no OpenTelemetry exporter '{wanted[:60]}' is installed, only {', '.join(there)}")
        made.append(found.load()())
    return made


def _close(closing: list[Callable[[], object]], complaints: _Once) -> None:
    """Send what is left, all at once in threads of their own, and leave those behind that take too long."""
    threads = [threading.Thread(target=end, daemon=True, name="telemetry-end") for end in closing]
    for thread in threads:
        thread.start()
    until = time.monotonic() + _FLUSH_SECONDS
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    if any(thread.is_alive() for thread in threads):
        complaints.stays = True
        log.warning("OpenTelemetry: not everything could be delivered within %g s", _FLUSH_SECONDS)


class _Once(logging.Handler):
    """Passes the first complaint of the SDK on as one line of ours, and keeps the others quiet. `stays` while threads that were left behind
    may complain."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._told = self.stays = False

    def emit(self, record: logging.LogRecord) -> None:
        if not self._told:
            self._told = True
            log.warning("OpenTelemetry: %s (further complaints are left out)", scrub(record.getMessage()))


@contextmanager
def _complaints_once() -> Iterator[_Once]:
    logger, once = logging.getLogger("opentelemetry"), _Once()
    for earlier in [one for one in logger.handlers if isinstance(one, _Once)]:
        logger.removeHandler(earlier)
    logger.addHandler(once)
    logger.propagate = False
    try:
        yield once
    finally:
        if not once.stays:
            logger.removeHandler(once)
            logger.propagate = True


def _operation(route: Route, request: Request, *, embedding: bool) -> str:
    """The conventions' word where there is one, else what the line answers."""
    known = CAPABILITIES.get(route.line.provider)
    if known is not None and known.answers != "chat":
        return known.answers
    if is_moderation(route.line.model):
        return "moderation"
    return "embeddings" if embedding else "chat" if request.prompt is None else "text_completion"


def _provider(route: Route) -> str:
    host = urlsplit(route.endpoint.base_url).hostname or ""
    return next((name for end, name in _HOSTS.items() if host == end or host.endswith(f".{end}")), route.line.provider)


def _server(route: Route) -> Attributes:
    parts = urlsplit(route.endpoint.base_url)
    if not parts.hostname:
        return {}
    return {"server.address": parts.hostname, "server.port": parts.port or _PORTS.get(parts.scheme, 0)}


def _asked(route: Route, request: Request, chosen: Sampling, *, embedding: bool, batched: bool) -> Attributes:
    told: Attributes = {"sluice.model": route.name, "sluice.purpose": request.purpose, "sluice.step": request.step}
    if batched:
        told["sluice.batch"] = True
    if embedding:
        return told
    able = capabilities_of(route.line)
    if chosen.max_tokens is not None:
        told["gen_ai.request.max_tokens"] = chosen.max_tokens
    if chosen.temperature is not None and able.temperature:
        told["gen_ai.request.temperature"] = chosen.temperature
    if chosen.top_p is not None and able.top_p:
        told["gen_ai.request.top_p"] = chosen.top_p
    if able.seed:
        told["gen_ai.request.seed"] = wire_seed(request.draw)
    told["gen_ai.output.type"] = "json" if request.response_schema is not None else "text"
    return told


def _answered(reply: Response) -> Attributes:
    usage = reply.usage
    told: Attributes = {"gen_ai.response.finish_reasons": [reply.finish_reason]}
    counts = {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
    }
    return told | {name: count for name, count in counts.items() if count}
