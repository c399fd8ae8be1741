"""The words of a field: one file per domain in domains/, found by the cues in a text; any other topic gets words made of its own.

A domain file names its domain in the first line and then holds one section per kind of phrase, phrases separated by semicolons. Adding
a domain is adding a file.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "domains"
WORDS = re.compile(r"[a-z0-9][a-z0-9'-]{0,40}")

STOP_WORDS = frozenset(
    """a about above after again all also an and any are as at be because been before being below between both but by can could did do does
    doing down during each few for from further had has have having he her here hers him his how i if in into is it its itself just let me
    might more most must my new no nor not now of off on once one only or other our out over own per please same she should so some such
    than that the their them then there these they this those through to too under until up upon us very was we were what when where which
    while who whom why will with within without would you your yours yourself""".split()
)
# Words that say what to do with a topic rather than what the topic is.
TASK_WORDS = frozenset(
    """answer answers apply ask asked brief briefly choose classify compare concise consider create decide describe detail details
    detailed difference discuss draft each evaluate example examples explain five following four generate give given help helps identify
    instruction instructions list make name need needs outline paragraph people plan propose provide question questions reply respond
    review rewrite say sentence sentences short show steps suggest summarise summarize task tasks tell ten text think three topic two use
    using want well word words work works write""".split()
)


@dataclass(frozen=True)
class Domain:
    """Phrases by kind. Aspects, records and risks are noun phrases, actors noun phrases that take a singular verb, situations whole
    clauses, goals and measures verbs in their base form with an object, settings kinds of organisation or place."""

    name: str
    cues: tuple[str, ...]
    aspects: tuple[str, ...]
    actors: tuple[str, ...]
    situations: tuple[str, ...]
    records: tuple[str, ...]
    goals: tuple[str, ...]
    measures: tuple[str, ...]
    risks: tuple[str, ...]
    settings: tuple[str, ...]


PHRASE_KINDS = ("aspects", "actors", "situations", "records", "goals", "measures", "risks", "settings")


@cache
def domains() -> tuple[Domain, ...]:
    """Every domain that has a file, by file name."""
    return tuple(_read(path) for path in sorted(FOLDER.glob("*.txt")))


def find_domain(text: str) -> Domain | None:
    """The domain whose cues occur most in `text` (longer cues count more), None when there is none; of `text` 4,000 characters count."""
    lowered = text[:4000].lower()
    words = set(WORDS.findall(lowered))
    points: Counter[int] = Counter()
    for word in words & _single_cues().keys():
        for place in _single_cues()[word]:
            points[place] += 1
    for cue, place in _phrase_cues():
        if cue in lowered:
            points[place] += 3
    if not points:
        return None
    best = max(points.values())
    return domains()[min(place for place, value in points.items() if value == best)]


@cache
def domain_for(topic: str, context: str = "") -> Domain:
    """The domain to write about `topic` in: a known one, with the topic's own words mixed in where it goes beyond the domain's name, or
    one made of the topic alone. `context` (a persona, a system prompt) helps where the topic has no cue of its own."""
    known = find_domain(topic) or find_domain(context)
    if known is None:
        return _made(topic or context)
    if not topic or set(content_words(topic)) <= set(content_words(f"{known.name} {' '.join(known.cues)}")):
        return known
    extra = _aspects_of(topic)[:8]
    return Domain(**{**_as_dict(known), "aspects": (*known.aspects, *extra)})


def content_words(text: str) -> list[str]:
    """The words of `text` that carry its content, lower-cased, in order, each once."""
    words = WORDS.findall(text[:4000].lower())
    return list(dict.fromkeys(word for word in words if len(word) > 2 and word not in STOP_WORDS and word not in TASK_WORDS))


def focus_phrases(text: str) -> list[str]:
    """Runs of one to three neighbouring content words of `text`, in order: what a text that nobody prepared for is about."""
    runs: list[str] = []
    for clause in re.split(r"[.,;:!?()\[\]{}\"“”|\n]", text[:2000].lower()):
        run: list[str] = []
        for word in [*WORDS.findall(clause), ""]:
            if word and word not in STOP_WORDS and word not in TASK_WORDS and len(run) < 3:
                run.append(word)
            elif run:
                runs.append(" ".join(run))
                run = []
    return list(dict.fromkeys(run for run in runs if len(run) > 3))[:12]


def _read(path: Path) -> Domain:
    name, _, rest = path.read_text(encoding="utf-8").partition("\n")
    found: dict[str, tuple[str, ...]] = {}
    for section in rest.split("[")[1:]:
        kind, _, phrases = section.partition("]")
        found[kind] = _phrases(phrases)
    return Domain(name=name.lstrip("# ").strip(), **found)


@cache
def _single_cues() -> dict[str, list[int]]:
    cues: dict[str, list[int]] = {}
    for place, domain in enumerate(domains()):
        for cue in domain.cues:
            if " " not in cue:
                cues.setdefault(cue, []).append(place)
    return cues


@cache
def _phrase_cues() -> tuple[tuple[str, int], ...]:
    return tuple((cue, place) for place, domain in enumerate(domains()) for cue in domain.cues if " " in cue)


def _as_dict(domain: Domain) -> dict[str, object]:
    return {item.name: getattr(domain, item.name) for item in fields(domain)}


def _aspects_of(topic: str) -> tuple[str, ...]:
    subject = " ".join(topic.split())[:120].strip(" .:;,'\"") or "everyday questions"
    return tuple(pattern.format(subject=subject) for pattern in _ASPECTS)


def _made(topic: str) -> Domain:
    return Domain(name=topic, cues=(), aspects=_aspects_of(topic), **_GENERIC)


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(" ".join(phrase.split()) for phrase in text.split(";") if phrase.strip())


_ASPECTS = (
    "the basics of {subject}",
    "common mistakes with {subject}",
    "the cost of {subject}",
    "the main terms in {subject}",
    "{subject} in a small organisation",
    "a first plan for {subject}",
    "the history behind {subject}",
    "quality in {subject}",
    "the limits of {subject}",
    "tools for {subject}",
    "{subject} under time pressure",
    "{subject} explained to a child",
    "the people involved in {subject}",
    "measuring success in {subject}",
    "open questions about {subject}",
    "the order of steps in {subject}",
    "training for {subject}",
    "{subject} on a small budget",
    "the safety side of {subject}",
    "good and bad examples of {subject}",
    "the future of {subject}",
    "myths about {subject}",
    "{subject} in daily life",
    "the link between {subject} and money",
)
_GENERIC: dict[str, tuple[str, ...]] = {
    "actors": _phrases(
        """a beginner; an experienced practitioner; a project lead; a teacher; a small business owner; a careful reviewer; a student;
        a team of volunteers; a journalist; an outside adviser; a curious neighbour; a trainer"""
    ),
    "situations": _phrases(
        """the time is cut in half; two experts give opposite advice; the first attempt fails; a newcomer joins in the middle;
        the budget is smaller than planned; an important document is missing; the rules change during the work; a customer asks for
        proof; the usual tool is not available; results differ from one week to the next; nobody feels responsible; a mistake is found
        after the end; the group is larger than expected; a public presentation is due tomorrow"""
    ),
    "records": _phrases(
        """the work plan; a short checklist; the meeting notes; a summary page; the list of open points; a diagram; the budget sheet; a diary of
        results; the handbook; a glossary"""
    ),
    "goals": _phrases(
        """explain the idea in plain words; choose between two ways; avoid the most common mistake; save time without losing quality; convince
        a sceptical colleague; prepare a first attempt; judge the result fairly; plan the next three steps; learn from a failure; share the
        work well"""
    ),
    "measures": _phrases(
        """write down the goal first; begin with a small trial; ask somebody who has done it before; check the result against an example; split
        the work into parts; note every assumption; set a clear limit; compare two options side by side; collect feedback early; repeat what
        worked; keep a record of changes; explain the reason for each step"""
    ),
    "risks": _phrases(
        """a hasty decision; wasted effort; a misunderstanding; results that cannot be repeated; hidden costs; a missed deadline; too much
        detail; a plan that nobody follows"""
    ),
    "settings": _phrases(
        """a small team; a local club; a public office; a family; a workshop; an online group; a company with fifty people; a
        school"""
    ),
}
