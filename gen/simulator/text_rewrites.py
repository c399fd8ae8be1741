"""Rewrites an instruction as a prompt asks: deeper, more constrained, more concrete, another one like it, or the same in other words."""

from __future__ import annotations

import re
from random import Random

from gen.simulator.asked import Asked
from gen.simulator.lexicon import domain_for
from gen.simulator.text_instructions import fill_slots, slots_of, write_instruction

_CONSTRAIN = (
    "Restrict the answer to {setting}, where {actor} has only {period}.",
    "The answer must not rely on {record} and has to stay under {words} words.",
    "Assume in addition that {situation}, and that it is out of the question to {measure}.",
    "Name at least {n} arguments, and give for each the evidence that {record} would have to contain.",
    "Every recommendation has to work without extra staff and must be ready within {period}.",
)
_DEEPEN = (
    "Explain in particular how the answer changes once {situation}.",
    "Go into the causes as well as the consequences, and show where {aspect} sets limits.",
    "Discuss what {actor} and {actor2} would each object to, and settle the conflict.",
    "Weigh the short-term gain against {risk}, and say which of the two counts more after {period}.",
    "Also treat the less obvious side of the matter: how does it help to {goal}?",
)
_CONCRETE = (
    "Use the concrete case of {setting}, in which {situation}.",
    "Work with real circumstances: {actor} holds {record}, has {period} and fears {risk}.",
    "Take one named example from {setting} and follow it from the first sign of {risk} to the end.",
    "Replace general remarks by an example in which {actor} tries to {goal} although {situation}.",
)
_REASON = (
    "Reason in at least {n} explicit steps, and state after each step which assumption about {aspect} it rests on.",
    "First derive what follows from {record}, then decide, and finally check the decision against the case that {situation}.",
    "Show the chain of reasoning that leads from {aspect} to the choice to {measure}, including one step that could fail.",
)
_SAME = (
    "In other words: {text}",
    "Put differently, the task is as follows. {text}",
    "Here is what I need to know. {text}",
    "{text} Please be plain.",
)
_KINDS = (
    (
        "breadth",
        re.compile(r"brand.?new|inspired|same domain|rarer|new (?:prompt|instruction|question) (?:in|from|that)|breadth|variation", re.I),
    ),
    ("same", re.compile(r"rephras|paraphras|other words|simplif|shorter|clearer", re.I)),
    ("reason", re.compile(r"reasoning steps|multiple.?step|step.?by.?step reasoning", re.I)),
    ("concrete", re.compile(r"concreti|specific concept|more concrete|more specific|concrete", re.I)),
    ("constrain", re.compile(r"constrain|requirement|restrict", re.I)),
    ("deepen", re.compile(r"deep|depth|breadth of the inquiry", re.I)),
)
_POOLS = {"constrain": _CONSTRAIN, "deepen": _DEEPEN, "concrete": _CONCRETE, "reason": _REASON}


def write_rewrite(asked: Asked, rng: Random) -> str:
    """The instruction `asked.text`, changed in the way that the prompt names (deepened or constrained where it names none)."""
    original = " ".join(asked.text.split()) if "```" not in asked.text else asked.text.strip()
    topic = asked.topic or ""
    wanted = next((kind for kind, cue in _KINDS if cue.search(asked.frame)), rng.choice(("constrain", "deepen", "concrete")))
    if wanted == "breadth" or not original:
        return write_instruction(topic, rng, persona=asked.persona, context=original)
    if wanted == "same":
        return rng.choice(_SAME).format(text=original)
    domain = domain_for(topic, original)
    frames = rng.sample(_POOLS[wanted], 2 if rng.random() < 0.4 else 1)
    added = [frame.format(**fill_slots(slots_of(frame), domain, rng)) for frame in frames]
    if original[-1] not in '.?!"”`':
        original += "."
    return " ".join([original, *added])
