"""Secrets in a text: keys and tokens by their issuers' formats, private keys, passwords in URLs, and named assignments.

A format is known by a literal prefix, so a text without any prefix costs a few substring searches. A value assigned to a name
(`api_key = "…"`) counts when it looks random: Shannon entropy of at least 3.5 bits a character, digits and letters mixed. Placeholders
and keys out of the issuers' own documentation are left alone. Every quantifier is bounded; whole texts of any length are read.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from gen.patterns.spans import Span, disjoint
from gen.text import longest_run


class KeyFormat(NamedTuple):
    """How one issuer's keys look: `pattern` can match only where one of `prefixes` stands."""

    kind: str
    prefixes: tuple[str, ...]
    pattern: re.Pattern[str]


def _format(kind: str, prefixes: str, pattern: str) -> KeyFormat:
    return KeyFormat(kind, tuple(prefixes.split()), re.compile(rf"(?<![A-Za-z0-9_-])(?:{pattern})(?![A-Za-z0-9_])"))


# Shapes as the issuers document or print them; where an issuer changed lengths over the years the shortest is the lower bound.
KEY_FORMATS = (
    _format("aws_access_key", "AKIA ASIA ABIA ACCA", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}"),
    _format("github_token", "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_", r"gh[pousr]_[A-Za-z0-9]{36,251}|github_pat_[A-Za-z0-9_]{40,251}"),
    _format("gitlab_token", "glpat- gldt- glrt- glptt- glcbt-", r"gl(?:pat|dt|rt|ptt|cbt)-[\w-]{20,64}"),
    _format("slack_token", "xox xapp-", r"xox[abeprs]-[A-Za-z0-9-]{20,250}|xapp-\d-[A-Za-z0-9-]{20,250}"),
    _format("slack_webhook", "hooks.slack.com", r"hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/]{30,120}"),
    _format(
        "stripe_key", "sk_live_ rk_live_ sk_test_ rk_test_ whsec_", r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,247}|whsec_[A-Za-z0-9+/=]{24,64}"
    ),
    _format("anthropic_key", "sk-ant-", r"sk-ant-[a-z0-9]{2,12}-[\w-]{20,200}"),
    _format(
        "openai_key",
        "sk-",
        r"sk-(?!ant-)(?:(?:proj|svcacct|admin|None)-[\w-]{20,220}|[A-Za-z0-9]{32,64}|[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20})",
    ),
    _format("openrouter_key", "sk-or-v1-", r"sk-or-v1-[0-9a-f]{64}"),
    _format("google_api_key", "AIza", r"AIza[\w-]{35}"),
    _format("google_oauth_secret", "GOCSPX- ya29.", r"GOCSPX-[\w-]{28}|ya29\.[\w-]{30,500}"),
    _format("jwt", "eyJ", r"eyJ[\w-]{8,2000}\.eyJ[\w-]{8,8000}\.[\w-]{20,1000}"),
    _format("npm_token", "npm_", r"npm_[A-Za-z0-9]{36}"),
    _format("pypi_token", "pypi-", r"pypi-[\w-]{50,400}"),
    _format("huggingface_token", "hf_ api_org_", r"(?:hf|api_org)_[A-Za-z0-9]{30,40}"),
    _format("twilio_key", "SK", r"SK[0-9a-f]{32}"),
    _format("sendgrid_key", "SG.", r"SG\.[\w-]{16,32}\.[\w-]{32,64}"),
    _format("mailgun_key", "key-", r"key-[0-9a-f]{32}"),
    _format("mailchimp_key", "-us", r"[0-9a-f]{32}-us\d{1,2}"),
    _format("telegram_token", ":AA", r"\d{8,10}:AA[\w-]{33}"),
    _format("discord_webhook", "/api/webhooks/", r"discord(?:app)?\.com/api/webhooks/\d{17,20}/[\w-]{60,80}"),
    _format("shopify_token", "shpat_ shpss_ shpca_ shppa_", r"shp(?:at|ss|ca|pa)_[0-9a-fA-F]{32}"),
    _format("digitalocean_token", "dop_v1_ doo_v1_ dor_v1_", r"do[opr]_v1_[0-9a-f]{64}"),
    _format("databricks_token", "dapi", r"dapi[0-9a-f]{32}(?:-\d)?"),
    _format("square_token", "sq0atp- sq0csp- EAAA", r"sq0(?:atp|csp)-[\w-]{22,43}|EAAA[\w-]{60}"),
    _format("groq_key", "gsk_", r"gsk_[A-Za-z0-9]{48,60}"),
    _format("replicate_token", "r8_", r"r8_[A-Za-z0-9]{37,40}"),
    _format("xai_key", "xai-", r"xai-[A-Za-z0-9]{60,90}"),
    _format("perplexity_key", "pplx-", r"pplx-[A-Za-z0-9]{32,64}"),
    _format("docker_token", "dckr_pat_", r"dckr_pat_[\w-]{27,40}"),
    _format("vault_token", "hvs. hvb.", r"hv[sb]\.[\w-]{24,300}"),
    _format("linear_key", "lin_api_", r"lin_api_[A-Za-z0-9]{40}"),
    _format("notion_token", "ntn_ secret_", r"ntn_[A-Za-z0-9]{40,60}|secret_[A-Za-z0-9]{43}"),
    _format("age_key", "AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    _format("azure_storage_key", "AccountKey=", r"AccountKey=[A-Za-z0-9+/]{86}=="),
)
KINDS = (
    *dict.fromkeys(form.kind for form in KEY_FORMATS),
    "private_key",
    "url_password",
    "authorization_header",
    "aws_secret_key",
    "assigned_secret",
)

_MINIMUM_ENTROPY_BITS = 3.5  # per character: prose and names of things stay under it, 16 random base64 characters reach 3.6 and more

Pairs = Iterator[Span]


_SHORTEST_KEY = 20  # characters, none of them white space: AKIA and sixteen more
_ANY_PREFIX = re.compile("|".join(sorted({re.escape(prefix) for form in KEY_FORMATS for prefix in form.prefixes})))


def find_secrets(text: str) -> tuple[Span, ...]:
    """The disjoint spans of secrets in `text`, in order; of a URL only the password, of an assignment only the value.

    >>> [span.kind for span in find_secrets("export TOKEN=ghp_a8Xq2Lr0ZbC4vNw7KdTy1MfUe5HsJgPo93Ri")]
    ['github_token']
    """
    spans: list[Span] = []
    if longest_run(text) >= _SHORTEST_KEY and _ANY_PREFIX.search(" ".join([run for run in text.split() if len(run) >= _SHORTEST_KEY])):
        spans += (span for form in KEY_FORMATS if any(prefix in text for prefix in form.prefixes) for span in _keys(form, text))
    if "PRIVATE KEY" in text:
        spans += _private_keys(text)
    if "://" in text and "@" in text:
        spans += _url_passwords(text)
    lowered = text.lower()
    if "uthorization" in text or "UTHORIZATION" in text:
        spans += _authorization_headers(text)
    if ("=" in text or ":" in text or "is" in lowered) and any(map(lowered.__contains__, _NAME_PARTS)):
        spans += _assignments(text)
    return disjoint(spans) if spans else ()


def _keys(form: KeyFormat, text: str) -> Pairs:
    for match in form.pattern.finditer(text):
        if not is_placeholder(match[0]):
            yield Span(match.start(), match.end(), form.kind)


# --- what is nobody's secret ---------------------------------------------------------------------------------------------------

_PLACEHOLDER = re.compile(
    r"example|placeholder|change[_-]?me|x{4}|\.{3}|…|<|\$[{(]|\$(?-i:[A-Z_]{3})|\{\{|%[({]|redacted|dummy|sample|\*{3}|your[_-]?(?:own|secret|api|key|token|pass|access|auth)"
    r"|(?:secret|api|access|auth)[_-]?(?:key|token)|my[_-]?(?:secret|api|key|token|pass)|(?:insert|replace|fake|test)[_-]|[_-](?:here|goes)|password"
    r"|012345|123456|abcdef|654321|qwerty",
    re.IGNORECASE,
)
_DOCUMENTED = (
    "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",  # the sample signature of jwt.io
    "4eC39HqLyjWDarjtT1zdp7dc",  # Stripe's documentation
    "BQokikJOvBiI2HlWgH4olfQ2",  # Stripe's documentation
    "wJalrXUtnFEMI",  # AWS's documentation
)


def is_placeholder(value: str) -> bool:
    """Whether a value stands for a key instead of being one: `YOUR_API_KEY`, `sk-xxxx…`, a documented sample, hardly any variety.

    >>> is_placeholder("sk-your-api-key-here"), is_placeholder("AKIAIOSFODNN7EXAMPLE")
    (True, True)
    """
    if any(sample in value for sample in _DOCUMENTED):
        return True
    short = len(value) <= 100  # words turn up by chance in a longer random text
    return (short and _PLACEHOLDER.search(value) is not None) or entropy_bits(value) < 2.5


def entropy_bits(value: str) -> float:
    """Shannon entropy of the value's own characters in bits a character; 0 for an empty value."""
    size = len(value)
    return -sum(count / size * math.log2(count / size) for count in Counter(value).values()) if size else 0.0


# --- blocks, URLs, headers -----------------------------------------------------------------------------------------------------

_BLOCK_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----")
_BLOCK_END = re.compile(r"-----END [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----")
_BLOCK_MAXIMUM_CHARS = 20_000  # an RSA key of 16,384 bits has about 13,000
_BLOCK_MINIMUM_KEY_CHARS = 40  # an Ed25519 key in PKCS #8 has 64
_NO_KEY_CHARACTERS = re.compile(r"[^A-Za-z0-9+/=]")


def _private_keys(text: str) -> Pairs:
    for begin in _BLOCK_BEGIN.finditer(text):
        limit = min(len(text), begin.end() + _BLOCK_MAXIMUM_CHARS)
        dashes = text.find("-----", begin.end(), limit)
        stop = dashes if dashes >= 0 else limit
        key = _NO_KEY_CHARACTERS.sub("", text[begin.end() : stop].replace("\\n", ""))
        if len(key) >= _BLOCK_MINIMUM_KEY_CHARS and entropy_bits(key) >= _MINIMUM_ENTROPY_BITS:
            end = _BLOCK_END.match(text, stop)
            yield Span(begin.start(), end.end() if end else stop, "private_key")


_URL_PASSWORD = re.compile(r"""://([^\s:/@"'<>]{0,128}):([^\s@"'<>]{3,256}?)@[^\s@/]""")
_WEAK_PASSWORD = re.compile(
    r"(?:p(?:ass)?w(?:or)?d?|pass\w{0,8}|secret|admin|root|user(?:name)?|guest|postgres|mysql|test|token|key|\d{1,5})\d{0,4}", re.I
)


def _url_passwords(text: str) -> Pairs:
    for match in _URL_PASSWORD.finditer(text):
        user, password = match.groups()
        known = password == user or _WEAK_PASSWORD.fullmatch(password) or is_variable(password) or _PLACEHOLDER.search(password)
        if not known and "/" not in password and not (password.isalpha() and password.islower() and len(password) < 10):
            yield Span(match.start(2), match.end(2), "url_password")


def is_variable(value: str) -> bool:
    """Whether a program or a shell puts the value in later: `$PASSWORD`, `{password}`, `%s`."""
    return value[:1] in ("$", "{", "%", "<", "[") or (value.isupper() and "_" in value)


_AUTHORIZATION = re.compile(
    r"(?:\b(?i:authorization)[\"']?\s{0,2}[:=,]\s{0,2}[\"']?)(Basic|Bearer|Token|token) {1,2}([A-Za-z0-9+/=_.~-]{12,2000})"
)


def _authorization_headers(text: str) -> Pairs:
    for match in _AUTHORIZATION.finditer(text):
        scheme, value = match.groups()
        is_secret = _holds_credentials(value) if scheme == "Basic" else looks_random(value)
        if is_secret and not is_placeholder(value):
            yield Span(match.start(2), match.end(2), "authorization_header")


def _holds_credentials(value: str) -> bool:
    try:
        user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return False
    return bool(password) and not _WEAK_PASSWORD.fullmatch(password) and not _PLACEHOLDER.search(f"{user}:{password}")


# --- named assignments ---------------------------------------------------------------------------------------------------------

_NAME_PARTS = ("key", "token", "secret", "passw", "pwd", "passphrase", "credential", "auth")
_ASSIGNMENT = re.compile(
    r"((?:api|access|private|secret|auth|encryption|signing|master|client|service|account|license|deploy|session)[_. -]?key"
    r"|apikey|secret|token|passw(?:or)?d|passphrase|pwd|credentials?|authkey)(?:[_.-]?(?:key|id|value|base64|token|secret|hash|access_key|string|prod|dev|live)){0,2}"
    r"[\"'`]?\]?\s{0,3}(?::=|=>|==|[=:]|\bis\b)\s{0,3}([\"'`]?)([^\s\"'`<>]{8,512})",
    re.IGNORECASE,
)
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_TOKEN_CHARACTERS = re.compile(r"[A-Za-z0-9+/=_.~-]{16,512}")
_SEPARATORS = re.compile(r"[_.~-]")
_AWS_NAME = re.compile(r"aws[\w.-]{0,24}secret[\w.-]{0,24}$|secret[_-]?access[_-]?key$", re.IGNORECASE)
_CLASSES = (re.compile(r"[a-z]"), re.compile(r"[A-Z]"), re.compile(r"\d"), re.compile(r"[^\w\s]"))


def _assignments(text: str) -> Pairs:
    for match in _ASSIGNMENT.finditer(text):
        name, quote, value = match.groups()
        value = value.rstrip(".,;:)]}")
        if is_variable(value) or is_placeholder(value):
            continue
        is_password = name[:2].lower() in ("pa", "pw")
        if looks_random(value) or (is_password and _looks_like_password(value, quoted=bool(quote))):
            head = text[max(0, match.start() - 16) : match.start(2)].rstrip(" =:\"'`]>")
            kind = "aws_secret_key" if len(value) == 40 and _AWS_NAME.search(head) else "assigned_secret"
            yield Span(match.start(3), match.start(3) + len(value), kind)


def looks_random(value: str) -> bool:
    """Whether a token of 16 characters or more was drawn rather than written: entropy, digits among letters, no UUID.

    >>> looks_random("9fK2mQ7xLp04RtVz"), looks_random("generate_random_token_2")
    (True, False)
    """
    if not _TOKEN_CHARACTERS.fullmatch(value) or _UUID.fullmatch(value):
        return False
    digits = sum(character.isdigit() for character in value)
    letters = sum(character.isalpha() for character in value)
    if digits < 2 or letters < 2 or value.count(".") > 2:
        return False
    core = _SEPARATORS.sub("", value)  # the words of a long name are joined by them, so they say nothing about chance
    turns = sum(_class_of(a) != _class_of(b) for a, b in pairwise(core))
    minimum = _MINIMUM_ENTROPY_BITS if len(value) < 32 or not _is_hexadecimal(value) else 3.0
    return turns * 5 >= len(core) and entropy_bits(value) >= minimum


def _is_hexadecimal(value: str) -> bool:
    return all(character in "0123456789abcdefABCDEF" for character in value)


def _class_of(character: str) -> int:
    return 0 if character.islower() else 1 if character.isupper() else 2 if character.isdigit() else 3


def _looks_like_password(value: str, *, quoted: bool) -> bool:
    """Shorter than a token, so it must mix three kinds of characters and be no call, path or common sample."""
    if len(value) < 10 or len(value) > 64 or not quoted or any(character in value for character in "()[]{}\\"):
        return False
    plain = value.translate(str.maketrans("@03$1!", "aoesli")).lower()
    classes = sum(pattern.search(value) is not None for pattern in _CLASSES)
    return classes >= 3 and entropy_bits(value) >= 3.0 and not re.search(r"passw|secret|admin|welcome|user|test|123", plain + value)
