"""Opinions: a score, a choice between answers, a yes or no, a critique, a word on safety. They follow `text_quality`, with some noise."""

from __future__ import annotations

import json
import re
from random import Random

from gen.simulator.asked import Asked
from gen.simulator.lexicon import content_words, focus_phrases
from gen.simulator.text_quality import faults, quality

_PRAISE = (
    "The answer addresses {focus} directly and gives steps that can be followed.",
    "It stays with {focus}, is well ordered and gives a reason for each claim.",
    "Clear and usable: {focus} is treated with an example and a caution.",
    "The main points on {focus} are there and hang together.",
)
_MIXED = (
    "The answer covers {focus}, but some of its advice stays general.",
    "It is on topic, yet a concrete example for {focus} would make it stronger.",
    "Useful in parts; the link between its advice and {focus} could be tighter.",
    "Mostly sound, though the order of its points on {focus} is not obvious.",
)
_BAD = ("The answer falls short because {faults}.", "Little can be gained from it: {faults}.", "It does not serve the reader, as {faults}.")
_ABOUT_CLAIM = {
    "supported": "The evidence says so in other words.",
    "refuted": "The evidence says something that cannot be true at the same time.",
    "not_found": "The evidence is about something else.",
}
_WEAKNESSES = (
    "It names no example for {focus}.",
    "The first sentence could answer the question about {focus} more directly.",
    "One claim on {focus} is stated without a reason.",
    "It does not say under which conditions the advice would be wrong.",
    "The steps have no order in time.",
    "The closing sentence repeats what was said before.",
)
# Words of moderation categories; a coarse list, enough to tell plainly harmful requests from ordinary ones.
HARM_WORDS: dict[str, tuple[str, ...]] = {
    "violence": ("kill ", "murder", "poison ", "stab ", "attack someone"),
    "illicit": ("bomb", "launder stolen", "hack into", "break into", "counterfeit", "steal ", "explosive", "without being noticed"),
    "hate": ("inferior race", "ethnic cleansing"),
    "self-harm": ("kill myself", "hurt myself", "suicide method"),
    "harassment": ("you are worthless", "stalk "),
}
_NEGATIVE_CUES = re.compile(r"not equal|unequal", re.I)
_LETTER = re.compile(r"(?:^|[\s_\"'=(-])([A-Da-d]|\d{1,2})[\"')]?$")
CATEGORIES = ("explanation", "advice", "planning", "comparison", "procedure", "records", "money", "law", "daily life", "technology")
_REWARDS = (-20.0, 10.0)  # about the range of reward models trained on pairs
_NOISE = 0.1  # how far one opinion may be from the text's quality, on a scale of 1


def score(asked: Asked, rng: Random, *, answer: str | None = None, low: float | None = None, high: float | None = None) -> float:
    """A number in the asked range for an answer, the first candidate unless given."""
    low, high = asked.low if low is None else low, asked.high if high is None else high
    text = judged_text(asked) if answer is None else answer
    value = quality(text, asked.text) + rng.uniform(-_NOISE, _NOISE)
    return low + (high - low) * min(1.0, max(0.0, value))


def judged_text(asked: Asked) -> str:
    """What is being judged: the first candidate answer, else the text itself."""
    return asked.candidates[0].text if asked.candidates else asked.text


def reason(asked: Asked, rng: Random, *, answer: str | None = None) -> str:
    """Why an answer got its score."""
    text = judged_text(asked) if answer is None else answer
    found = faults(text)
    focus = _focus(asked, rng)
    if found:
        return rng.choice(_BAD).format(faults=" and ".join(found))
    return rng.choice(_PRAISE if quality(text, asked.text) > 0.7 else _MIXED).format(focus=focus)


def labels(asked: Asked) -> list[str]:
    """The candidates' names: the letter or number at the end of each label, else A, B, C …"""
    found = [_LETTER.search(block.label.strip()) for block in asked.candidates]
    if all(found) and len({match.group(1) for match in found if match}) == len(found):
        return [match.group(1).upper() for match in found if match]
    return [chr(ord("A") + place) for place in range(len(asked.candidates))]


def ranking(asked: Asked, rng: Random) -> list[int]:
    """The candidates' places, best first."""
    values = [quality(block.text, asked.text) + rng.uniform(-_NOISE, _NOISE) for block in asked.candidates]
    return sorted(range(len(values)), key=lambda place: -values[place])


def yes(asked: Asked, rng: Random) -> bool:
    """The answer to a yes/no question: no where a claim shares too little with its document or an answer is at fault, else mostly yes."""
    if asked.document and asked.candidates:
        return supported(asked.candidates[0].text, asked.document)
    if asked.candidates and faults(asked.candidates[0].text):
        return False
    return rng.random() < 0.92


def write_verdict(asked: Asked, rng: Random) -> str:
    """The opinion as plain text, for a prompt that asks for no JSON."""
    if asked.kind == "safety":
        return safety(f"{asked.text} {' '.join(block.text for block in asked.candidates)}")
    if asked.kind == "reward":
        return f"reward:{score(asked, rng, low=_REWARDS[0], high=_REWARDS[1]):.4f}"
    if asked.kind == "critique":
        return _critique(asked, rng)
    if asked.kind == "yes_no":
        return _yes_no(asked, rng)
    if asked.kind == "compare":
        return _comparison(asked, rng)
    number = round(score(asked, rng))
    if re.search(
        r"only (?:with )?(?:the|a|one) (?:number|score|rating|digit|integer)|single (?:number|digit|integer)|just the number",
        asked.frame,
        re.I,
    ):
        return str(number)
    if "[[" in asked.frame:
        return f"{reason(asked, rng)}\n\nRating: [[{number}]]"
    return f"Score: {number}\n{reason(asked, rng)}"


def safety(text: str) -> str:
    """A guard model's answer: `safe`, or `unsafe` and the category on the second line."""
    found = harms(text)
    return f"unsafe\nS{1 if 'violence' in found else 2}" if found else "safe"


def harms(text: str) -> list[str]:
    """The moderation categories that `text` touches."""
    lowered = f"{text[:20_000].lower()} "
    return [category for category, words in HARM_WORDS.items() if any(word in lowered for word in words)]


def likelihood(asked: Asked, rng: Random) -> float:
    """How likely a reader minds the text, from 0 to 1."""
    return rng.uniform(0.8, 0.95) if harms(asked.text) else rng.uniform(0.01, 0.12)


def claim_verdicts(asked: Asked, rng: Random) -> str:
    """A verdict on each claim by the evidence that follows it, as JSON."""
    found: list[dict[str, str | int]] = []
    for place, claim in enumerate(asked.candidates):
        if not claim.label.lower().startswith("claim"):
            continue
        evidence = asked.candidates[place + 1].text if place + 1 < len(asked.candidates) else ""
        verdict = "supported" if supported(claim.text, evidence) else rng.choice(("refuted", "not_found", "not_found"))
        found.append({"number": len(found) + 1, "reason": _ABOUT_CLAIM[verdict], "verdict": verdict})
    return json.dumps({"verdicts": found})


def same_task(asked: Asked) -> bool:
    """Whether two instructions that are to be compared hardly differ."""
    first, second = set(content_words(asked.text)), set(content_words(asked.candidates[0].text if asked.candidates else ""))
    return bool(first) and len(first & second) >= 0.9 * max(len(first), len(second))


def supported(claim: str, document: str) -> bool:
    """Whether at least half of a claim's content words occur in the document."""
    words = set(content_words(claim))
    return not words or len(words & set(content_words(document))) >= 0.5 * len(words)


def _yes_no(asked: Asked, rng: Random) -> str:
    if _NEGATIVE_CUES.search(asked.frame):
        return "Equal" if same_task(asked) or rng.random() < 0.06 else "Not Equal"
    if re.search(r"\btrue or false\b", asked.frame, re.I):
        return "True" if yes(asked, rng) else "False"
    return "Yes" if yes(asked, rng) else "No"


def _comparison(asked: Asked, rng: Random) -> str:
    order, names = ranking(asked, rng), labels(asked)
    if re.search(r"\brank", asked.frame, re.I):
        return " > ".join(names[place] for place in order)
    best = names[order[0]]
    if "[[" in asked.frame:
        return f"{reason(asked, rng, answer=asked.candidates[order[0]].text)}\n\n[[{best}]]"
    if re.search(r"\bonly\b|single letter|one letter", asked.frame, re.I):
        return best
    return f"{best}\n{reason(asked, rng, answer=asked.candidates[order[0]].text)}"


def _critique(asked: Asked, rng: Random) -> str:
    found = [f"{fault[0].upper()}{fault[1:]}." for fault in faults(judged_text(asked))]
    points = [*found, *(point.format(focus=_focus(asked, rng)) for point in rng.sample(_WEAKNESSES, 3))]
    return "\n".join(f"- {point}" for point in points[:4])


def _focus(asked: Asked, rng: Random) -> str:
    return rng.choice(focus_phrases(asked.text)[:6] or ["the question"])
