"""What the providers share about bodies, statuses and failures on the wire: pure functions from what arrived to our errors.

Messages hold the status and the service's own first words, shortened and scrubbed: services echo keys ("Incorrect API key provided:
sk-…") and prompts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from gen.errors import ProviderError, RateLimited, RequestRejected, ServiceStopped, Unavailable
from gen.llm.limits import retry_after
from gen.simulator.marks import HEADER, is_simulated
from gen.types import FinishReason, Json

_MAX_COUNT = 10**12  # tokens; a count beyond it is a fault, and SQLite has no number beyond 2^63
_MAX_MESSAGE = 200  # characters of a service's own words in our errors
_KEY_LIKE = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|key)[-_][A-Za-z0-9_\-*.]{4,400}|\bbearer\s{1,3}\S{6,400}|\b(?:key|token)\s{0,3}[:=]\s{0,3}\S{6,400}|\S{0,64}\*{3,64}\S{0,64}",
    re.IGNORECASE,
)

_CONTEXT_CODES = frozenset({"context_length_exceeded", "string_above_max_length", "prompt_too_long"})
_CONTEXT_WORDS = re.compile(r"maximum context length|context (?:length|window)|prompt is too long|too many tokens", re.IGNORECASE)
_POLICY_CODES = frozenset({"content_policy_violation", "content_filter", "moderation_blocked", "responsibleaipolicyviolation"})
_POLICY_WORDS = re.compile(r"input was flagged|flagged by moderation", re.IGNORECASE)  # a gateway's own filter answers with a bare 403
_QUOTA_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "quota_exceeded", "billing_error"})
_QUOTA_WORDS = re.compile(r"credit balance is too low|exceeded your current quota|insufficient (?:quota|balance|credits)", re.IGNORECASE)
_KEY_CODES = frozenset({"invalid_api_key", "authentication_error", "permission_error", "account_deactivated"})
_TRANSIENT = frozenset({408, 409, 425})


def parse_object(body: bytes, provider: str) -> dict[str, Any]:
    """The JSON object in a 200's body.

    Raises Unavailable `malformed_reply` (billed: the service did its work) for HTML, cut-off JSON or anything but an object.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        try:
            value = json.loads(body)  # slower, and takes the lone surrogates and NaN that orjson refuses
        except (ValueError, RecursionError) as error:
            kind = "an HTML page" if body.lstrip()[:1] == b"<" else "no JSON" if body.strip() else "nothing"
            raise malformed(provider, f"the body holds {kind} ({len(body)} bytes)") from error
    if not isinstance(value, dict):
        raise malformed(provider, f"the body is a JSON {type(value).__name__}, not an object")
    return value


def malformed(provider: str, problem: str) -> Unavailable:
    """The error for a 200 whose body is not what the API promises."""
    return Unavailable(f"{provider} sent a reply that cannot be read: {problem}", reason="malformed_reply", status=200, billed=True)


def well_formed(text: str) -> str:
    """`text` with lone surrogates, which no file or database takes, replaced by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def count(value: Json) -> int:
    """A token count as sent; anything but a whole number from 0 to a trillion is 0, "not counted"."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_COUNT else 0


def mapping(value: Json) -> Mapping[str, Any]:
    """`value` if it is a JSON object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def model_name(value: Json) -> str:
    """The model as the service names it, empty where it names none."""
    return well_formed(value) if isinstance(value, str) else ""


def simulated(headers: Mapping[str, str], model: str, fingerprint: Json = None) -> bool:
    """Whether the simulator wrote a reply, by its header or, where a gateway dropped that, by its names."""
    return headers.get(HEADER) == "1" or is_simulated(model, fingerprint if isinstance(fingerprint, str) else None)


def finish_reason(value: Json, names: Mapping[str, FinishReason]) -> FinishReason:
    """Ours for the service's word; `unknown` for a word that is not in `names`."""
    return names.get(value, "unknown") if isinstance(value, str) else "unknown"


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """One short line of a service's own words without keys."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[key]")
    line = " ".join(_KEY_LIKE.sub("[key]", text[: 4 * _MAX_MESSAGE]).split())
    return well_formed(line if len(line) <= _MAX_MESSAGE else line[: _MAX_MESSAGE - 1] + "…")


def status_error(
    provider: str, status: int, body: bytes, headers: Mapping[str, str], *, secrets: Iterable[str] = (), wall: float
) -> ProviderError:
    """Our error for a reply of status 300 and more. Pure: `wall` is the time now in seconds since 1970, for dates in headers."""
    codes, said = _words(body)
    words = scrub(said, secrets)
    message = f"{provider} answered {status}{': ' + words if words else ''}"
    wait = retry_after(headers, wall)
    if codes & _QUOTA_CODES or _QUOTA_WORDS.search(said[: 4 * _MAX_MESSAGE]) or status == 402:
        return ServiceStopped(f"{message} (the account's quota is gone)", reason="quota_exhausted", status=status)
    if status == 403 and (codes & _POLICY_CODES or _POLICY_WORDS.search(said[: 4 * _MAX_MESSAGE])):
        return RequestRejected(message, reason="content_policy", status=status)  # this prompt's fault, not the key's
    if status in (401, 403):
        return ServiceStopped(message, reason="invalid_key" if status == 401 or codes & _KEY_CODES else "forbidden", status=status)
    if status < 400:
        return ServiceStopped(f"{message} (a redirect: name the final address as `base_url`)", reason="redirected", status=status)
    if status == 429:
        return RateLimited(message, status=status, retry_after_seconds=wait)
    if status >= 500 or status in _TRANSIENT:
        reason = "overloaded" if status in (502, 503, 504, 529) else "server_error" if status >= 500 else "server_conflict"
        return Unavailable(message, reason=reason, status=status, retry_after_seconds=wait)
    return RequestRejected(message, reason=_rejection(status, codes, said[: 4 * _MAX_MESSAGE]), status=status)


def _rejection(status: int, codes: frozenset[str], said: str) -> str:
    if codes & _CONTEXT_CODES or (status in (400, 413, 422) and _CONTEXT_WORDS.search(said)):
        return "context_too_long"
    if codes & _POLICY_CODES:
        return "content_policy"
    return {404: "not_found", 413: "request_too_large"}.get(status, "bad_request")


def _words(body: bytes) -> tuple[frozenset[str], str]:
    """The codes and the message of an error body in the shapes that OpenAI, Anthropic and the servers beside them use."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return frozenset(), "" if body.lstrip()[:1] == b"<" else body[: 4 * _MAX_MESSAGE].decode("utf-8", "replace")
    outer = mapping(value)
    inner = mapping(outer.get("error")) or outer
    codes = {item.lower() for item in (inner.get("code"), inner.get("type"), outer.get("code")) if isinstance(item, str)}
    inner_code = mapping(inner.get("innererror")).get("code")
    if isinstance(inner_code, str):
        codes.add(inner_code.lower())
    said = next((item for item in (inner.get("message"), outer.get("error"), outer.get("detail")) if isinstance(item, str)), "")
    return frozenset(codes), said
