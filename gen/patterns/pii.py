"""Structured personal data in a text: e-mail addresses, telephone, card and account numbers, national ids, network addresses, …

Everything here has a shape, and a checksum or a word beside it that says what it is; names, postal addresses and other soft kinds are
not looked for. What nobody owns is left alone: reserved domains (RFC 2606), private, loopback and documentation addresses (RFC 1918,
5737, 3849), 555 numbers, published test cards and example accounts, and placeholders.

Cheap literal tests come before every pattern, every quantifier is bounded, and each pass is linear, so whole texts of any length are read.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, get_args

import phonenumbers
from stdnum import bitcoin, iban, luhn

from gen.patterns.national_ids import find_national_ids
from gen.patterns.spans import Span, disjoint
from gen.text import longest_run

Kind = Literal[
    "email",
    "phone",
    "card_number",
    "iban",
    "national_id",
    "ip_address",
    "mac_address",
    "passport",
    "driving_licence",
    "crypto_address",
    "birth_date",
]
KINDS: tuple[Kind, ...] = tuple(kind for kind in get_args(Kind) if kind != "birth_date")  # what is looked for unless told otherwise

Pairs = Iterator[tuple[int, int]]

_DIGIT = re.compile(r"\d")  # only e-mail and MAC addresses do without
_MAC_MARKS = 5
_ENOUGH_DIGITS = re.compile(
    r"\d(?:[ ().\-/]{0,2}\d){5}|\d[A-Z]\d\d[A-Z]\d\d\d[A-Z]"
)  # or an Italian fiscal code: nothing else has fewer digits


def find_pii(text: str, kinds: tuple[Kind, ...] = KINDS) -> tuple[Span, ...]:
    """The disjoint spans of personal data in `text`, in order; KINDS is every kind but birth_date.

    >>> [span.kind for span in find_pii("Mail ann.lee@ferrum.io or call +44 20 7843 6643.")]
    ['email', 'phone']
    """
    first_digit = _DIGIT.search(text)
    if first_digit is None and "@" not in text and text.count(":") < _MAC_MARKS and text.count("-") < _MAC_MARKS:
        return ()
    has_digits = first_digit is not None and _ENOUGH_DIGITS.search(text, first_digit.start()) is not None
    look = _Look(text, text.lower(), has_digits)
    spans: list[Span] = []
    for kind in kinds:
        find, may_hold = _FINDERS[kind]
        if may_hold(look):
            spans += [Span(start, end, kind) for start, end in find(text)]
    return disjoint(spans) if spans else ()


class _Look(NamedTuple):
    """What the first look at a text tells: whether it holds enough digits in a row for a number of any kind."""

    text: str
    lowered: str
    has_digits: bool


# --- e-mail --------------------------------------------------------------------------------------------------------------------

_AT_DOMAIN = re.compile(r"@((?:[^\W_](?:[\w-]{0,62})\.){1,8}([^\W\d_]{2,24}|xn--[a-z0-9-]{2,60}))(?![\w@])")
_LOCAL_REVERSED = re.compile(r"[\w.!#$%&*+/=?^`{|}~'-]{1,64}")
_RESERVED_DOMAIN = re.compile(
    r"(?:^|\.)(?:example\.(?:com|org|net|edu|co\.uk)|example|test|invalid|localhost|local|internal|lan|(?:your|my)[\w-]{0,40}\.\w{2,24}"
    r"|(?:domain|company|email|mail|test|website|site|sample|some\w{0,20}|acme|foo|bar|host|server|xyz|abc)\.(?:com|org|net|co|io))$",
    re.IGNORECASE,
)
_FILE_ENDINGS = frozenset("png jpg jpeg gif svg webp css js ts py json html htm xml yaml yml txt md jar zip tar gz".split())
_NOBODY = re.compile(
    r"(?:your|my)?[._-]?(?:e?-?mail|name|username|user|address|id)\d{0,3}|you|your\w{0,30}|example\w{0,10}|test(?:er|ing|user|email)?\d{0,4}"
    r"|(?:john|jane)[._-]?(?:doe|smith)\d{0,3}|foo|bar|abc|xyz|someone|somebody|recipient|sender|no-?reply|do-?not-?reply|git|hg|svn"
    r"|first(?:name)?[._-]?last(?:name)?",
    re.IGNORECASE,
)


def _emails(text: str) -> Pairs:
    for match in _AT_DOMAIN.finditer(text):
        at = match.start()
        local = _LOCAL_REVERSED.match(text[max(0, at - 64) : at][::-1])
        if local is None:
            continue
        start = at - len(local[0])
        name = local[0][::-1].lstrip(".'`*=/!#$%&|?{}^~")
        if not name or _NOBODY.fullmatch(name) or match[2].lower() in _FILE_ENDINGS or _RESERVED_DOMAIN.search(match[1]):
            continue
        if "://" in text[max(0, start - 80) : start].rpartition(" ")[2] and text[start - 1] == ":":
            continue  # user:password@host in a URL is a matter of the secrets gate
        yield at - len(name), match.end()


# --- telephone -----------------------------------------------------------------------------------------------------------------

_INTERNATIONAL = re.compile(r"(?<![\w.])(?:\+|00(?=[1-9]))[1-9]\d{0,3}(?:[ ().\-/]{0,3}\d){6,13}(?![\d]|[.,]\d)")
_BRACKETED = re.compile(r"\((?!555)[2-9]\d{2}\)[ .-]?[2-9]\d{2}[ .-]\d{4}(?!\d)")
_LOCAL_NUMBER = re.compile(r"(?<![\w.,$€£+-])\(?\d{1,5}\)?(?:[ .\-/]{0,2}\d){5,13}(?![\w%]|[.,:]\d|\s{0,2}[=×*])")
_CALL = re.compile(
    r"(?:\b(?:tele)?phone|\bfon|\btelefon\w{0,3}|\bt[ée]l(?:\.|[ée]phone)?|\btel[ée]fono|\bmobile|\bcell|\bm[óo]vil|\bhandy|\bfax|\bwhatsapp|\bsms"
    r"|\bhotline|\bcall|\bcalling|\bring|\bdial|\btext|\breach|\banswering|\bcontact)"
    r"(?: (?:number|no|nr|me|us|him|her|them|back|at|on|is|was|now|under|it)){0,4}(?: ?(?:\.|#|:|：|\()){0,3}[\s*_]{0,4}$",
    re.IGNORECASE,
)
# North America's 555 numbers, and what Ofcom sets aside for drama: London, Tyneside, Belfast, Cardiff, other cities, no area, mobile, free.
_FICTIONAL = re.compile(
    r"(?:^|\D)(?:1?[2-9]\d{2})?555\d{4}$"
    r"|^(?:44|0044|0)?(?:207946|191498|289018|292018|1(?:1[3-8]|[2-6]1)496|163296|770090|80815|30699)(?:0|70|90)\d{3}$"
)
_CONSECUTIVE = ("12345", "23456", "98765", "00000", "11111", "99999")


def _phones(text: str) -> Pairs:
    if "+" in text or "00" in text:
        for match in _INTERNATIONAL.finditer(text):
            if not _is_nobodys_phone(match[0]) and _is_possible(match[0]):
                yield match.span()
    if "(" in text:
        for match in _BRACKETED.finditer(text):
            if not _is_nobodys_phone(match[0]):
                yield match.span()
    for match in _LOCAL_NUMBER.finditer(text):
        if (
            _CALL.search(text[max(0, match.start() - 48) : match.start()])
            and _has_phone_shape(match[0])
            and not _is_nobodys_phone(match[0])
        ):
            yield match.span()


def _is_possible(number: str) -> bool:
    """Whether the country code exists and the length fits; blocks of numbers not in use yet are let through."""
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse("+" + re.sub(r"^00|\D", "", number)))
    except phonenumbers.NumberParseException:
        return False


def _has_phone_shape(number: str) -> bool:
    digits = sum(character.isdigit() for character in number)
    return 7 <= digits <= 15 and (digits >= 9 or not number.isdigit())


def _is_nobodys_phone(number: str) -> bool:
    digits = re.sub(r"\D", "", number)
    return _FICTIONAL.search(digits) is not None or any(run in digits for run in _CONSECUTIVE)


# --- cards and accounts --------------------------------------------------------------------------------------------------------

_CARD = re.compile(r"(?<![\w.\-,])\d{4}(?:[ -]?\d){8,15}(?![\w]|[.,-]\d)")
# The networks' own ranges and lengths: Visa, Mastercard, American Express, Discover, JCB, Diners Club, UnionPay.
_NETWORKS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|6(?:011|4[4-9]\d|5\d\d|2\d\d)\d{12,15}"
    r"|35(?:2[89]|[3-8]\d)\d{12,15}|(?:2131|1800)\d{11}|3(?:0[0-59]|[689]\d)\d{11,13}"
)
_MAESTRO = re.compile(r"(?:5[06-8]|6\d)\d{10,17}")  # so wide that only a card that is called one counts
_CARD_NAMED = re.compile(
    r"\b(?:cards?|visa|mastercard|maestro|amex|american express|diners|discover|jcb|carte|karte|kreditkarte|tarjeta)\b", re.I
)
_NO_CARD = re.compile(
    r"\b(?:order|isbn|ean|gtin|upc|imei|barcode|tracking|invoice|serial|transaction|reference|ref|ticket|account|timestamp|id|uuid)\b"
    r"[ a-z.:#=]{0,12}$",
    re.IGNORECASE,
)
_TEST_CARDS = frozenset(
    "4242424242424242 4000056655665556 4111111111111111 4012888888881881 4222222222222 5555555555554444 5105105105105100 2223003122003222 "
    "2223000048400011 5200828282828210 378282246310005 371449635398431 378734493671000 6011111111111117 6011000990139424 3056930009020004 "
    "36227206271667 30569309025904 38520000023237 3566002020360505 3530111333300000 6200000000000005 4000000000000002 4000002500003155 "
    "4532015112830366 4539578763621486 4000000000009995 4716258050958645 79927398713".split()
)


def _cards(text: str) -> Pairs:
    for match in _CARD.finditer(text):
        before = text[max(0, match.start() - 48) : match.start()]
        named = _CARD_NAMED.search(before) is not None
        for end in _token_ends(match[0]):
            digits = match[0][:end].replace(" ", "").replace("-", "")
            if _is_card(digits, named=named) and (named or not _NO_CARD.search(before)):
                yield match.start(), match.start() + end
                break


def _is_card(digits: str, *, named: bool) -> bool:
    issued = _NETWORKS.fullmatch(digits) or (named and _MAESTRO.fullmatch(digits))
    return bool(issued) and digits not in _TEST_CARDS and len(set(digits)) >= 4 and luhn.is_valid(digits)


_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}")
_EXAMPLE_IBANS = frozenset(
    (
        "GB82WEST12345698765432 GB29NWBK60161331926819 GB33BUKB20201555555555 DE89370400440532013000 DE91100000000123456789 "
        "DE75512108001245126199 FR1420041010050500013M02606 FR7630006000011234567890189 ES9121000418450200051332 "
        "IT60X0542811101000000123456 NL91ABNA0417164300 NL02ABNA0123456789 BE68539007547034 CH9300762011623852957 AT611904300234573201 "
        "SE4550000000058398257466 PL61109010140000071219812874 "
    ).split()
)


def _ibans(text: str) -> Pairs:
    for match in _IBAN.finditer(text):
        for end in _token_ends(match[0]):
            compact = match[0][:end].replace(" ", "").replace("-", "")
            if len(compact) >= 15 and compact not in _EXAMPLE_IBANS and _is_iban(compact):
                yield match.start(), match.start() + end
                break


def _token_ends(candidate: str) -> Iterator[int]:
    """Where words of the candidate end, the longest first: what follows ("… 68 OR …", "… 8462 2. Then") may look like a part of it."""
    yield len(candidate)
    yield from (index for index in range(len(candidate) - 1, 0, -1) if candidate[index] in " -")


def _is_iban(compact: str) -> bool:
    try:
        iban.validate(compact, check_country=False)  # mod 97 and the registry's lengths; banks' inner check digits differ in age
    except iban.ValidationError:
        return False
    return True


# --- networks ------------------------------------------------------------------------------------------------------------------

_DIGIT_DOT_DIGIT = re.compile(r"\d\.\d")
_IPV4 = re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\w|-\d|/\d)")
_IPV6 = re.compile(r":[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]{0,34}")
_IPV6_HEAD = re.compile(r"[0-9A-Fa-f]{1,4}$")
_IP_NAMED = re.compile(
    r"\b(?:ips?|ipv[46]|address(?:es)?|host|server|client|login|logged|gateway|from|connect\w{0,4}|blocked|ping)\b", re.I
)
_VERSION = re.compile(
    r"\b(?:versions?|v|ver|release|build|firmware|driver|oid|section|chapter|clause|rev|revision|update|upgrade to)[ :.#=]{0,3}$", re.I
)
_WELL_KNOWN = frozenset("8.8.8.8 8.8.4.4 1.1.1.1 1.0.0.1 9.9.9.9 149.112.112.112 208.67.222.222 208.67.220.220 4.2.2.2 1.2.3.4".split())


def _ip_addresses(text: str) -> Pairs:
    if text.count(".") >= 3 and _DIGIT_DOT_DIGIT.search(text):
        for match in _IPV4.finditer(text):
            before = text[max(0, match.start() - 40) : match.start()]
            if _is_public(match[0]) and not _VERSION.search(before) and not (_is_version_like(match[0]) and not _IP_NAMED.search(before)):
                yield match.span()
    if text.count(":") >= 2:
        yield from _ipv6_addresses(text)


def _ipv6_addresses(text: str) -> Pairs:
    for match in _IPV6.finditer(text):
        head = _IPV6_HEAD.search(text[max(0, match.start() - 4) : match.start()])
        start, end = match.start() - (len(head[0]) if head else 0), match.end()
        value = text[start:end].rstrip(":") if not text[start:end].endswith("::") else text[start:end]
        before, after = text[start - 1 : start], text[start + len(value) : start + len(value) + 1]
        groups = [group for group in value.split(":") if group]
        if len(groups) >= 4 and not before.isalnum() and not after.isalnum() and any(map(str.isdigit, value)) and _is_public(value):
            yield start, start + len(value)


def _is_public(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if address in _WELL_KNOWN or parsed.is_private or parsed.is_multicast or parsed.is_link_local or parsed.is_unspecified:
        return False
    return parsed.version == 6 or (parsed.is_global and not parsed.is_reserved and address.split(".")[0] != "0")


def _is_version_like(address: str) -> bool:
    return all(int(part) < 32 for part in address.split(".")) or address.endswith(".0.0")


_MAC = re.compile(r"(?<![\w:-])[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![\w:-])")
_EXAMPLE_MAC = re.compile(
    r"(?:00){6}|(?:ff){6}|001a2b3c4d5e|aabbccddeeff|0123456789ab|1234567890ab|112233445566|001122334455|00005e0053..|01005e", re.I
)


def _mac_addresses(text: str) -> Pairs:
    for match in _MAC.finditer(text):
        if not _EXAMPLE_MAC.match(match[0].replace(":", "").replace("-", "")):
            yield match.span()


# --- papers, wallets, birthdays -------------------------------------------------------------------------------------------------

_PAPER_NUMBER = r"(?:\s{0,2}(?:number|num|no|nr|id|is|was|numéro|#|:|\.|\()){0,4}\s{0,2}([A-Z]{0,5}\d[A-Z0-9-]{5,18})(?![\w-])"
_PASSPORT = re.compile(r"(?i:passports?|passeport|reisepass|pasaporte)" + _PAPER_NUMBER.replace("(?:number", "(?i:number"))
_LICENCE = re.compile(r"(?i:driv(?:er|ing|er'?s|ers'?|er’s) ?licen[cs]e|führerschein)" + _PAPER_NUMBER.replace("(?:number", "(?i:number"))


def _papers(pattern: re.Pattern[str], text: str) -> Pairs:
    for match in pattern.finditer(text):
        digits = [character for character in match[1] if character.isdigit()]
        if len(digits) >= 5 and len(set(digits)) > 1 and "".join(digits)[:6] != "123456":
            yield match.span(1)


def _passports(text: str) -> Pairs:
    return _papers(_PASSPORT, text)


def _licences(text: str) -> Pairs:
    return _papers(_LICENCE, text)


_BITCOIN_CHARS = 26  # the shortest of the older addresses
_BITCOIN = re.compile(r"(?<!\w)(?:[13][1-9A-HJ-NP-Za-km-z]{25,34}|bc1[02-9ac-hj-np-z]{11,71})(?!\w)")
_ETHEREUM = re.compile(r"0x[0-9a-fA-F]{40}(?!\w)")


def _wallets(text: str) -> Pairs:
    if (longest_run(text) >= _BITCOIN_CHARS or "bc1" in text) and _BITCOIN.search(
        " ".join([run for run in text.split() if len(run) >= 14])
    ):
        for match in _BITCOIN.finditer(text):
            if bitcoin.is_valid(match[0]):
                yield match.span()
    if "0x" in text:
        for match in _ETHEREUM.finditer(text):
            if len(set(match[0][2:].lower())) > 6 and "1234567" not in match[0]:
                yield match.span()


_BIRTH = re.compile(
    r"\b(?:born(?: on)?|date of birth|birth ?date|dob|birthday(?: is)?)[ :=(]{1,3}"
    r"(\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d{1,2}\.? [A-Z][a-z]{2,8},? \d{4}|[A-Z][a-z]{2,8} \d{1,2}(?:st|nd|rd|th)?,? \d{4})",
    re.IGNORECASE,
)


def _birth_dates(text: str) -> Pairs:
    return (match.span(1) for match in _BIRTH.finditer(text))


def _digits(look: _Look) -> bool:
    return look.has_digits


def _may_hold_address(look: _Look) -> bool:
    return look.text.count(".") >= 3 or look.text.count(":") >= 2


def _may_hold_mac(look: _Look) -> bool:
    return look.text.count(":") >= _MAC_MARKS or look.text.count("-") >= _MAC_MARKS


def _may_hold_wallet(look: _Look) -> bool:
    return longest_run(look.text) >= _BITCOIN_CHARS or "bc1" in look.text or "0x" in look.text


# How a kind is found, and a cheap question whose "no" is certain.
_FINDERS: dict[Kind, tuple[Callable[[str], Pairs], Callable[[_Look], bool]]] = {
    "email": (_emails, lambda look: "@" in look.text),
    "phone": (_phones, _digits),
    "card_number": (_cards, _digits),
    "iban": (_ibans, _digits),
    "national_id": (find_national_ids, _digits),
    "ip_address": (_ip_addresses, _may_hold_address),
    "mac_address": (_mac_addresses, _may_hold_mac),
    "passport": (_passports, lambda look: any(map(look.lowered.__contains__, ("passport", "passeport", "reisepass", "pasaporte")))),
    "driving_licence": (_licences, lambda look: "licen" in look.lowered or "führerschein" in look.lowered),
    "crypto_address": (_wallets, _may_hold_wallet),
    "birth_date": (_birth_dates, lambda _: True),
}
