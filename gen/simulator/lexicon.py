"""The words of a field: one file per domain in domains/, found by the cues in a text; any other topic gets words made of its own.

A domain file names its domain in the first line and then holds one section per kind of phrase, phrases separated by semicolons. Adding
a domain is adding a file.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent / "domains"
WORDS = re.compile(r"[a-z0-9][a-z0-9'-]{0,40}")

STOP_WORDS = frozenset(
    WORDS.findall(
        """a about above after again all also an and any are as at be because been before being below between both but by can could
        did do does doing down during each few for from further had has have having he her here hers him his how i if in into is
        it its itself just let me might more most must my new no nor not now of off on once one only or other our out over own
        per please same she should so some such than that the their them then there these they this those through to too under
        until up upon us very was we were what when where which while who whom why will with within without would you your yours
        yourself"""
    )
)
# Words that say what to do with a topic rather than what the topic is.
TASK_WORDS = frozenset(
    WORDS.findall(
        """add address advice agree answer answers apply argue ask asked assume avoid brief briefly checklist choose classify
        compare concise consider create decide describe detail details detailed difference differences discuss draft each
        evaluate example examples explain five following formulate four generate give given handle help helps imagine identify
        instruction instructions learn like list make mention message name need needs outline paragraph people plan point points
        policy propose provide question questions reader reply respond review rewrite say sentence sentences short sketch story
        suppose show shows steps suggest summarise summarize task tasks tell ten text think three topic two use using want wants
        wish well word words work works write"""
    )
)


@dataclass(frozen=True)
class Domain:
    """Phrases by kind. Aspects, records and risks are noun phrases, actors noun phrases that take a singular verb, situations whole
    clauses, goals and measures verbs in their base form with an object, settings kinds of organisation or place."""

    name: str
    aspects: tuple[str, ...]
    actors: tuple[str, ...]
    situations: tuple[str, ...]
    records: tuple[str, ...]
    goals: tuple[str, ...]
    measures: tuple[str, ...]
    risks: tuple[str, ...]
    settings: tuple[str, ...]
    cues: tuple[str, ...] = ()


PHRASE_KINDS = ("aspects", "actors", "situations", "records", "goals", "measures", "risks", "settings")


@cache
def domains() -> tuple[Domain, ...]:
    """Every domain that has a file, by file name."""
    return tuple(_read(path) for path in sorted(FOLDER.glob("[a-z]*.txt")))


def find_domain(text: str) -> Domain | None:
    """The domain whose cues and phrases share most words with the first 4,000 characters of `text`, None when the words could belong to
    any. A word counts less the more domains know it, so "capital" alone decides nothing and "mortgage" does."""
    lowered = _without_general(text[:4000].lower())
    points: defaultdict[int, float] = defaultdict(float)
    weights = _word_weights()
    for word in set(WORDS.findall(lowered)) & weights.keys():
        for place, weight in weights[word]:
            points[place] += weight
    for cue, place in _phrase_cues():
        if cue in lowered:
            points[place] += 3.0
    best = max(points.values(), default=0.0)
    return None if best < _ENOUGH else domains()[min(place for place, value in points.items() if value == best)]


@lru_cache(maxsize=1024)
def domain_for(topic: str, context: str = "") -> Domain:
    """The domain to write about `topic` in: a known one, with the topic's own words mixed in where it goes beyond the domain's name, or
    one made of the topic alone. `context` (a persona, a system prompt) helps where the topic has no cue of its own."""
    known = find_domain(topic) or find_domain(context)
    if known is None:
        return _about(topic or context)
    if not topic or set(content_words(topic)) <= set(content_words(f"{known.name} {' '.join(known.cues)}")):
        return known
    return replace(known, aspects=(*known.aspects, *_about(topic).aspects[:12]))


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
    runs = list(dict.fromkeys(run for run in runs if len(run) > 3))[:12]
    longer = [run for run in runs if " " in run]
    return longer if len(longer) > 1 else [run for run in runs if " " in run or len(run) > 7] or runs


def _read(path: Path) -> Domain:
    name, _, rest = path.read_text(encoding="utf-8").partition("\n")
    found: dict[str, tuple[str, ...]] = {}
    for section in rest.split("[")[1:]:
        kind, _, phrases = section.partition("]")
        found[kind] = _phrases(phrases)
    return Domain(name=name.lstrip("# ").strip(), **found)


_ENOUGH = 1.5  # a cue that one domain alone knows, or several words of its phrases


@cache
def _word_weights() -> dict[str, list[tuple[int, float]]]:
    """For each word the domains that know it: a cue weighs 2, any other word of a phrase 0.5, shared between all that know the word."""
    known: dict[str, dict[int, float]] = {}
    for place, domain in enumerate(domains()):
        for kind in PHRASE_KINDS:
            for word in content_words(" ".join(getattr(domain, kind))):
                known.setdefault(word, {})[place] = 0.5
    for place, domain in enumerate(domains()):
        for cue in domain.cues:
            if " " not in cue:
                known.setdefault(cue, {})[place] = 2.0
    return {word: [(place, weight / len(places)) for place, weight in places.items()] for word, places in known.items()}


@cache
def _phrase_cues() -> tuple[tuple[str, int], ...]:
    return tuple((cue, place) for place, domain in enumerate(domains()) for cue in domain.cues if " " in cue)


def _about(subject: str) -> Domain:
    """The general domain with `subject` set in; no template is filled with it, so braces in a topic stay what they are."""
    named = " ".join(subject.split())[:120].strip(" .:;,'\"") or "everyday questions"
    general = _general()
    return replace(general, name=named, aspects=tuple(aspect.replace("{subject}", named) for aspect in general.aspects))


@cache
def _general() -> Domain:
    return _read(FOLDER / "_any.txt")


def _without_general(lowered: str) -> str:
    """Without the general domain's own phrases: they fit any topic, and their words must not pull a text into a field."""
    return _general_phrases().sub(" ", lowered)


@cache
def _general_phrases() -> re.Pattern[str]:
    phrases = [
        phrase.lower() for kind in PHRASE_KINDS for phrase in getattr(_general(), kind) if "{" not in phrase and len(phrase.split()) > 2
    ]
    return re.compile(rf"\b(?:{'|'.join(re.escape(phrase) for phrase in sorted(phrases, key=len, reverse=True))})\b")


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(" ".join(phrase.split()) for phrase in text.split(";") if phrase.strip())
