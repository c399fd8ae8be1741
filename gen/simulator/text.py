"""Writes the simulator's replies: reads what a request asks for, writes it, and lets one flaw strike at the rates given.

A reply depends on the simulator's seed and the request's content alone. Text and flaw come from two streams, so that a flaw's rate
changes which replies are flawed and nothing about the others.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from gen.simulator.asked import Asked, read, topic_in
from gen.simulator.lexicon import domain_for, domains, find_domain, focus_phrases
from gen.simulator.options import SimulatorOptions
from gen.simulator.text_answers import write_answer
from gen.simulator.text_flaws import TEXT_FLAWS, broken_json, foreign, refusal, too_short
from gen.simulator.text_instructions import canonical_instruction, fill_slots, near_copy, slots_of, unsafe_instruction, write_instruction
from gen.simulator.text_instructions import write_instructions as write_list
from gen.simulator.text_json import Content, fill
from gen.simulator.text_raw import Raw, read_raw
from gen.simulator.text_rewrites import write_rewrite
from gen.simulator.text_verdicts import claim_verdicts, write_verdict
from gen.types import Json, Message

_ITEM_FLAWS = ("duplicate", "near_duplicate", "wrong_language", "too_short", "pii", "secret", "template_leak", "unsafe")
_REPLY_FLAWS = ("refusal", "cut_off", "repetitive", "broken_json")
_ANSWER_FLAWS = tuple(TEXT_FLAWS)
_JSON_ANSWER_FLAWS = ("refusal", "wrong_language", "too_short", "cut_off", "broken_json")  # those that leave no JSON to spoil from within
# A request for instructions that shows examples or rules in a list, or says that they shall differ, leaves their subject open.
_OPEN = re.compile(
    r"^\s{0,8}(?:\d{1,3}[.)]|[-*•])\s|\b(?:another|different|any|various|many) (?:\w+ )?(?:subject|topic|domain|field|kind)|diverse|varie",
    re.I | re.M,
)
_ABOUT_PROMPTS = frozenset(
    "ai assistant chatbot collection data dataset json language llm model models random set training user users".split()
)
_AGAIN = 0.15  # share of the usual flaw rates on a reply to a prompt that tells why the last one was rejected
_FOLLOW_UPS = (
    "Thanks. And what changes once {situation}?",
    "That helps. How would {actor} explain this to somebody who knows nothing about {aspect}?",
    "Could you give an example from {setting}?",
    "Which of these steps would you drop if there were only {period}?",
    "I see. What is the most common way in which this leads to {risk}?",
    "Can you turn that into a short checklist that helps to {goal}?",
)


@dataclass(frozen=True, slots=True)
class Written:
    """A reply before `max_tokens` and `stop` are applied. `cut_off` asks for the finish reason "length"; `flaw` names what struck."""

    text: str
    cut_off: bool = False
    flaw: str = ""


def write_chat(
    options: SimulatorOptions, messages: Sequence[Message], *, key: str, schema: Json = None, json_mode: bool = False, model: str = ""
) -> Written:
    """The reply to a chat. `key` stands for all of the request's content: equal keys give equal texts."""
    return _written(options, read(messages, schema=schema, json_mode=json_mode, model=model), key)


def write_completion(options: SimulatorOptions, prompt: str, *, key: str) -> Written:
    """The continuation of a raw prompt: a user's turn, an answer, or the next items of a list."""
    raw = read_raw(prompt)
    if raw.opened in ("user", None) and (raw.opened or raw.next_number is not None):
        return _written(options, _opened_user_turn(raw), key, raw=raw)
    messages = raw.turns if raw.turns else (Message("user", prompt),)
    return _written(options, read(messages), key)


def stream(options: SimulatorOptions, key: str, purpose: str) -> Random:
    """The random stream for one purpose of one request."""
    return Random(hashlib.sha256(f"{options.seed}|{key}|{purpose}".encode("utf-8", "surrogatepass")).digest())


def _written(options: SimulatorOptions, asked: Asked, key: str, *, raw: Raw | None = None) -> Written:
    rng, luck = stream(options, key, "text"), stream(options, key, "flaw")
    flaw = _drawn(options.flaws, asked, luck)
    if flaw == "refusal":
        return Written(refusal(luck), flaw=flaw)
    if raw is not None:
        text = _raw_text(raw, asked, flaw, rng, luck)
    elif asked.kind in ("instructions", "rewrite"):
        text = _in_form(asked, _items(asked, flaw, rng, luck), rng)
    elif asked.kind == "claims":
        text = claim_verdicts(asked, rng)
    elif asked.schema is not None:
        text = _filled(asked, Content(asked, rng, answer=_answer_text(asked, flaw, rng, luck) if asked.kind == "answer" else ""))
    elif asked.kind == "answer":
        text = _answer_text(asked, flaw, rng, luck)
    elif asked.json:
        text = _filled(replace(asked, schema=_default_schema(asked)), Content(asked, rng))
    else:
        text = write_verdict(asked, rng)
    if flaw == "broken_json":
        return Written(broken_json(text, luck), flaw=flaw)
    if flaw == "cut_off":
        return Written(TEXT_FLAWS["cut_off"](text, luck), cut_off=True, flaw=flaw)
    if flaw == "repetitive" and asked.kind != "answer":
        return Written(TEXT_FLAWS["repetitive"](text, luck), flaw=flaw)
    return Written(text, flaw=flaw)


def _drawn(rates: Mapping[str, float], asked: Asked, luck: Random) -> str:
    """The flaw that strikes this reply, empty for none: at most one of those that apply to what is asked."""
    if asked.kind in ("instructions", "rewrite"):
        fitting = {*_ITEM_FLAWS, *_REPLY_FLAWS}
    elif asked.kind == "answer":
        fitting = set(_JSON_ANSWER_FLAWS if asked.json and asked.schema is None else (*_ANSWER_FLAWS, "broken_json"))
    else:
        fitting = {"broken_json"}
    if not asked.json:
        fitting -= {"broken_json"}
    point = luck.random() / (_AGAIN if asked.again else 1.0)
    for name in sorted(fitting):
        point -= rates.get(name, 0.0)
        if point < 0:
            return name
    return ""


def _items(asked: Asked, flaw: str, rng: Random, luck: Random) -> list[str]:
    """The instructions asked for; a flaw of single items strikes up to a third of them."""
    if asked.kind == "rewrite":
        items = [write_rewrite(asked, rng)]
    else:
        topic = asked.topic or _any_topic(asked, rng)
        items = write_list(topic, asked.count, rng, persona=asked.persona, context=asked.context, simple=asked.simple)
    if flaw in _ITEM_FLAWS:
        for place in luck.sample(range(len(items)), max(1, len(items) // 3)):
            items[place] = _flawed_item(items[place], flaw, asked, luck)
    return items


def _any_topic(asked: Asked, rng: Random) -> str:
    """A topic where none is named: the persona's or document's own if it is a known one, else the system message's, else what the request
    itself speaks of. Any only where the request leaves it open, or speaks of nothing but instructions."""
    if f"{asked.persona} {asked.document[:1500]}".strip():
        return ""
    if not _OPEN.search(asked.frame):
        if find_domain(asked.context):
            return ""
        own = find_domain(asked.text)
        named = own.name if own else next((run for run in focus_phrases(asked.text) if not _ABOUT_PROMPTS & set(run.split())), "")
        if named:
            return named
    return rng.choice(domains()).name


def _flawed_item(item: str, flaw: str, asked: Asked, luck: Random) -> str:
    if flaw == "duplicate":
        return canonical_instruction(asked.topic, luck)
    if flaw == "near_duplicate":
        return near_copy(canonical_instruction(asked.topic, luck), luck)
    if flaw == "unsafe":
        return unsafe_instruction(luck)
    if flaw == "wrong_language":
        return foreign(luck, sentences=1)
    return too_short(luck) if flaw == "too_short" else TEXT_FLAWS[flaw](item, luck)


def _answer_text(asked: Asked, flaw: str, rng: Random, luck: Random) -> str:
    text = write_answer(asked if asked.schema is None else replace(asked, json=False, schema=None), rng)
    if flaw in _ANSWER_FLAWS and flaw not in ("refusal", "cut_off"):
        return TEXT_FLAWS[flaw](text, luck)
    return text


def _in_form(asked: Asked, items: list[str], rng: Random) -> str:
    """A list of instructions as the prompt wants it: JSON, one per line, numbered; a single one as it is."""
    if asked.schema is not None:
        return _filled(asked, Content(asked, rng, instructions=items))
    if asked.json:
        return json.dumps(items, ensure_ascii=False)
    if len(items) == 1:
        return items[0]
    if re.search(r"one per line|without (?:any )?number|no number|unnumbered|separate lines?", asked.frame, re.I):
        return "\n".join(items)
    return "\n".join(f"{number}. {item}" for number, item in enumerate(items, 1))


def _filled(asked: Asked, content: Content) -> str:
    return json.dumps(fill(asked.schema, content), ensure_ascii=False)


def _default_schema(asked: Asked) -> Json:
    """What an opinion in JSON looks like where the prompt shows no example: one number per listed aspect, or a verdict, and a reason."""
    if asked.kind in ("judge", "critique"):
        aspects = re.findall(
            r"^\s{0,8}(?:[-*•]|\d{1,2}[.)])\s{1,4}\**([A-Za-z][A-Za-z _-]{2,30}?)\**\s?(?:[:(–-]|$)", asked.frame[:8000], re.M
        )
        names = [aspect.strip().lower().replace(" ", "_") for aspect in aspects[:10]] or ["score"]
        properties: dict[str, Json] = {name: {"type": "integer"} for name in names}
    elif asked.kind == "compare":
        properties = {"winner": {"type": "string"}}
    else:
        properties = {"verdict": {"enum": ["yes", "no"]}}
    return {"type": "object", "properties": {**properties, "reason": {"type": "string"}}}


def _opened_user_turn(raw: Raw) -> Asked:
    system = " ".join(turn.content for turn in raw.turns if turn.role == "system")
    return Asked(kind="instructions", text=raw.begun, context=system)


def _raw_text(raw: Raw, asked: Asked, flaw: str, rng: Random, luck: Random) -> str:
    """What a user would say next: an instruction in the system prompt's field, a follow-up after earlier turns, or list items."""
    if raw.next_number is not None:
        items = write_list("", 6, rng, context=raw.turns[0].content[-3000:])
        return " ".join([items[0], *(f"\n{raw.next_number + place}. {item}" for place, item in enumerate(items[1:], 1))])
    earlier = next((turn.content for turn in reversed(raw.turns) if turn.role == "user"), "")
    if earlier and rng.random() < 0.8:
        frame = rng.choice(_FOLLOW_UPS)
        text = frame.format(**fill_slots(slots_of(frame), domain_for("", f"{earlier[:1500]} {asked.context[:1500]}"), rng))
    else:
        topic = topic_in(asked.context[:2000]) or ("" if domain_for("", asked.context[:2000]).cues else rng.choice(domains()).name)
        text = write_instruction(topic, rng, context=asked.context[:2000])
    if raw.begun:
        text = f" {text[0].lower()}{text[1:]}"
    return _flawed_item(text, flaw, asked, luck) if flaw in _ITEM_FLAWS else text
