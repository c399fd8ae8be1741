"""National identification numbers that carry a checksum or a fixed shape: where in a text they stand.

A number whose shape alone is common (nine or eleven digits) counts only with a word near it that says what it is, and only if its own
checksum holds (python-stdnum, after each country's published rule). US social security numbers and UK National Insurance numbers have
no checksum; their issuing rules are applied instead (SSA: no area 000, 666 or 900-999, no group 00, no serial 0000; HMRC: no prefix BG,
GB, KN, NK, NT, TN or ZZ). Numbers that the authorities published as never issued, and obvious placeholders, are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from stdnum.be import nn as belgian
from stdnum.br import cpf as brazilian
from stdnum.ca import sin as canadian
from stdnum.ch import ssn as swiss
from stdnum.de import idnr as german
from stdnum.dk import cpr as danish
from stdnum.es import dni as spanish
from stdnum.es import nie as spanish_foreigner
from stdnum.fi import hetu as finnish
from stdnum.fr import nir as french
from stdnum.ie import pps as irish
from stdnum.in_ import aadhaar as indian
from stdnum.it import codicefiscale as italian
from stdnum.nl import bsn as dutch
from stdnum.pl import pesel as polish
from stdnum.pt import nif as portuguese
from stdnum.se import personnummer as swedish


class _Number(NamedTuple):
    shape: re.Pattern[str]
    valid: Callable[[str], bool]
    named: re.Pattern[str] | None  # what must stand shortly before it; None where shape and checksum say enough


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE)


_NAMED_WITHIN = 48  # characters before the number in which its name is looked for

_NUMBERS = (
    _Number(
        re.compile(r"(?<!\w)\d{2}[ ]?\d{3}[ ]?\d{3}[ ]?\d{3}(?!\w)"), german.is_valid, _words("steuer-?id\\w*|idnr|steuerliche|tax id")
    ),
    _Number(
        re.compile(r"(?<!\w)[12][ ]?\d{2}[ ]?\d{2}[ ]?\d[\dAB][ ]?\d{3}[ ]?\d{3}[ ]?\d{2}(?!\w)"),
        french.is_valid,
        _words("nir|s[ée]curit[ée] sociale|num[ée]ro de s[ée]cu|insee|social security"),
    ),
    _Number(re.compile(r"(?<!\w)\d{8}-?[A-HJ-NP-TV-Z](?!\w)"), spanish.is_valid, None),
    _Number(re.compile(r"(?<!\w)[XYZ]-?\d{7}-?[A-HJ-NP-TV-Z](?!\w)"), spanish_foreigner.is_valid, None),
    _Number(re.compile(r"(?<!\w)[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z](?!\w)"), italian.is_valid, None),
    _Number(re.compile(r"(?<!\w)\d{4}[. ]?\d{2}[. ]?\d{3}(?!\w)"), dutch.is_valid, _words("bsn|burgerservicenummer|sofinummer")),
    _Number(re.compile(r"(?<!\w)\d{11}(?!\w)"), polish.is_valid, _words("pesel")),
    _Number(re.compile(r"(?<!\w)\d{3}\.\d{3}\.\d{3}-\d{2}(?!\w)"), brazilian.is_valid, None),
    _Number(re.compile(r"(?<!\w)\d{11}(?!\w)"), brazilian.is_valid, _words("cpf")),
    _Number(re.compile(r"(?<!\w)\d{4}[ -]?\d{4}[ -]?\d{4}(?!\w)"), indian.is_valid, _words("aadhaar|aadhar|uidai")),
    _Number(re.compile(r"(?<!\w)\d{3}[ -]?\d{3}[ -]?\d{3}(?!\w)"), canadian.is_valid, _words("sin|social insurance")),
    _Number(re.compile(r"(?<!\w)(?:19|20)?\d{6}[-+]\d{4}(?!\w)"), swedish.is_valid, _words("personnummer|personal identity number|pnr")),
    _Number(re.compile(r"(?<!\w)\d{6}-\d{4}(?!\w)"), danish.is_valid, _words("cpr\\w*")),
    _Number(re.compile(r"(?<!\w)\d{6}[-+A]\d{3}[0-9A-Y](?!\w)"), finnish.is_valid, _words("hetu|henkil[öo]tunnus")),
    _Number(
        re.compile(r"(?<!\w)\d{2}\.?\d{2}\.?\d{2}-?\d{3}\.?\d{2}(?!\w)"),
        belgian.is_valid,
        _words("rijksregister\\w*|registre national|nrn"),
    ),
    _Number(re.compile(r"(?<!\w)756\.\d{4}\.\d{4}\.\d{2}(?!\w)"), swiss.is_valid, None),
    _Number(re.compile(r"(?<!\w)\d{7}[A-W][A-IW]?(?!\w)"), irish.is_valid, _words("ppsn?|personal public service")),
    _Number(re.compile(r"(?<!\w)[1-35]\d{2}[ ]?\d{3}[ ]?\d{3}(?!\w)"), portuguese.is_valid, _words("nif|contribuinte")),
)

_ANY_SHAPE = re.compile(r"\d(?:[ .+-]?[\dA-Z]){6}")  # what all of them hold: from the first digit on, seven digits or capitals
_SSN = re.compile(r"(?<![\w.-])(\d{3})([- ]?)(\d{2})\2(\d{4})(?![\w-]|\.\d)")
_SSN_NAMED = _words("ssn|ssns|social security|social|taxpayer|tax id|itin")
_SSN_NEVER_ISSUED = frozenset({"078051120", "219099999", "123456789", "111111111", "123121234", "111223333", "333333333"})
_NINO = re.compile(r"(?<!\w)([A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z])[ -]?(\d{2})[ -]?(\d{2})[ -]?(\d{2})[ -]?[A-D](?!\w)")
_NINO_UNUSED = frozenset({"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"})
_OTHER_NUMBER = re.compile(
    r"\b(?:part|order|item|model|serial|sku|ref|reference|invoice|ticket|case|catalog(?:ue)?|product|lot|batch)\b[ a-z.:#]{0,12}$",
    re.IGNORECASE,
)


def find_national_ids(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of every national identification number in `text`; the same stretch may come twice."""
    if _ANY_SHAPE.search(text) is None:
        return
    yield from _social_security_numbers(text)
    yield from _insurance_numbers(text)
    for number in _NUMBERS:
        for match in number.shape.finditer(text):
            if _is_named(number.named, text, match.start()) and _is_not_repeated(match[0]) and number.valid(match[0]):
                yield match.span()


def _social_security_numbers(text: str) -> Iterator[tuple[int, int]]:
    for match in _SSN.finditer(text):
        area, separator, group, serial = match.groups()
        if area in ("000", "666") or area[0] == "9" or group == "00" or serial == "0000" or area + group + serial in _SSN_NEVER_ISSUED:
            continue
        is_sum = text[match.end() : match.end() + 3].lstrip(" ").startswith("=")
        shaped = separator == "-" and not is_sum and not _OTHER_NUMBER.search(text[max(0, match.start() - 32) : match.start()])
        if shaped or _is_named(_SSN_NAMED, text, match.start()):
            yield match.span()


def _insurance_numbers(text: str) -> Iterator[tuple[int, int]]:
    for match in _NINO.finditer(text):
        digits = match[2] + match[3] + match[4]
        if match[1] not in _NINO_UNUSED and digits != "123456" and _is_not_repeated(digits):
            yield match.span()


def _is_named(named: re.Pattern[str] | None, text: str, start: int) -> bool:
    return named is None or named.search(text[max(0, start - _NAMED_WITHIN) : start]) is not None


def _is_not_repeated(value: str) -> bool:
    return len({character for character in value if character.isdigit()}) > 1
