"""The seam for OpenTelemetry: what the client tells of its calls, and who listens. Knows no OpenTelemetry itself.

Off unless the standard OTEL_* variables ask for it: then `gen.llm.otel` is imported, else nothing is. A client takes the observer that is
open where it is made. What is told never holds a prompt, a reply or a key.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from gen.errors import ProviderError
from gen.llm.check import Route
from gen.types import Request, Response, Sampling

log = logging.getLogger(__name__)

SIGNALS = ("traces", "metrics")
WITHOUT_SDK = "OpenTelemetry is asked for by {variable}, but not installed: `pip install 'sluice-data[otel]'`; the run goes on without it"


class Call(Protocol):
    """One attempt on the wire."""

    def ended(self, reply: Response | None, error: ProviderError | None) -> None:
        """How it ended; neither means that it was called off."""
        ...


class Observer(Protocol):
    """Who listens. Its methods return at once and raise nothing."""

    def call(self, route: Route, request: Request, chosen: Sampling, *, embedding: bool, batched: bool) -> Call:
        """An attempt is being sent."""
        ...

    def cache_hit(self, route: Route, request: Request, *, embedding: bool) -> None:
        """A reply came out of the cache."""
        ...

    def retry(self, route: Route, request: Request, error: ProviderError, *, embedding: bool) -> None:
        """A call will be sent again after this error."""
        ...


_OPEN: ContextVar[Observer | None] = ContextVar("observer", default=None)


def open_observer() -> Observer | None:
    """Who listens here; None when nobody does."""
    return _OPEN.get()


def wanted(environ: Mapping[str, str]) -> dict[str, str]:
    """The signals that the environment asks for, each with the variable that asks.

    A signal is on when its own exporter is named (`OTEL_TRACES_EXPORTER`, other than `none`) or, where none is named, an OTLP endpoint is.

    >>> wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_METRICS_EXPORTER": "none"})
    {'traces': 'OTEL_EXPORTER_OTLP_ENDPOINT'}
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return {}
    found = {}
    for signal in SIGNALS:
        own = f"OTEL_{signal.upper()}_EXPORTER"
        named = environ.get(own, "").strip()
        endpoints = (f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
        asking = own if named else next((name for name in endpoints if environ.get(name, "").strip()), "")
        if asking and named != "none":
            found[signal] = asking
    return found


@contextmanager
def observed(job: str, name: str, environ: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Let OpenTelemetry listen to the clients made in this block, where the environment asks for it; its spans are children of one for the
    whole block (`run`, the recipe's name). What is left to send at the end is sent for a few seconds at most."""
    asked = wanted(environ)
    if not asked:
        yield
        return
    if importlib.util.find_spec("opentelemetry") is None or importlib.util.find_spec("opentelemetry.sdk") is None:
        log.warning(WITHOUT_SDK.format(variable=next(iter(asked.values()))))
        yield
        return
    module: Any = importlib.import_module("gen.llm.otel")
    with module.opened(asked, environ, job, name) as listening:
        token = _OPEN.set(listening)
        try:
            yield
        finally:
            _OPEN.reset(token)
