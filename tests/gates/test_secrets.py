"""Tests of gen/gates/secrets.py and gen/patterns/secrets.py. Every key here was made up: none was ever issued."""

from __future__ import annotations

import base64
import gzip
import json
import random
import string
from pathlib import Path
from typing import Any

import pytest

from gen.patterns.secrets import find_secrets
from gen.plugins import build
from gen.types import Message, Sample

LETTERS = string.ascii_letters + string.digits


def drawn(count: int, alphabet: str = LETTERS, *, seed: int = 7) -> str:
    """Random characters, so that no file of ours holds what looks like a key."""
    return "".join(random.Random(seed).choices(alphabet, k=count))


def gate(**options: Any) -> Any:
    return build("gates", "secrets", options)


def sample(prompt: str, reply: str = "Fine.") -> Sample:
    return Sample("1", (Message("user", prompt), Message("assistant", reply)))


HEX = "0123456789abcdef"
JWT = "eyJ" + drawn(33) + ".eyJ" + drawn(60, seed=8) + "." + drawn(43, seed=9)
KEYS = {
    "aws_access_key": "AKIA" + drawn(16, string.ascii_uppercase + string.digits),
    "github_token": "ghp_" + drawn(36),
    "gitlab_token": "glpat-" + drawn(20),
    "slack_token": "xoxb-864309719366-621960544153-" + drawn(24),
    "stripe_key": "sk_live_" + drawn(24),
    "anthropic_key": "sk-ant-api03-" + drawn(95),
    "openai_key": "sk-proj-" + drawn(48),
    "google_api_key": "AIza" + drawn(35),
    "jwt": JWT,
    "npm_token": "npm_" + drawn(36),
    "pypi_token": "pypi-AgEIcHlwaS5vcmc" + drawn(80),
    "huggingface_token": "hf_" + drawn(34),
    "twilio_key": "SK" + drawn(32, HEX),
    "sendgrid_key": "SG." + drawn(22) + "." + drawn(43),
    "mailgun_key": "key-" + drawn(32, HEX),
    "telegram_token": "864309719:AA" + drawn(33),
    "digitalocean_token": "dop_v1_" + drawn(64, HEX),
    "databricks_token": "dapi" + drawn(32, HEX),
    "groq_key": "gsk_" + drawn(52),
    "vault_token": "hvs." + drawn(24),
}


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("frame", ["{}", 'api_key = "{}"', "export KEY={} # prod", "Use {}, then go on.", "({})"])
def test_a_key_is_rejected_with_its_issuer_and_place(kind: str, frame: str) -> None:
    text = frame.format(KEYS[kind])
    verdict = gate().check(sample("Hi", text))
    assert (verdict.keep, verdict.gate, verdict.reason) == (False, "secrets", kind)
    assert verdict.detail == f"{kind} in message 1 at offset {text.index(KEYS[kind])}"


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        pytest.param("postgres://ann:0T5wAGTJuuJABo@db8.internal:5432/app", "url_password", "0T5wAGTJuuJABo", id="password in a URL"),
        pytest.param("redis://:p4ssX9w0rdQ@localhost:6379", "url_password", "p4ssX9w0rdQ", id="URL without a user"),
        pytest.param(f"aws_secret_access_key = {drawn(39)}/", "aws_secret_key", f"{drawn(39)}/", id="AWS secret key"),
        pytest.param(f'"client_secret": "{drawn(24)}"', "assigned_secret", drawn(24), id="assignment in JSON"),
        pytest.param(f"API-KEY: {drawn(32, HEX)}", "assigned_secret", drawn(32, HEX), id="hexadecimal value"),
        pytest.param('password: "Xk9$mPq2vL!7"', "assigned_secret", "Xk9$mPq2vL!7", id="strong password"),
        pytest.param(f"Authorization: Bearer {drawn(24)}", "authorization_header", drawn(24), id="bearer token"),
    ],
)
def test_of_a_url_or_an_assignment_only_the_value_is_marked(text: str, kind: str, value: str) -> None:
    (span,) = find_secrets(text)
    assert (span.kind, text[span.start : span.end]) == (kind, value)


def test_a_basic_header_with_real_credentials_is_found_and_a_sample_is_not() -> None:
    header = "Authorization: Basic " + base64.b64encode(b"ann:k2Lq9-vTz").decode()
    assert [span.kind for span in find_secrets(header)] == ["authorization_header"]
    assert find_secrets("Authorization: Basic " + base64.b64encode(b"user:password").decode()) == ()


def test_a_private_key_is_marked_from_begin_to_end() -> None:
    block = "-----BEGIN RSA PRIVATE KEY-----\n" + "\n".join(drawn(64, seed=n) for n in range(6)) + "\n-----END RSA PRIVATE KEY-----"
    (span,) = find_secrets(f"Here: {block} and more")
    assert (span.kind, span.start, span.end) == ("private_key", 6, 6 + len(block))


def test_a_private_key_that_was_cut_off_is_found_too() -> None:
    block = "-----BEGIN PRIVATE KEY-----\n" + drawn(300)
    assert [span.kind for span in find_secrets(block)] == ["private_key"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("token: <your-token-here> api_key = YOUR_API_KEY", id="placeholders"),
        pytest.param("sk-your-api-key-here ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", id="placeholders in a key's shape"),
        pytest.param("sk-1234567890abcdef1234567890abcdef", id="counted characters"),
        pytest.param("AKIAIOSFODNN7EXAMPLE wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", id="documented example keys"),
        pytest.param('os.environ["OPENAI_API_KEY"] Authorization: Bearer $TOKEN', id="variables"),
        pytest.param('token = request.headers.get("Authorization")', id="a call"),
        pytest.param("token_id: 550e8400-e29b-41d4-a716-446655440000", id="UUID"),
        pytest.param("commit 69aea909478ecbdc6d95bbe009b8688f84f454e0", id="git hash"),
        pytest.param("sha256: " + drawn(64, HEX), id="SHA-256"),
        pytest.param("Decode this: TGVhcm4gb250byBtZWV0aW5nIGFibGUgYXJtLg==", id="base64 text"),
        pytest.param("https://user:password@host.com ftp://root:root@host.com", id="sample credentials in a URL"),
        pytest.param('password = "hunter2" password: "Password123!"', id="sample passwords"),
        pytest.param("-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----", id="empty key block"),
        pytest.param("The jwt.io sample starts with eyJhbGciOiJIUzI1NiJ9 only.", id="head of a token"),
        pytest.param("secret: customer_records_2024_final_03 token = aaaa1111aaaa1111bbbb", id="names and repeats"),
        pytest.param("pip install sk-learn; the secret: generate_random_token_with_salt", id="words"),
    ],
)
def test_what_is_nobodys_secret_is_kept(text: str) -> None:
    assert [(span.kind, text[span.start : span.end]) for span in find_secrets(text)] == []


def test_redact_and_replace_leave_a_text_that_passes() -> None:
    text = f"Use {KEYS['github_token']} on postgres://ann:0T5wAGTJuuJABo@db:5432/app"
    redacted = gate(action="redact").check(sample(text)).replacement
    replaced = gate(action="replace").check(sample(text)).replacement
    assert redacted.first("user") == "Use [GITHUB_TOKEN] on postgres://ann:[URL_PASSWORD]@db:5432/app"
    assert replaced.first("user") == "Use YOUR_GITHUB_TOKEN on postgres://ann:YOUR_URL_PASSWORD@db:5432/app"
    assert gate().check(redacted).keep
    assert gate().check(replaced).keep


def test_only_the_side_asked_for_is_read() -> None:
    assert gate(on="reply").check(sample(KEYS["npm_token"])).keep
    assert gate(on="prompt").check(sample(KEYS["npm_token"])).reason == "npm_token"


def test_a_key_at_the_end_of_a_very_long_text_is_found() -> None:
    text = "The quick brown fox keeps a token and 3456 keys. " * 20_000 + KEYS["stripe_key"]
    assert [span.kind for span in find_secrets(text)] == ["stripe_key"]


@pytest.mark.parametrize(
    "piece", ["eyJa.", "sk-", "-----BEGIN PRIVATE KEY-----", "token=", "://a:b", "apikey", "SG.", "Authorization: Basic "]
)
def test_hostile_repetition_ends_and_finds_nothing(piece: str) -> None:
    assert find_secrets(piece * (100_000 // len(piece))) == ()


def test_secrets_are_found_in_labelled_data(shared_data: Path) -> None:
    with gzip.open(shared_data / "pii_secrets.jsonl.gz", "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    secret = [record for record in records if record["label"] == "secret"]
    clean = [record for record in records if record["label"] == "clean"]
    hits = sum(bool(find_secrets(record["text"])) for record in secret)
    false = sum(bool(find_secrets(record["text"])) for record in clean)
    assert 2 * hits / (hits + false + len(secret)) >= 0.99
    assert false / len(clean) <= 0.01


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        pytest.param("AUTHORIZATION: Bearer 9fK2mQ7xLp04RtVz8Ys1", "authorization_header", id="in capitals"),
        pytest.param("The api_key is 9fK2mQ7xLp04RtVz8Ys1 today", "assigned_secret", id="told in words"),
    ],
)
def test_a_secret_needs_neither_small_letters_nor_a_sign_of_assignment(text: str, kind: str) -> None:
    assert [span.kind for span in find_secrets(text)] == [kind]
