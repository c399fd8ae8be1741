"""Reads a prompt: what is asked for (instructions, an answer, a rewrite, a judgement …), about what, in which form and length."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from json_repair import repair_json

from gen.simulator.sections import Block, Sections, take_apart
from gen.types import Json, Message

Kind = Literal["instructions", "answer", "rewrite", "judge", "compare", "yes_no", "critique", "safety", "reward", "claims"]

_NUMBER_WORDS = {
    word: number
    for number, word in enumerate("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen".split())
} | {"a": 1, "an": 1, "twenty": 20}
_NUMBER = rf"(\d{{1,4}}|{'|'.join(word for word in _NUMBER_WORDS if len(word) > 2)})"
_NOUN = r"(?:instruction|question|task|prompt|request|problem|querie|query|message|quer(?:y|ies))"
_WRITE = re.compile(
    rf"\b(?:write|generate|create|come up with|produce|propose|invent|devise|draft|formulate|compose|"
    rf"give me|think of|list)\b[^.\n]{{0,90}}?\b{_NOUN}(s?)\b",
    re.I,
)
# Questions that are themselves the answer to a question: whoever asks for them wants them answered, not others made.
_QUESTIONS_AS_ANSWER = re.compile(r"\b(?:interview|follow-?up|quiz|exam|screening|security|control)\s{1,3}questions?\b", re.I)
_SINGLE = re.compile(r"\b(?:one|new|single|another|would ask|might ask|could ask|first message)\b", re.I)
_COUNT = re.compile(rf"\b{_NUMBER}\b(?=[^.\n]{{0,60}}\b(?:{_NOUN}s?|items?|strings?|statements?|entries)\b)", re.I)
_ABOUT = re.compile(
    r"\b(?:about|on|belongs? to|regarding|concerning|related to|in the (?:area|domain|field) of)\s+"
    r"(?:the (?:topic|subject)(?: of)?:?\s+)?[\"“'‘]?"
    r"([^\n.\"”;:!?]{3,120})",
    re.I,
)
_SYSTEM_TOPIC = re.compile(r"\bquestions? (?:about|on) [\"“'‘]?([^\n.\"”;:!?]{3,120})", re.I)
_NO_TOPIC = re.compile(
    r"(?:this|these|the following|it|them|each|any|its|his|her|their|that|another|one|a scale|the (?:list|topic|text))\b", re.I
)
_TOPIC_END = re.compile(r"\s(?:that|so that|which|who|as a|as json|in english|to be|could|would|might)\b", re.I)
_REWRITE = re.compile(
    r"rewrit|evolv|complicat|more (?:complex|difficult|specific|concrete|demanding|challenging)|harder|deepen|constrain|"
    r"starting point|revise (?:the|this) (?:instruction|prompt|question)|new one|same field|rarer|rephras|inspired|"
    r"brand.?new|new (?:prompt|instruction)|variation|"
    r"add (?:one|a|another)|mutat|paraphras|simplif|replace general|reasoning steps|broaden",
    re.I,
)
_JUDGE = re.compile(r"\b(?:rat(?:e|ing)|scor(?:e|ing)|grad(?:e|ing)|judg(?:e|ing)|evaluat|assess|rubric|points?|criteria|scale)", re.I)
_COMPARE = re.compile(r"\b(?:better|prefer|compar|rank|which|best|winner|choose)", re.I)
_YES_NO = re.compile(r"\byes\b.{0,12}\bno\b|\btrue or false\b|\bnot equal\b|\bunequal\b|\bsupported or\b", re.I)
_VERDICT = re.compile(r"\bverdict|\bequal\b|same depth|\bdid the\b|\bis the\b", re.I)
_CRITIQUE = re.compile(r"critiqu|criticis|criticiz|weakness|find fault|what is wrong|shortcoming", re.I)
_CHECK = re.compile(r"\b(?:check|verif|support|faithful|grounded|contradict|claims?|whether|decide)", re.I)
_REVISE = re.compile(r"\b(?:revis|improv|correct|repair|fix|better answer|answer again\b|new answer)", re.I)
_AGAIN = re.compile(
    r"\brejected\b|did not pass|earlier (?:answer|attempt|version|reply)|"
    r"(?:last|previous) (?:attempt|answer|version|reply)|try again|refused before",
    re.I,
)
# The turn that tells a model why its last reply could not be used: it asks for the same once more.
_CORRECTED = re.compile(r"\b(?:could not be (?:read|used|parsed)|is not valid JSON|reply again)\b", re.I)
_SAFETY = re.compile(r"unsafe content categories|'safe' or 'unsafe'|\"safe\" or \"unsafe\"", re.I)
_RANGE = re.compile(
    rf"\b(-?\d{{1,3}}(?:\.\d)?)\s{{0,2}}(?:to|-|–|and|through)\s{{0,2}}(\d{{1,3}}(?:\.\d)?)\b(?!\s{{0,2}}(?:words|sentences|{_NOUN}))", re.I
)
_LIKELIHOOD = re.compile(r"[A-Z][A-Z_]{2,40}")  # TOXICITY and its like: the attributes of the Perspective API
_LISTED = re.compile(r"^\s{0,8}(?:\d{1,3}[.)]|[-*•])\s")


@dataclass(frozen=True, slots=True)
class Length:
    """How long a reply shall be, each None where the prompt says nothing."""

    min_words: int | None = None
    max_words: int | None = None
    min_sentences: int | None = None
    max_sentences: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt as read. `text` is what it is about: the question to answer, the instruction to rewrite or whose answer is judged.
    `simple` asks for plain instructions."""

    kind: Kind
    text: str
    frame: str = ""
    context: str = ""
    topic: str = ""
    persona: str = ""
    document: str = ""
    candidates: tuple[Block, ...] = ()
    count: int = 1
    json: bool = False
    schema: Json = None
    low: float = 1.0
    high: float = 5.0
    length: Length = field(default=Length())
    again: bool = False
    simple: bool = False


def read(messages: Sequence[Message], *, schema: Json = None, json_mode: bool = False, model: str = "") -> Asked:
    """What `messages` ask for. `schema` is the JSON schema of the reply, where the request gave one."""
    asked = corrected(messages)
    if asked:
        return replace(read(asked, schema=schema, json_mode=json_mode, model=model), again=True)
    user = next((message.content for message in reversed(messages) if message.role == "user"), "")
    system = "\n".join(message.content for message in messages if message.role in ("system", "developer"))
    if (model and messages and messages[-1].role == "assistant") or _wants_likelihoods(schema):
        return _about_last_turn(messages, user, schema, model)
    sections = take_apart(user)
    asking = _asking_lines(sections.frame)
    kind = _kind(asking, sections, model)
    frame = sections.frame
    wants_json = json_mode or schema is not None or bool(re.search(r"\bjson\b", sections.frame, re.I))
    if kind == "instructions" and not sections.blocks and not wants_json and _QUESTIONS_AS_ANSWER.search(asking):
        return _question(user, system, messages, schema, json_mode)
    if kind == "answer" and system:
        kind = _kind_by_system(system, asking, sections)
        frame = frame if kind == "answer" else f"{system}\n{frame}"
    if kind == "answer" and len(user) > 0 and not sections.first("instruction"):
        return _question(user, system, messages, schema, json_mode)
    wants_json = wants_json or bool(re.search(r"\bjson\b", frame, re.I))
    low, high = _range(frame)
    persona = sections.first("persona")
    if kind == "claims":
        return Asked(kind, user, frame, candidates=sections.blocks, json=True)
    return Asked(
        kind=kind,
        text=sections.first("instruction") or sections.first("document") or user,
        frame=frame,
        context=f"{persona} {system}",
        topic=sections.first("topic") or (_quoted_topic(asking) if kind == "rewrite" else topic_in(asking)),
        persona=persona,
        document=sections.first("document"),
        candidates=sections.all("answer") or (sections.all("instruction")[1:] if kind in ("compare", "yes_no") else ()),
        count=_count(asking if _COUNT.search(asking) else frame, asking),
        json=wants_json,
        schema=schema if schema is not None or not wants_json else skeleton(frame),
        low=low,
        high=high,
        length=read_length(frame),
        again=bool(_AGAIN.search(frame)),
        simple=bool(re.search(r"\b(?:simple|short|plain|one sentence)\b", asking, re.I)),
    )


def corrected(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The conversation up to the request that a correction turn at its end is about; empty when there is none."""
    if len(messages) < 3 or [message.role for message in messages[-2:]] != ["assistant", "user"]:
        return ()
    return tuple(messages[:-2]) if _CORRECTED.search(messages[-1].content[:2000]) else ()


def _about_last_turn(messages: Sequence[Message], user: str, schema: Json, model: str) -> Asked:
    """A chat whose last turn is to be judged as it stands, with no words that ask: by a guard, by Perspective or by a reward model."""
    last = messages[-1].content if messages else ""
    if schema is not None or "guard" in model.lower():
        return Asked("safety", last, json=schema is not None, schema=schema)
    return Asked("reward", user, candidates=(Block("answer", "answer", last),))


def _wants_likelihoods(schema: Json) -> bool:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return isinstance(properties, dict) and bool(properties) and all(_LIKELIHOOD.fullmatch(str(name)) for name in properties)


def skeleton(frame: str) -> Json:
    """A JSON schema made from the last example of a JSON object or list in `frame`, None when there is none."""
    for opening, closing in (("{", "}"), ("[", "]")):
        end = frame.rfind(closing)
        start = _matching(frame, end, opening, closing)
        if start is None:
            continue
        example: Any = repair_json(frame[start : end + 1][:4000], return_objects=True)
        if isinstance(example, dict | list) and example:
            return _schema_of(example, _bullet_words(frame))
    return None


def read_length(text: str) -> Length:
    """The bounds that a prompt sets in words or sentences.

    >>> read_length("Answer in 3 to 5 sentences, at most 100 words.")
    Length(min_words=None, max_words=100, min_sentences=3, max_sentences=5)
    """
    lowered = text[-4000:].lower()
    words_low, words_high = _word_bounds(lowered) if "words" in lowered else (None, None)
    low, high = _sentence_bounds(lowered) if "sentence" in lowered else (None, None)
    return Length(words_low, words_high, low, high)


def _word_bounds(lowered: str) -> tuple[int | None, int | None]:
    if found := re.search(rf"\b{_NUMBER}\s{{0,2}}(?:to|-|–|or|and)\s{{0,2}}{_NUMBER}\s+words\b", lowered):
        return number_of(found.group(1)), number_of(found.group(2))
    if found := re.search(rf"(?:at least|minimum(?: of)?|more than|no less than)\s+{_NUMBER}\s+words\b", lowered):
        return number_of(found.group(1)), None
    if found := re.search(rf"(?:about|around|roughly|approximately)\s+{_NUMBER}\s+words\b", lowered):
        return int(number_of(found.group(1)) * 0.9), int(number_of(found.group(1)) * 1.1)
    found = re.search(rf"\b{_NUMBER}\s+words\b", lowered)
    return None, number_of(found.group(1)) if found else None


def _sentence_bounds(lowered: str) -> tuple[int | None, int | None]:
    if found := re.search(rf"\b{_NUMBER}\s{{0,2}}(?:to|-|–|or)\s{{0,2}}{_NUMBER}\s+sentences\b", lowered):
        return number_of(found.group(1)), number_of(found.group(2))
    found = re.search(rf"(at most |up to |at least )?\b(?:{_NUMBER}|a single)\s+sentences?\b", lowered)
    if not found:
        return None, None
    number = number_of(found.group(2)) if found.group(2) else 1
    most, least = found.group(1) in ("at most ", "up to "), found.group(1) == "at least "
    return None if most else number, None if least else number


def number_of(text: str) -> int:
    """The number that digits or an English word name."""
    return int(text) if text.isdigit() else _NUMBER_WORDS[text.lower()]


def _question(user: str, system: str, messages: Sequence[Message], schema: Json, json_mode: bool) -> Asked:
    """A plain question: the user's message, directions below a rule set apart; an earlier turn gives the context."""
    question, rule, directions = user.rpartition("\n---\n")
    if not rule or not question.strip() or len(directions) > 1500:
        question, directions = user, ""
    wants_json = json_mode or schema is not None or bool(re.search(r"\bjson\b", user, re.I))
    earlier = " ".join(message.content[:500] for message in messages[:-1] if message.role != "system")
    own = read_length(directions)
    return Asked(
        kind="answer",
        text=question.strip(),
        frame=user,
        context=f"{system[:1500]} {earlier[-1500:]}",
        topic=_topic_of_system(system),
        document=take_apart(user).first("document"),
        json=wants_json,
        schema=schema if schema is not None or not wants_json else skeleton(user),
        length=own if own != Length() else read_length(f"{system}\n{question}"),
        again=bool(_AGAIN.search(directions)),
    )


def _asking_lines(frame: str) -> str:
    return "\n".join(line for line in frame.split("\n") if not _LISTED.match(line))


def _kind(asking: str, sections: Sections, model: str) -> Kind:
    answers, instructions = sections.all("answer"), sections.all("instruction")
    labels = {block.label.split(" ")[0].lower() for block in sections.blocks}
    if {"claim", "evidence"} <= labels and _VERDICT.search(asking):
        return "claims"
    if "guard" in model.lower() or _SAFETY.search(asking):
        return "safety"
    if len(answers) > 1 and _COMPARE.search(asking):
        return "compare"
    if sections.blocks and (_YES_NO.search(asking) or (len(instructions) > 1 and _VERDICT.search(asking))):
        return "yes_no"
    if answers and _CRITIQUE.search(asking) and not _REVISE.search(asking):
        return "critique"
    if answers and _JUDGE.search(asking) and not _REVISE.search(asking):
        return "judge"
    if answers and _REVISE.search(asking):
        return "answer"
    if answers and _CHECK.search(asking):
        return "judge"
    if instructions and not answers and _REWRITE.search(asking):
        return "rewrite"
    found = _WRITE.search(asking)
    if found and not instructions and (found.group(1) or _SINGLE.search(asking) or sections.all("persona")):
        return "instructions"
    if sections.blocks and _JUDGE.search(asking) and re.search(r"\d", asking):
        return "judge"
    return "answer"


def _kind_by_system(system: str, asking: str, sections: Sections) -> Kind:
    together = f"{_asking_lines(system)}\n{asking}"
    kind = _kind(together, sections, "")
    if kind == "instructions" and not _COUNT.search(system):
        return "answer"
    return kind


def topic_in(asking: str) -> str:
    """The topic that the asking words name (\"questions about …\"), empty when they name none."""
    for found in _ABOUT.finditer(asking):
        phrase = _TOPIC_END.split(found.group(1))[0].strip(" ,'\"’”")
        if phrase and not _NO_TOPIC.match(phrase):
            return phrase
    return ""


def _topic_of_system(system: str) -> str:
    """The topic that a system message names ("an assistant for questions about …"), empty when it names none."""
    found = _SYSTEM_TOPIC.search(system[:4000])
    phrase = _TOPIC_END.split(re.split(r",\s(?:and|who|as|but)\b", found.group(1))[0])[0].strip(" ,'\"’”") if found else ""
    return "" if _NO_TOPIC.match(phrase) else phrase


def _quoted_topic(asking: str) -> str:
    """The topic in quotation marks: the words of a rewriting prompt are about rewriting otherwise."""
    found = re.search(r"\b(?:topic|subject|domain|field)(?: of)?:?\s{1,3}[\"“']([^\"”'\n]{3,120})", asking, re.I)
    return found.group(1).strip() if found else ""


def _count(text: str, asking: str) -> int:
    if found := _COUNT.search(text):
        return max(1, min(100, number_of(found.group(1))))
    found = _WRITE.search(asking)
    return 5 if found and found.group(1) else 1


def _range(frame: str) -> tuple[float, float]:
    for found in _RANGE.finditer(frame):
        low, high = float(found.group(1)), float(found.group(2))
        if low < high and low <= 10:
            return low, high
    return 1.0, 5.0


def _matching(text: str, end: int, opening: str, closing: str) -> int | None:
    """Where the bracket that closes at `end` opens."""
    depth = 0
    for place in range(end, max(-1, end - 4000), -1):
        depth += (text[place] == closing) - (text[place] == opening)
        if depth == 0:
            return place
    return None


def _bullet_words(frame: str) -> list[str]:
    """The single words that a list explains ("- better: …"): the values that a verdict may have."""
    return [match.group(1) for match in _BULLET_WORD.finditer(frame[-8000:])]


def _schema_of(example: Json, words: list[str]) -> Json:
    if isinstance(example, dict):
        properties = {key: _schema_of(value, words) for key, value in example.items()}
        return {"type": "object", "properties": properties, "required": list(example)}
    if isinstance(example, list):
        return {"type": "array", "items": _schema_of(example[0], words) if example else {"type": "string"}}
    if isinstance(example, bool):
        return {"type": "boolean"}
    if isinstance(example, int | float):
        return {"type": "number" if isinstance(example, float) else "integer"}
    text = str(example)
    options = words if text in words else [option.strip(" \"'<>") for option in text.split("|")]
    if len(options) > 1 and all(0 < len(option) < 30 for option in options):
        return {"type": "string", "enum": options}
    if _NUMBER_EXAMPLE.fullmatch(text) or text.strip("<> ").lower() in _NUMERIC:
        return {"type": "integer"}
    if text.strip("<> ").lower() in ("true or false", "true/false", "bool", "boolean"):
        return {"type": "boolean"}
    return {"type": "string"}


_NUMERIC = ("number", "integer", "int", "score", "float", "n")
_NUMBER_EXAMPLE = re.compile(r"<?\s?\d{1,3}(?:\.\d)?\s{0,2}(?:-|–|to)\s{0,2}\d{1,3}(?:\.\d)?\s?>?")
_BULLET_WORD = re.compile(r"^\s{0,8}[-*•]\s{1,4}[\"'`*]{0,3}([A-Za-z_]{2,24})[\"'`*]{0,3}\s?[:(–-]", re.M)
