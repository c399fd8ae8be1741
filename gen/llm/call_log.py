"""The line that a call leaves in the log at debug level: model, purpose, the head of its key, what came back and what it took. Never a
prompt, a reply or a key of a service."""

from __future__ import annotations

from gen.errors import ProviderError
from gen.types import Request, Response


def named(key: str, request: Request) -> str:
    """Which call: `call 0123456789ab of writer for self_instruct.answer`."""
    return f"call {key[:12]} of {request.model} for {request.purpose or 'no purpose'}"


def paid(reply: Response, cost: float | None) -> str:
    """How a reply ended, its tokens and its cost in USD."""
    usage = reply.usage
    cached = f" ({usage.cached_tokens} cached)" if usage.cached_tokens else ""
    price = "cost unknown" if cost is None else f"${cost:.6f}"
    return f"{reply.finish_reason}, {usage.input_tokens}{cached} + {usage.output_tokens} tokens, {price}"


def failed(error: ProviderError) -> str:
    """An error's reason code and HTTP status; its message may quote the service."""
    return f"{error.reason} (status {error.status})" if error.status is not None else error.reason
