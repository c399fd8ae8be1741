"""Tests of gen/gates/pii.py, gen/patterns/pii.py and gen/patterns/national_ids.py."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from gen.errors import RecipeError
from gen.patterns.pii import find_pii
from gen.plugins import build
from gen.types import Message, Sample


def gate(**options: Any) -> Any:
    return build("gates", "pii", options)


def sample(prompt: str, reply: str = "Fine.") -> Sample:
    return Sample("1", (Message("user", prompt), Message("assistant", reply)))


@pytest.mark.parametrize(
    ("text", "reason", "offset"),
    [
        pytest.param("Write to ann.lee@ferrum.io.", "email", 9, id="email"),
        pytest.param("Write to rené.müller@bücher-süd.de.", "email", 9, id="email with letters beyond ASCII"),
        pytest.param("Ring +44 20 7843 6643 now", "phone", 5, id="phone in international form"),
        pytest.param("Ring 0049 30 9944039 now", "phone", 5, id="phone with 00"),
        pytest.param("Phone: (314) 882-7704", "phone", 7, id="phone in brackets"),
        pytest.param("Call me on 780 6326.", "phone", 11, id="local phone after a word that says so"),
        pytest.param("Tel.: 030 9944 039", "phone", 6, id="phone after an abbreviation"),
        pytest.param("Card 4351130092557588 2. Then", "card_number", 5, id="card number before another number"),
        pytest.param("Card 6011 6251 0999 8573", "card_number", 5, id="card number in groups"),
        pytest.param("my card 584528792610", "card_number", 8, id="short card number that is called one"),
        pytest.param("IBAN DE74178304493557466165 OK", "iban", 5, id="iban before capitals"),
        pytest.param("to NL57 ABNA 5452 1356 67 TODAY", "iban", 3, id="iban in groups"),
        pytest.param("SSN: 240-19-5536", "national_id", 5, id="US social security number"),
        pytest.param("ssn 536904399", "national_id", 4, id="US number without dashes after its name"),
        pytest.param("NI number: JW 92 15 32 B", "national_id", 11, id="UK insurance number"),
        pytest.param("CPF 529.982.247-25", "national_id", 4, id="Brazilian CPF"),
        pytest.param("DNI 54362315K", "national_id", 4, id="Spanish DNI"),
        pytest.param("cf RSSMRA85T10A562S", "national_id", 3, id="Italian fiscal code"),
        pytest.param("aadhaar 2341 2341 2346", "national_id", 8, id="Indian Aadhaar"),
        pytest.param("Login from 192.81.169.84.", "ip_address", 11, id="IPv4"),
        pytest.param("Login from f49d:100c:81e2:90c8:b6fa:8f02:3c52:8fe.", "ip_address", 11, id="IPv6"),
        pytest.param("MAC 00:1B:44:11:3A:B7", "mac_address", 4, id="MAC"),
        pytest.param("Passport no. X46038324.", "passport", 13, id="passport"),
        pytest.param("driving licence MORGA657054SM9IJ", "driving_licence", 16, id="driving licence"),
        pytest.param("to 0xdAC17F958D2ee523a2206206994597C13D831ec7", "crypto_address", 3, id="Ethereum address"),
    ],
)
def test_personal_data_is_rejected_with_its_kind_and_place(text: str, reason: str, offset: int) -> None:
    verdict = gate().check(sample(text))
    assert (verdict.keep, verdict.gate, verdict.reason) == (False, "pii", reason)
    assert verdict.detail.startswith(f"{reason} in message 0 at offset {offset}")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Write to jane@example.com, a@b.test or support@example.org", id="reserved domains"),
        pytest.param("Write to your.name@gmail.com or john.doe@yahoo.com", id="placeholder names"),
        pytest.param("git clone git@github.com:foo/bar.git", id="ssh address"),
        pytest.param("icon@2x.png lodash@4.17.21 @app.route user@host", id="at signs that are no address"),
        pytest.param("Call 555-0142, (202) 555-0143 or +1 202-555-0199", id="fictional numbers"),
        pytest.param("Call +44 20 7946 0123, +44 161 496 0999 or 07700 900456", id="numbers of UK drama"),
        pytest.param("Call 123-456-7890", id="counted number"),
        pytest.param("664-736-4557 = -4485", id="subtraction"),
        pytest.param("Order number 4351130092557588 has shipped", id="order number that passes Luhn"),
        pytest.param("I paid with 4370061356154235 by card 4370061356154235", id="no Luhn"),
        pytest.param("Stripe's test card 4242 4242 4242 4242", id="test card"),
        pytest.param("See ISBN 978-1-364-69303-9 and EAN 6733747024537", id="ISBN and EAN"),
        pytest.param("IMEI 490154203237518", id="IMEI passes Luhn but is no card"),
        pytest.param("Reference DE00777323341787813352", id="bad IBAN"),
        pytest.param("Part no. 000-47-7844, SSN 900-12-3456", id="never issued"),
        pytest.param("Part no. 240-19-5536", id="part number of a social security number's shape"),
        pytest.param("192.168.0.1 127.0.0.1 10.2.3.4 203.0.113.9 fe80::1 2001:db8::7 8.8.8.8", id="nobody's addresses"),
        pytest.param("Upgrade to version 10.64.33.2, chapter 3.2.1.4", id="versions"),
        pytest.param("id 82380f01-d399-4bee-a47d-f5511e79a8f5 at 2023-04-16T12:56:10.693540Z", id="UUID and time"),
        pytest.param("commit 3ab6c4e40e9df5939ce0c03859f858b30b9de576 std::vector a::b::c", id="hash and C++"),
        pytest.param("3,471,982 people, pages 1997-2011, at -68.959050, 45.076210", id="figures"),
        pytest.param("Passport no. 123456789, 00:00:5E:00:53:11, born on 1 May 1990", id="placeholders and what is not asked for"),
    ],
)
def test_what_belongs_to_nobody_is_kept(text: str) -> None:
    assert [(span.kind, text[span.start : span.end]) for span in find_pii(text)] == []


def test_the_value_is_never_in_the_detail() -> None:
    verdict = gate().check(sample("ann.lee@ferrum.io, (314) 882-7704"))
    assert verdict.detail == "email in message 0 at offset 0, 2 found in all"


def test_redact_puts_the_kind_in_the_place_of_each_value() -> None:
    verdict = gate(action="redact").check(sample("Hi", "Mail ann.lee@ferrum.io or ring +44 20 7843 6643."))
    assert (verdict.keep, verdict.reason, verdict.detail) == (True, "", "redact: 1 email, 1 phone")
    assert verdict.replacement.last("assistant") == "Mail [EMAIL] or ring [PHONE]."
    assert verdict.replacement.first("user") == "Hi"


def test_replace_gives_one_value_one_stand_in() -> None:
    verdict = gate(action="replace").check(sample("Is it ann.lee@ferrum.io?", "Yes, ann.lee@ferrum.io and not bo.ek@ferrum.io."))
    asked, answered = (message.content for message in verdict.replacement.messages)
    assert asked.removeprefix("Is it ").removesuffix("?") == answered.split()[1]
    assert answered.split()[1] != answered.split()[-1].removesuffix(".")


VALUES = (
    "ann.lee@ferrum.io",
    "Tel. +44 20 7843 6643",
    "card 4351130092557588",
    "DE74178304493557466165",
    "SSN 240-19-5536",
    "from 192.81.169.84",
    "from f49d:100c:81e2:90c8:b6fa:8f02:3c52:8fe",
    "MAC 00:1B:44:11:3A:B7",
    "Passport no. X46038324",
    "driving licence MORGA657054SM9IJ",
    "to 0xdAC17F958D2ee523a2206206994597C13D831ec7",
)


@pytest.mark.parametrize("text", VALUES)
def test_stand_ins_and_markers_pass_the_gate_themselves(text: str) -> None:
    for action in ("redact", "replace"):
        replacement = gate(action=action).check(sample(text)).replacement
        assert replacement.first("user") != text
        assert gate().check(replacement).keep


def test_only_the_kinds_asked_for_are_looked_for() -> None:
    both = sample("ann.lee@ferrum.io was born on 01/02/1980")
    assert gate(kinds=["phone"]).check(both).keep
    assert gate(kinds=["birth_date"]).check(both).reason == "birth_date"


def test_only_the_side_asked_for_is_read() -> None:
    asked = sample("I am ann.lee@ferrum.io", "Hello.")
    assert gate(on="reply").check(asked).keep
    assert gate(on="prompt").check(asked).reason == "email"


def test_an_unknown_kind_is_an_error_that_names_the_option() -> None:
    with pytest.raises(RecipeError, match="kinds"):
        gate(kinds=["emial"])
    with pytest.raises(RecipeError, match="choose from email"):
        gate(kinds=[])


def test_a_value_at_the_end_of_a_very_long_text_is_found() -> None:
    text = "The quick brown fox has 12 legs and 3456 friends. " * 20_000 + "ann.lee@ferrum.io"
    assert [span.kind for span in find_pii(text)] == ["email"]


@pytest.mark.parametrize("piece", ["a@", "a.", "1 2 ", "1", ":", "f:", "+1 ", "4111 ", "DE12 ", "passport no ", "call me 12 ", "(", "@"])
def test_hostile_repetition_ends_and_finds_nobody(piece: str) -> None:
    assert find_pii(piece * (100_000 // len(piece))) == ()


def test_structured_kinds_are_found_in_labelled_data(shared_data: Path) -> None:
    structured = {"CREDIT_CARD", "EMAIL", "PHONE", "IBAN", "IP_ADDRESS", "US_SSN", "UK_NINO", "PASSPORT"}
    with gzip.open(shared_data / "pii_secrets.jsonl.gz", "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    wanted = [record for record in records if structured & set(record["types"])]
    clean = [record for record in records if record["label"] == "clean"]
    hits = sum(bool(find_pii(record["text"])) for record in wanted)
    false = sum(bool(find_pii(record["text"])) for record in clean)
    assert 2 * hits / (hits + false + len(wanted)) >= 0.99
    assert false / len(clean) <= 0.01


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        pytest.param("Mon passeport: 47AB90563 est perdu", "passport", id="French"),
        pytest.param("My REISEPASS C01X00T47 is lost", "passport", id="German, capitals"),
        pytest.param("Send 3 to bc1sw50qa3jx3s please", "crypto_address", id="the shortest wallet"),
    ],
)
def test_the_first_look_misses_no_kind(text: str, kind: str) -> None:
    assert [span.kind for span in find_pii(text)] == [kind]
