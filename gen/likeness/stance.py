"""Two answers to one question that cannot both be right: yes and no, numbers that differ, two different choices, a claim and its denial.

A rule for finding what a person should read, no judge. Numbers of the question and of list markers don't count, and only answers without
any number in common are named; choices are letters ("B.") and what the question puts up with "or"; denials and short answers are compared
only where an answer is little more than that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gen.likeness.reading import read

_MAX_CHARS = 4_000  # of an answer: a longer one holds so many numbers that two share one
_MAX_NUMBERS = 40
_CLAIM_CHARS = 240  # up to here an answer is one claim, which a "not" turns round
_NAME_WORDS = 4  # up to here it is a mere name, date or thing
_LEAD_CHARS = 200  # of an answer, in which it says what it chose
_YES = "yes|yeah|true|correct|ja|oui|sí|sim|да"
_NO = "no|nope|false|incorrect|nein|non|não|nee|нет"
_POLARITY = re.compile(rf"\W{{0,4}}(?:({_YES})|({_NO}))\s?(?:$|[,.;:!\n—–-])", re.IGNORECASE)
_MARKER = re.compile(r"(?m)^\s{0,8}\d{1,3}[.)]\s")
_NUMBER = re.compile(r"\d{1,15}(?:,\d{3}){0,5}(?:\.\d{1,12})?")
_LETTER = re.compile(
    r"^[\s*(\[]{0,4}([A-H])(?:[).:\]*]|\s{0,3}$)|\b(?:[Aa]nswer|[Oo]ption|[Cc]hoice)(?: is)?:? {0,2}[*(\[]{0,3}([A-H])\b(?! [a-z])",
    re.ASCII,
)
_EITHER = re.compile(r"\b([^\W\d_][\w'+#-]{1,30}),?\s{1,2}or\s{1,2}(?:(?:an?|the)\s{1,2})?([^\W\d_][\w'+#-]{1,30})")
_FACT_ASKED = re.compile(r"\W{0,4}(?:who|what|where|when|which|in which|in what|at what)\b", re.IGNORECASE)
_MANY_ANSWERS = re.compile(
    r"\b(?:an?|some|any|one|your?|could|would|should|might|example|idea|suggest|describe)\b", re.IGNORECASE
)  # "what is a good name …" has many


@dataclass(frozen=True, slots=True)
class Stance:
    """What an answer commits to: yes (1), no (-1) or neither (0); its numbers; its choice; the words of a short answer in canonical form,
    and whether they are the whole of what was asked for."""

    polarity: int
    numbers: tuple[str, ...]
    choice: str = ""
    claim: frozenset[str] = frozenset()
    is_name: bool = False

    def pack(self) -> bytes:
        """The stance in some hundred bytes, for a memory of a million."""
        parts = (str(self.polarity), " ".join(self.numbers), self.choice, " ".join(sorted(self.claim)), "1" if self.is_name else "")
        return "\n".join(parts).encode("utf-8", "surrogatepass")


def unpack(packed: bytes) -> Stance:
    """The stance that `Stance.pack` packed."""
    polarity, numbers, choice, claim, is_name = packed.decode("utf-8", "surrogatepass").split("\n")
    return Stance(int(polarity), tuple(numbers.split()), choice, frozenset(claim.split()), bool(is_name))


def stance(question: str, answer: str) -> Stance:
    """What `answer` commits to.

    >>> stance("Is 7 prime?", "Yes, 7 has the divisors 1 and 7 …" + " and so on" * 30), stance("How long?", "1,000.50 days").numbers
    (Stance(polarity=1, numbers=('1',), choice='', claim=frozenset(), is_name=False), ('1000.50',))
    >>> stance("Tea or coffee?", "Coffee, of course.").choice
    'coffee'
    """
    found = _POLARITY.match(answer)
    polarity = 0 if found is None else 1 if found.group(1) else -1
    given = set(_numbers(question))
    numbers = tuple(dict.fromkeys(number for number in _numbers(answer) if number not in given))[:_MAX_NUMBERS]
    claim = read(answer).meanings if len(answer) <= _CLAIM_CHARS else frozenset()
    asks_fact = bool(_FACT_ASKED.match(question)) and not _MANY_ANSWERS.search(question[:_LEAD_CHARS])
    return Stance(polarity, numbers, _choice(question, answer), claim, asks_fact and len(answer.split()) <= _NAME_WORDS)


def contradict(one: Stance, other: Stance) -> str:
    """How two stances contradict each other: `polarity`, `number`, `choice`, `negation`, `answer`, or not at all.

    >>> contradict(Stance(1, ()), Stance(-1, ("4",))), contradict(Stance(0, ("30",)), Stance(0, ("72",)))
    ('polarity', 'number')
    >>> contradict(stance("Is it safe?", "It is safe to eat."), stance("Is it safe?", "It is not safe to eat."))
    'negation'
    """
    if one.polarity * other.polarity < 0:
        return "polarity"
    if one.numbers and other.numbers and set(one.numbers).isdisjoint(other.numbers):
        return "number"
    if one.choice and other.choice and one.choice != other.choice:
        return "choice"
    if one.claim and other.claim and one.claim ^ other.claim == {"not"}:
        return "negation"
    if one.is_name and other.is_name and one.claim and other.claim and one.claim.isdisjoint(other.claim):
        return "answer"
    return ""


def _choice(question: str, answer: str) -> str:
    """The letter that the answer gives, or the one of the things put up with "or" in the question that its beginning names; lower-cased."""
    lead = answer[:_LEAD_CHARS]
    if letter := _LETTER.search(lead):
        return (letter.group(1) or letter.group(2)).lower()
    said = set(re.findall(r"[^\W\d_][\w'+#-]{0,30}", lead.lower()))
    for left, right in _EITHER.findall(question[:_MAX_CHARS].lower()):
        if (left in said) != (right in said):
            return str(left if left in said else right)
    return ""


def _numbers(text: str) -> list[str]:
    return [number.replace(",", "") for number in _NUMBER.findall(_MARKER.sub(" ", text[:_MAX_CHARS]))]
