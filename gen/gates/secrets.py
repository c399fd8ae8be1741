"""Rejects or redacts samples that hold a key, token or password: a model repeats what it has seen."""

from __future__ import annotations

from dataclasses import dataclass

from gen.patterns.redaction import Action, Side, verdict
from gen.patterns.secrets import find_secrets
from gen.types import Sample, Verdict


@dataclass(frozen=True)
class Secrets:
    """No key, token, private key or password.

    `action` says what happens: `reject` the sample, `redact` each secret to its kind (`[GITHUB_TOKEN]`), or `replace` it with a
    placeholder as documentation has it (`YOUR_GITHUB_TOKEN`). `on` says whose turns are read. Reasons are the kinds: some 35 issuers'
    formats (aws_access_key, github_token, openai_key, stripe_key, jwt, …), private_key, url_password, authorization_header,
    aws_secret_key, and assigned_secret for a random-looking value (at least 3.5 bits a character) given to a name such as `api_key`.
    Placeholders, UUIDs, hashes and documented example keys stay. The detail names kind, message and offset, never the value.

    >>> from gen.types import Message
    >>> sample = Sample("1", (Message("user", "Use AKIA7XDOVFK3QDYDBSEG"), Message("assistant", "Done.")))
    >>> Secrets().check(sample).reason, Secrets().check(sample).detail
    ('aws_access_key', 'aws_access_key in message 0 at offset 4')
    """

    action: Action = "reject"
    on: Side = "both"

    def check(self, sample: Sample) -> Verdict:
        return verdict("secrets", sample, find=find_secrets, action=self.action, on=self.on, stand_in=_stand_in)


def _stand_in(kind: str, _value: str) -> str:
    return f"YOUR_{kind.upper()}"


PLUGIN = Secrets
