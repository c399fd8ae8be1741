from __future__ import annotations

import pytest

from gen.llm.limits import duration, limits, retry_after


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "20"}, 20.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:30 GMT"}, 30.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:30 GMT"}, 0.0),
        (
            {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m2s"},
            62.0,
        ),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "9" * 500}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, 60.0) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"), [("6m0s", 360.0), ("120ms", 0.12), ("1h1m1s", 3661.0), ("2", 2.0), ("1x", None), ("", None), ("s1", None)]
)
def test_durations(text: str, seconds: float | None) -> None:
    assert duration(text) == seconds


def test_openai_headers_tell_the_refill() -> None:
    [limit] = limits(
        {"x-ratelimit-limit-requests": "600", "x-ratelimit-remaining-requests": "590", "x-ratelimit-reset-requests": "1s"}, 0.0
    )
    assert (limit.kind, limit.limit, limit.remaining, limit.per_second) == ("requests", 600.0, 590.0, 10.0)


def test_anthropic_headers_tell_the_refill() -> None:
    [limit] = limits(
        {
            "anthropic-ratelimit-output-tokens-limit": "8000",
            "anthropic-ratelimit-output-tokens-remaining": "7000",
            "anthropic-ratelimit-output-tokens-reset": "1970-01-01T00:00:10Z",
        },
        0.0,
    )
    assert (limit.kind, limit.per_second) == ("output_tokens", 100.0)


def test_a_full_allowance_tells_no_refill() -> None:
    [limit] = limits({"x-ratelimit-limit-tokens": "10", "x-ratelimit-remaining-tokens": "10", "x-ratelimit-reset-tokens": "0s"}, 0.0)
    assert limit.per_second is None


def test_a_limit_per_minute_beside_a_smaller_bucket_is_not_overrated() -> None:
    [limit] = limits({"x-ratelimit-limit-requests": "3000", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1s"}, 0.0)
    assert limit.per_second == 50.0


def test_a_limit_per_day_is_told_by_its_reset() -> None:
    [limit] = limits(
        {"x-ratelimit-limit-requests": "14400", "x-ratelimit-remaining-requests": "14370", "x-ratelimit-reset-requests": "3m0s"}, 0.0
    )
    assert limit.per_second == pytest.approx(1 / 6)
