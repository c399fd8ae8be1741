"""The final answer of a worked solution: what stands after `####`, in `\\boxed{}` or after "the answer is", and whether two are the same.

The marks are those of GSM8K (`####`), MATH (`\\boxed`) and the chain-of-thought prompts of Kojima et al. 2022 ("the answer is").
"""

from __future__ import annotations

import re
from fractions import Fraction

_HASHES = re.compile(r"^\s{0,8}####\s{0,8}([^\n]{1,200})$", re.MULTILINE)
_BOXED = re.compile(r"\\boxed\s{0,3}\{((?:[^{}]|\{[^{}]{0,100}\}){1,200})\}")
_SAID = re.compile(
    r"\b(?:the\s{1,3}(?:final\s{1,3}|correct\s{1,3})?answer\s{1,3}is|(?:final\s{1,3})?answer\s{0,3}:)\s{0,3}:?\s{0,3}([^\n]{1,200})",
    re.IGNORECASE,
)
_REASONS = re.compile(r"[.;!](?:\s|$)|,?\s(?:because|since|which|so|and|with)\s")  # where "the answer is 42" goes on with more
_CHOICE = re.compile(r"\(?([A-Ja-j])\)?(?:[.:),]|\s|$)")
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3}){1,8}|\d{1,30})(?:\.\d{1,20})?(?:\s{0,2}/\s{0,2}\d{1,12})?")
_FRACTION = re.compile(r"\\[dt]?frac\s?\{(-?\d{1,12})\}\s?\{(\d{1,12})\}")
_SHORTEST = 6  # words: a whole reply of no more is its own final answer
_TOLERANCE = 1e-5  # relative: a third, written with six digits or as a fraction
_CAP = 40_000


def final_answer(text: str) -> str | None:
    """The last marked answer, else the whole of a very short text; None for a text that just tells.

    >>> final_answer("6 × 7 = 42.\\n#### 42"), final_answer("So the answer is **42**, because 6 × 7 = 42."), final_answer("Yes.")
    ('42', '42', 'Yes')
    >>> final_answer("It depends on the weather, on the road and on the driver.") is None
    True
    """
    head = text[-_CAP:]
    for pattern in (_HASHES, _BOXED):
        if found := pattern.findall(head):
            return _trimmed(found[-1]) or None
    if found := _SAID.findall(head):
        return _trimmed(_REASONS.split(found[-1], maxsplit=1)[0]) or None
    return (_trimmed(head) or None) if len(head.split()) <= _SHORTEST else None


def same_answer(one: str, other: str) -> bool:
    """Whether two final answers say the same: the same number (units aside), the same choice letter, or the same words.

    >>> same_answer("$1,250.00", "1250 dollars"), same_answer("1/3", "0.333333"), same_answer("(b) Rome", "B"), same_answer("Rome", "rome.")
    (True, True, True, True)
    >>> same_answer("42", "43"), same_answer("12 km", "Rome")
    (False, False)
    """
    numbers = _number(one), _number(other)
    if numbers[0] is not None and numbers[1] is not None:
        return abs(numbers[0] - numbers[1]) <= _TOLERANCE * max(abs(numbers[0]), abs(numbers[1]))
    if (numbers[0] is None) != (numbers[1] is None):
        return False
    letters = _CHOICE.match(one), _CHOICE.match(other)
    if letters[0] and letters[1]:
        return letters[0].group(1).lower() == letters[1].group(1).lower()
    return _words(one) == _words(other)


def _trimmed(text: str) -> str:
    return " ".join(text.split()).strip(" *_`$.:").removeprefix("\\(").removesuffix("\\)").strip()


def _number(text: str) -> Fraction | None:
    """The only number of a final answer; None where there is none or several."""
    plain = _FRACTION.sub(r"\1/\2", text).replace("\\,", "").replace("{,}", ",")
    found = _NUMBER.findall(plain)
    if len(found) != 1:
        return None
    top, _, bottom = found[0].replace(",", "").replace(" ", "").partition("/")
    return Fraction(top) / Fraction(bottom) if bottom and int(bottom) else Fraction(top)


def _words(text: str) -> list[str]:
    return re.findall(r"\w{1,64}", text.casefold())
