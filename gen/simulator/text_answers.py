"""Writes answers: sentences from a domain's phrases, about what the question names, in the form and length that it asks for."""

from __future__ import annotations

import json
import re
from random import Random

from gen.simulator.asked import Asked, Length, number_of
from gen.simulator.lexicon import PHRASE_KINDS, Domain, content_words, domain_for, focus_phrases
from gen.simulator.text_code import code_answer
from gen.simulator.text_instructions import fill_slots, slots_of

_OPENINGS = (
    "When it comes to {focus}, the sensible first move for {setting} is to {measure}.",
    "With {focus} in view, {actor} should begin with {record} and check what it says about {aspect}.",
    "The question of {focus} turns on {aspect}, and that is easier to settle than it looks.",
    "Much depends on {aspect} here, because {focus} can otherwise end in {risk}.",
    "Seen from the position of {actor}, the case of {focus} comes down to two tasks: {measure}, and {measure2}.",
    "A good way into {focus} is to ask who owns {record} and what has to happen once {situation}.",
    "In short: {measure}, and treat {focus} as a matter of routine rather than as an exception.",
    "There are two sides to {focus}, and {setting} needs both of them to {goal}.",
    "Before anything else, {actor} has to separate {focus} from {aspect2}, since the two call for different steps.",
    "Regarding {focus}, experience in {setting} points to one rule: {measure}.",
    "{Focus}: that is mostly a practical matter, and a look at {record} makes a good start.",
    "To deal with {focus} well, it helps to {measure} before {situation}.",
    "The honest answer about {focus} is that it depends on {aspect}, yet some steps are nearly always right.",
    "Anyone who looks at {focus} for the first time should read {record} and then {measure}.",
)
_REASONS = (
    "The reason is simple: without such a step, {setting} has to reckon with {risk} as soon as {situation}.",
    "This matters because {actor} rarely sees {record} and therefore cannot {goal} alone.",
    "Otherwise {setting} pays twice, first for {risk} and later for the repair.",
    "It also makes it easier to {goal}, which many plans forget.",
    "The link to {aspect} is close, as both rely on {record}.",
    "What looks like extra effort protects {actor} against {risk}.",
    "Without {record}, nobody can tell afterwards why {actor} decided as it happened.",
    "Behind this stands the matter of {aspect}, which decides how much time is left when {situation}.",
    "People tend to underrate {risk}, mainly because the first signs show up weeks later.",
    "For {focus} this is decisive, because a later correction costs far more than an early one.",
    "Since {actor} and {actor2} see different parts of the picture, a shared view of {record} prevents {risk}.",
    "That is how {setting} can {goal} even when {situation}.",
)
_ACTIONS = (
    "In practice, {actor} can {measure} and note the result in {record}.",
    "A second step is to {measure}, ideally before {situation}.",
    "Next, {setting} should {measure2} and tell {actor} what changed.",
    "It is worth taking {period} to {measure}, as rushed work invites {risk}.",
    "Let {actor} {measure} first; {actor2} can follow with a short review of {record}.",
    "If {situation}, the order changes: {measure} at once, and leave {aspect} for later.",
    "Make one person responsible, for instance {actor}, and ask for a report on {aspect} after {period}.",
    "Use {record} to write down who will {measure} and by when.",
    "Where staff are few, it is enough to {measure} and to look at {aspect} once a month.",
    "After that, compare {record} with {record2}; differences point straight to {risk}.",
    "Then {measure}, which also helps to {goal}.",
    "As soon as {situation}, {actor} ought to {measure2} and inform {actor2}.",
)
_EXAMPLES = (
    "Take {setting} as an example: {situation}, and the answer has to come from {record}.",
    "Suppose {situation}; then {actor} would {measure} before touching {record}.",
    "One team needed {period} to {measure}, and the number of open questions fell by about {n} in ten.",
    "In {setting}, for instance, {actor} keeps {record} up to date and meets {actor2} every month.",
    "A typical case: {situation}, {actor} hesitates, and the result is {risk}.",
    "Imagine {actor} in {setting} with {period} left; the best use of that time is to {measure}.",
)
_CAVEATS = (
    "One caution: to {measure} helps little to anyone who ignores {aspect}.",
    "This advice has limits, above all where {situation}.",
    "Local rules may differ, so {actor} should confirm the details of {aspect} before relying on them.",
    "It would be a mistake to {measure} only after {situation}.",
    "Not every case of {focus} needs the full effort; small ones can wait until the next review of {record}.",
    "Beware of {risk}: trouble of this kind often hides behind a tidy plan.",
    "The exception is a case in which {situation}; there, speed counts more than detail.",
    "None of this replaces a look at {record}, because facts differ from one place to another.",
)
_CLOSINGS = (
    "Handled this way, {focus} will stay under control and {setting} can {goal}.",
    "In the end, the aim is to {goal} without creating {risk}.",
    "A short review after {period} shows whether the effort was enough.",
    "Whoever remembers {aspect} and keeps {record} in order has done the larger part of the work.",
    "So the next step is clear: {measure}, and check again in {period}.",
    "That leaves {actor} free to {goal}, which was the point of the exercise.",
    "Together these steps turn {focus} from a worry into a routine.",
)
_BODY = (_REASONS, _ACTIONS, _EXAMPLES, _CAVEATS)
_STEPS = (
    "{Measure}, because otherwise {situation} and nobody is prepared.",
    "{Measure}. This gives {actor} the facts needed to {goal}.",
    "{Measure}, and record the outcome in {record}.",
    "{Measure}; {actor} is the right person for this.",
    "{Measure}; in this way {setting} will notice {risk} early.",
    "{Measure} before {actor2} turns to the matter of {aspect}.",
    "{Measure}, then ask {actor} for a second look.",
)
_BULLETS = (
    "**{Aspect}**: {actor} should {measure}.",
    "{Record} has to show how {setting} intends to {goal}.",
    "Watch for signs of {risk}, above all when {situation}.",
    "{Measure}, even though it takes {period}.",
    "Ask {actor} about {aspect} before anything is decided.",
    "Compare {record} with {record2} to spot {risk}.",
    "Plan for the moment when {situation}.",
)
_TURNS = (
    "How do we deal with {aspect} this time?",
    "I would {measure} first, since {situation}.",
    "That worries me, because it is easy to overlook {risk}.",
    "Then let us look at {record} and {measure2}.",
    "Agreed, and {actor} can {goal} in the meantime.",
    "We have {period}, so the order matters.",
)
_STEP_CUES = re.compile(
    r"\b(?:steps|step by step|procedure|walk me through|how (?:do|can|would) (?:i|we|you)|schedule|in the right order)\b", re.I
)
_LIST_CUES = re.compile(
    r"\b(?:list (?:the|what|all|\d+|some)|checklist|points|bullet|name \w+|warning signs|arguments|"
    r"talking points|questions (?:that|would|you)|sort these)\b",
    re.I,
)
_CODE_CUES = re.compile(r"\b(?:function|code|script|snippet|docstring|implement)\b", re.I)
_PYTHON = re.compile(r"\bpython (?:code|function|script|program|class)|\bin python\b", re.I)
_CODE_VERBS = re.compile(r"\b(?:write|show|give|provide|implement|create|fix|need|asks? for)\b", re.I)
_EMAIL_CUES = re.compile(r"\b(?:e-?mail|letter|announcement)\b", re.I)
_HOW_MANY = re.compile(
    r"\b(\d{1,2}|two|three|four|five|six|seven|eight|nine|ten)\b(?=[^.\n]{0,30}\b(?:steps|points|signs|arguments|questions|ways|"
    r"bullets|items|reasons|differences|tips|examples)\b)",
    re.I,
)
_KEYS = re.compile(r"\bkeys? ([a-z_]{1,30}(?:, [a-z_]{1,30}){0,9},? and [a-z_]{1,30})", re.I)


def write_answer(asked: Asked, rng: Random) -> str:
    """An answer to `asked.text`."""
    question = asked.text
    domain = _domain_of(asked)
    matter = _Matter(question, domain)
    if asked.json:
        return json.dumps(_facts(asked, matter, rng), ensure_ascii=False)
    if asked.document:
        return _bounded(_from_document(asked, matter, rng), matter, asked.length, rng)
    if (_PYTHON.search(question) or (_CODE_CUES.search(question) and _CODE_VERBS.search(question))) and asked.length.max_words is None:
        return code_answer(question, domain, rng)
    if asked.length != Length():
        return _bounded(_sentences(matter, _how_many_sentences(asked, rng), rng), matter, asked.length, rng)
    return _in_form(question, matter, rng, extra=3 if asked.again else 0)


def answer_sentences(question: str, count: int, rng: Random, *, context: str = "") -> list[str]:
    """`count` sentences in answer to `question`: what a field of a JSON reply or a judge's reason is made of."""
    return _sentences(_Matter(question, domain_for("", f"{question[:1500]} {context[:500]}")), count, rng)


class _Matter:
    """What a question is about: the phrases of the domain that it names, and its own words as `focus`."""

    def __init__(self, question: str, domain: Domain) -> None:
        lowered = question[:3000].lower()
        self.domain = domain
        self.named = {kind: [phrase for phrase in getattr(domain, kind) if phrase.lower() in lowered] for kind in PHRASE_KINDS}
        self.focus = [*self.named["aspects"], *focus_phrases(question)] or [domain.name or "the matter"]

    def sentence(self, frame: str, rng: Random) -> str:
        """`frame` filled: in about half of the slots with what the question names, where it names something of that kind."""
        slots = slots_of(frame)
        values = fill_slots(slots - {"focus", "Focus"}, self.domain, rng)
        for slot in sorted(values):
            named = self.named.get(f"{slot.rstrip('23').lower()}s", [])
            free = [phrase for phrase in named if phrase not in values.values()]
            if free and rng.random() < 0.55:
                values[slot] = _capital(rng.choice(free)) if slot[0].isupper() else rng.choice(free)
        focus = rng.choice(self.focus[:8])
        text = frame.format(**values, focus=focus, Focus=_capital(focus))
        return _capital(text)


def _domain_of(asked: Asked) -> Domain:
    """That of the topic which the prompt names, else the one whose words the question uses, else the context's, else one made of the
    question's own words: never another one."""
    if asked.topic:
        return domain_for(asked.topic)
    question = " ".join(asked.text[:1500].split())
    own = domain_for("", question)
    if not own.cues:  # nobody knows this topic: perhaps the system prompt or an earlier turn does
        elsewhere = domain_for("", asked.context) if asked.context.strip() else own
        own = elsewhere if elsewhere.cues else domain_for(next(iter(focus_phrases(question)), "the question"))
    return own


def _how_many_sentences(asked: Asked, rng: Random) -> int:
    low = asked.length.min_sentences or 3
    high = asked.length.max_sentences or max(low, 7)
    return rng.randint(min(low, high), high)


def _sentences(matter: _Matter, count: int, rng: Random) -> list[str]:
    """An opening, `count` − 2 sentences of varying kinds, a closing; no frame twice."""
    if count <= 1:
        return [matter.sentence(rng.choice(_OPENINGS), rng)]
    frames = [rng.choice(_OPENINGS)]
    unused = [list(pool) for pool in _BODY]
    for _ in range(count - 2):
        pool = rng.choice([pool for pool in unused if pool] or [list(_ACTIONS)])
        frames.append(pool.pop(rng.randrange(len(pool))))
    frames.append(rng.choice(_CLOSINGS))
    return [matter.sentence(frame, rng) for frame in frames]


def _bounded(sentences: list[str], matter: _Matter, length: Length, rng: Random) -> str:
    """The sentences as prose, with as many dropped or added as the bounds ask for."""
    while length.max_words and len(sentences) > 1 and _words(sentences) > length.max_words:
        sentences = [*sentences[:-2], sentences[-1]] if len(sentences) > 2 else sentences[:1]
    if length.max_words and _words(sentences) > length.max_words:
        sentences = [" ".join(" ".join(sentences).split()[: length.max_words]).rstrip(" ,;:") + "."]
    missing = (length.min_words or 0) - _words(sentences)
    while missing > 0 and len(sentences) < 200:
        sentences.insert(-1, matter.sentence(rng.choice(rng.choice(_BODY)), rng))
        missing = (length.min_words or 0) - _words(sentences)
    if len(sentences) > 8:
        middle = len(sentences) // 2
        return " ".join(sentences[:middle]) + "\n\n" + " ".join(sentences[middle:])
    return " ".join(sentences)


def _words(sentences: list[str]) -> int:
    return sum(len(sentence.split()) for sentence in sentences)


def _in_form(question: str, matter: _Matter, rng: Random, *, extra: int) -> str:
    if _EMAIL_CUES.search(question):
        return _email(matter, rng)
    if "dialogue" in question.lower():
        return _dialogue(question, matter, rng)
    if "table" in question.lower() and rng.random() < 0.8:
        return _table(matter, rng)
    if _STEP_CUES.search(question):
        return _listing(_STEPS, "{number}. ", question, matter, rng)
    if _LIST_CUES.search(question):
        return _listing(_BULLETS, "- ", question, matter, rng)
    sentences = _sentences(matter, rng.randint(4, 7) + extra, rng)
    if len(sentences) >= 6 and rng.random() < 0.5:
        middle = len(sentences) // 2
        return " ".join(sentences[:middle]) + "\n\n" + " ".join(sentences[middle:])
    return " ".join(sentences)


def _listing(frames: tuple[str, ...], mark: str, question: str, matter: _Matter, rng: Random) -> str:
    found = _HOW_MANY.search(question)
    count = max(2, min(20, number_of(found.group(1)))) if found else rng.randint(3, 6)
    written: dict[str, None] = {}
    for _ in range(3 * count):
        if len(written) < count:
            written[matter.sentence(rng.choice(frames), rng)] = None
    lines = [f"{mark.format(number=number)}{line}" for number, line in enumerate(written, 1)]
    closing = f"\n\n{matter.sentence(rng.choice(_CLOSINGS), rng)}" if rng.random() < 0.6 else ""
    return f"{matter.sentence(rng.choice(_OPENINGS), rng)}\n\n" + "\n".join(lines) + closing


def _email(matter: _Matter, rng: Random) -> str:
    subject = _capital(rng.choice(matter.focus[:4]))
    body = " ".join(matter.sentence(frame, rng) for frame in (*rng.sample(_ACTIONS, 2), rng.choice(_REASONS)))
    first = matter.sentence("I am writing because {situation}.", rng)
    last = matter.sentence("Please let me know by the end of the week whether you need help with {aspect}.", rng)
    return (
        f"Subject: {subject}\n\nDear colleagues,\n\n{first} {body}\n\n{last}\n\nKind regards,\n{_capital(rng.choice(matter.domain.actors))}"
    )


def _dialogue(question: str, matter: _Matter, rng: Random) -> str:
    found = re.search(r"\b(\d{1,2}) turns", question)
    count = max(2, min(12, int(found.group(1)))) if found else 6
    speakers = ["First speaker", "Second speaker"]
    frames = [_TURNS[place % len(_TURNS)] for place in range(count)]
    return "\n".join(f"{speakers[place % 2]}: {matter.sentence(frame, rng)}" for place, frame in enumerate(frames))


def _table(matter: _Matter, rng: Random) -> str:
    columns = (matter.focus, matter.domain.records, matter.domain.measures)
    rows = [f"| {' | '.join(_capital(rng.choice(column)) for column in columns)} |" for _ in range(rng.randint(3, 5))]
    head = "| Matter | Where it shows | What to do |\n| --- | --- | --- |"
    return (
        f"{matter.sentence(rng.choice(_OPENINGS), rng)}\n\n{head}\n"
        + "\n".join(rows)
        + f"\n\n{matter.sentence(rng.choice(_CLOSINGS), rng)}"
    )


def _from_document(asked: Asked, matter: _Matter, rng: Random) -> list[str]:
    """The two to four sentences of the document that share most words with the question, in the document's order."""
    sentences = document_sentences(asked.document)
    if not sentences:
        return _sentences(matter, 4, rng)
    words = set(content_words(asked.text if asked.text != asked.document else asked.frame))
    by_overlap = sorted(range(len(sentences)), key=lambda place: -len(words & set(content_words(sentences[place]))))
    picked = sorted(by_overlap[: min(len(sentences), rng.randint(2, 4))])
    first, *others = (sentences[place] for place in picked)
    return [f"{rng.choice(_SOURCED)} {first[0].lower()}{first[1:]}", *others]


_SOURCED = ("According to the text,", "The document says that", "As the passage puts it,", "The source is clear on this point:")


def document_sentences(text: str) -> list[str]:
    """Up to 60 plain sentences of a text, 6 to 60 words each, without headings and markup."""
    flat = re.sub(r"[#*_`>|\[\]]{1,10}", " ", text[:20_000])
    found = (" ".join(sentence.split()) for sentence in re.split(r"(?<=[.!?])\s{1,20}|\n\n", flat))
    return [sentence for sentence in found if 6 <= len(sentence.split()) <= 60 and sentence[-1] in ".!?"][:60]


def _facts(asked: Asked, matter: _Matter, rng: Random) -> dict[str, str]:
    """A flat JSON object: the keys that the question names, else three of our own."""
    found = _KEYS.search(asked.text)
    keys = re.split(r",? and |, ", found.group(1)) if found else ["summary", "next_step", "caution"]
    frames = (_OPENINGS, _ACTIONS, _CAVEATS, _REASONS, _EXAMPLES)
    return {key: matter.sentence(rng.choice(frames[place % len(frames)]), rng) for place, key in enumerate(keys)}


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
