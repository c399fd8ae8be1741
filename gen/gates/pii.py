"""Rejects or redacts samples that hold structured personal data, so that no model learns somebody's address or account."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import partial
from typing import get_args

from gen.patterns.pii import KINDS, Kind, find_pii
from gen.patterns.redaction import Action, Side, number_of, verdict
from gen.types import Sample, Verdict


@dataclass(frozen=True)
class PersonalData:
    """No structured personal data of anybody.

    `kinds` are looked for; birth dates only when asked, names and postal addresses never: they are a matter of policy and no pattern
    tells a public figure from a private person. `action` says what happens: `reject` the sample, `redact` each value to its kind
    (`[EMAIL]`), or `replace` it with a stand-in out of a range that nobody owns, the same one for the same value. `on` says whose
    turns are read. Ranges set aside for fiction, tests and documentation pass on purpose, as nobody owns them: telephone numbers with
    555 (US 555-01xx), the UK's drama numbers (+44 20 7946 0xxx, +44 7700 900xxx, …), e-mail at example.com and the like (RFC 2606),
    private and documentation addresses (RFC 1918, 5737, 3849), published test cards and example accounts. Reasons are the kinds: email,
    phone, card_number (Luhn and the networks' ranges), iban (mod 97), national_id (checksum, or a shape with its name beside it),
    ip_address (public ones), mac_address, passport, driving_licence (both only after the word), crypto_address, birth_date. The detail
    names kind, message and offset, never the value.

    >>> from gen.types import Message
    >>> sample = Sample("1", (Message("user", "Hi"), Message("assistant", "Write to ann.lee@ferrum.io.")))
    >>> PersonalData().check(sample).detail
    'email in message 1 at offset 9'
    >>> PersonalData(action="redact").check(sample).replacement.last("assistant")
    'Write to [EMAIL].'
    """

    kinds: tuple[Kind, ...] = KINDS
    action: Action = "reject"
    on: Side = "both"

    def __post_init__(self) -> None:
        if not self.kinds:
            raise ValueError(f"'kinds' is empty: choose from {', '.join(get_args(Kind))}")

    def check(self, sample: Sample) -> Verdict:
        return verdict("pii", sample, find=partial(find_pii, kinds=self.kinds), action=self.action, on=self.on, stand_in=_stand_in)


def _stand_in(kind: str, value: str) -> str:
    """A value of the kind that belongs to nobody and that this gate lets pass."""
    last = number_of(value, 100)
    if kind == "ip_address":
        return str(ipaddress.ip_address("2001:db8::" if ":" in value else "203.0.113.0") + last + 1)
    return {
        "email": f"user{number_of(value, 10_000)}@example.com",
        "phone": f"+1 202-555-01{last:02}",
        "card_number": "4242 4242 4242 4242",
        "iban": "GB82 WEST 1234 5698 7654 32",
        "national_id": f"900-00-{last:04}",
        "mac_address": f"00:00:5E:00:53:{last:02}",
        "passport": "X00000000",
        "driving_licence": "X00000000",
        "crypto_address": "0x" + "0" * 38 + f"{last:02}",
        "birth_date": "1 January 1970",
    }[kind]


PLUGIN = PersonalData
