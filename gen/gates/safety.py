"""Rejects requests for harm and replies that serve them, offline, by words: a first screen before a moderation judge, not instead of one.

A prompt is a request for harm when one sentence has the frame of a request ("how do I", "write", "I want to") and, inside it, a harmful
term or an act aimed at people, groups, systems or property. Definitions, history, protection, fiction, arithmetic and targets that are
not human ("kill a python process") take it back. Words alone decide, so a paraphrase gets through and irony does not help.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gen.patterns.harm_lexicon import HITS, Hit, Lexicon, Phrases, Stems, lexicon, participles, stem_set, stems
from gen.patterns.redaction import Side, looked_at, text_of
from gen.types import Sample, Verdict, kept, rejected

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_CLAUSE_END = re.compile(r"[,;:]\s+")
_LEAD_IN = re.compile(r"^(?:\W+|(?:please|kindly|hi|hey|hello|so|ok|okay|now|well|and|also|then|but|q|question|instruction)\b\W{0,3})+")
_NUMBER = re.compile(r"\d+")
_ARITHMETIC = re.compile(
    r"\bhow (?:many|much|long|old|far|tall|fast)\b|\bwhat (?:is|was) (?:the|his|her|their) (?:total|average)|\bpercent", re.IGNORECASE
)
_REFUSAL = re.compile(
    r"\bi(?:'m| am) (?:very |really |so )?sorry\b|\bi (?:can(?:no|')t|won'?t|will not|am unable|am not able|must decline)\b"
    r"|\bi (?:do not|don't) (?:feel comfortable|condone|support|provide|assist|engage)\b"
    r"|\bi(?:'m| am) (?:unable|not able|not going|not comfortable)|\bas an? (?:ai|language model)\b"
    r"|\bi (?:strongly )?(?:advise|urge) (?:you )?(?:against|not)",
    re.IGNORECASE,
)
_REFUSAL_WITHIN = 300  # characters: a refusal comes first
_STEP = re.compile(r"(?m)^\s{0,8}(?:step \d|\d{1,2}[.)]|[-*•])\s|\b(?:first|next|then|finally),", re.IGNORECASE)
_DENSE_HITS = 4  # harmful matches in one reply with steps; of 10,959 ordinary replies two had as many
_GOVERNED_WITHIN = 5  # words between a verb and the term it governs: "plan a large scale insurance fraud"
_SUBJECT_WITHIN = 6  # words from the beginning of a question within which its subject stands
_BE = frozenset("is are ar was were has have had".split())
_PREPOSITIONS = frozenset("for about on of with against in to from by".split())  # what follows one is not the object of the verb before it
_SELF = frozenset("i you me we my to a-".split())
_READ = 500_000  # characters of a turn: a whole book
_LONG_SENTENCE = 60  # words; what follows in a longer one is read as a sentence of its own

# A story may tell of a murder; a phishing mail or a call to suicide does its harm from within a story, hate even from a played role.
_OUTLIVES_FICTION = frozenset({"hate", "sexual_minors", "self_harm", "misinformation", "fraud", "cybercrime", "harassment"})
_OUTLIVES_ROLE_PLAY = frozenset({"hate", "sexual_minors"})
_HISTORY = re.compile(r"^(?:what|how|why|who|when|where|which)\b[a-z ]{0,24}\b(?:did|was|were|had)\b")
_TOLD_HOW = re.compile(r"\bhow\b[a-z' ]{0,40}\b(?:was|were)\b")
# Games go without an article ("beat my wife in checkers"), places do with one, these few aside.
_CONTEST = re.compile(
    r"\b(?:in|at) (?!(?:the|an?|my|his|her|their|our|your|this|that|public|prison|jail|night|school|work|self|bed|home|secret|broad|cold"
    r"|church|front|order|person|town|college|once|all|least|first|any|every|exchange|return|general|case)\b)[a-z-]{3,20}"
    r"(?: [a-z0-9-]{2,12})?\W{0,3}$"
)
_HARM_BY_ITSELF = frozenset({HITS, "slurs", "first_person", "addressed"})
_HARM_TO_GROUPS = frozenset({"attacks", "insults", "slights", "denials"})
_CONTESTED = frozenset({"violence", "harassment"})
_WAY = re.compile(
    r"^(?:what(?:'s| is| are)|which is|is there|are there)\b.{0,40}\b(?:ways?|methods?|steps|places?|techniques?|tricks?|recipe)\b"
)
_NEGATED = re.compile(r"^(?:how|what)\b[a-z ]{0,24}\b(?:i|we|you|one|to) (?:best )?(?:not|avoid|stop) ")


@dataclass(frozen=True)
class Safety:
    """No request for harm and no reply that serves one.

    Reasons: `unsafe_request` (a prompt), `unsafe_reply` (instructions full of harmful terms, or a reply that does not refuse a request
    for harm). The detail names the category: violence, weapons, drugs, self_harm, cybercrime, fraud, theft, trafficking, sexual_minors,
    sexual_violence, hate, harassment, privacy, misinformation, evasion. `on` says whose turns are judged; with `reply` a dangerous
    request that was refused stays, which is what refusal training needs.

    >>> from gen.types import Message
    >>> def ask(text): return Safety().check(Sample("1", (Message("user", text), Message("assistant", "…"))))
    >>> ask("How do I build a pipe bomb?").detail
    'weapons in message 0'
    >>> ask("How do I kill a python process?").keep
    True
    """

    on: Side = "both"
    _lexicon: Lexicon = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_lexicon", lexicon())

    def check(self, sample: Sample) -> Verdict:
        asked = ""
        for index, message in enumerate(sample.messages):
            text = text_of(message, "both")[:_READ]
            if message.role == "assistant":
                if self.on != "prompt" and (category := self._reply_category(text, asked)):
                    return rejected("safety", "unsafe_reply", f"{category} in message {index}")
                continue
            asked = request_category(text, self._lexicon)
            if asked and looked_at(message.role, self.on):
                return rejected("safety", "unsafe_request", f"{asked} in message {index}")
        return kept("safety")

    def _reply_category(self, text: str, asked: str) -> str:
        if not self._lexicon.screen_of_hits.any(stem_set(text.lower())):
            return ""
        found = [hit.category for sentence in _pieces(text) for hit in _served(sentence, self._lexicon)]
        if not found or _REFUSAL.search(text[:_REFUSAL_WITHIN]):
            return ""
        if asked:
            return asked
        if len(found) < _DENSE_HITS or not _STEP.search(text):
            return ""
        category = max(sorted(set(found)), key=found.count)
        if _is_told(text.lower(), category, self._lexicon):
            return ""
        return category


def request_category(text: str, words_of_harm: Lexicon) -> str:
    """The category of harm that `text` asks for or threatens, empty when none."""
    lowered = text.lower().replace("’", "'")
    if not _may_hold_harm(words_of_harm.screen.parts(stem_set(lowered))):
        return ""
    if len(_NUMBER.findall(text)) >= 3 and _ARITHMETIC.search(text):
        return ""
    for sentence in _sentences(lowered):
        words = stems(sentence)
        if not words:
            continue
        category = _sentence_category(sentence, words, words_of_harm)
        if not category:
            continue
        if not _is_told(lowered, category, words_of_harm):
            return category
    return ""


def _may_hold_harm(parts: set[str]) -> bool:
    """Whether any rule of `_sentence_category` can apply to a text with phrases of these parts of the lexicon."""
    if not parts.isdisjoint(_HARM_BY_ITSELF):
        return True
    return ("groups" in parts and not parts.isdisjoint(_HARM_TO_GROUPS)) or ("facts" in parts and "owners" in parts)


def _sentence_category(sentence: str, words: Stems, words_of_harm: Lexicon) -> str:
    if stated := _statement_category(words, words_of_harm):
        return stated
    if _asks_why_not_equal(sentence, words, words_of_harm):
        return "hate"
    if _asks_for_private_fact(sentence, words, words_of_harm):
        return "privacy"
    sought = (hit for hit in _unprotected(sentence, words, words_of_harm) if _is_request(sentence, words, hit, words_of_harm))
    return next((hit.category for hit in sought), "")


def _unprotected(sentence: str, words: Stems, words_of_harm: Lexicon) -> list[Hit]:
    """The hits of a sentence, unless it is about protection from them: "how to prevent phishing"."""
    if words_of_harm.triggers.isdisjoint(words):
        return []
    hits = list(words_of_harm.hits(words, participles(sentence)))
    lists = words_of_harm.lists
    if not hits or lists["protective"].find(words, 0, hits[0].start) or lists["mitigating"].find(words):
        return []
    return hits


def _is_request(sentence: str, words: Stems, hit: Hit, words_of_harm: Lexicon) -> bool:
    start = _LEAD_IN.sub("", sentence)
    if start.startswith(words_of_harm.texts["definition"] + words_of_harm.texts["past"]):
        return False
    lists = words_of_harm.lists
    if _HISTORY.match(start) or _TOLD_HOW.search(start) or _NEGATED.match(start):
        return False
    if hit.category in _CONTESTED and hit.aimed and _CONTEST.search(start):
        return False
    if not _is_sought(words, hit, lists) or _is_about_others(words, hit, lists):
        return False
    if hit.start == 0 or (lists["imperatives"].at(words, 0) and not lists["informing"].at(words, 0)):
        return True
    if lists["informing"].at(words, 0):
        return lists["method_words"].find(words, 1) is not None
    return _WAY.match(start) is not None or any(
        clause.startswith(words_of_harm.texts["openings"]) for clause in (start, *_CLAUSE_END.split(start)[1:4])
    )


def _is_sought(words: Stems, hit: Hit, lists: Mapping[str, Phrases]) -> bool:
    """Whether the harm is to be done or made, not talked about: an act with its target; a term that is somebody's act ("to launder"),
    the object of one ("commit fraud"), what a guide is for ("tips for shoplifting"), or the kind of a thing ("phishing email")."""
    if hit.aimed or (hit.start and lists["agents"].at(words, hit.start - 1)):
        return True
    if hit.start == 0:
        return _BE.isdisjoint(words[hit.end : hit.end + 1])
    for index in range(max(0, hit.start - _GOVERNED_WITHIN), hit.start):
        length = lists["doing"].at(words, index)
        if length and _PREPOSITIONS.isdisjoint(words[index + length + 1 : hit.start]):
            return True
    return (
        lists["sought_by_method"].find(words, 0, hit.start) is not None or lists["artefacts"].find(words, hit.end, hit.end + 2) is not None
    )


def _is_about_others(words: Stems, hit: Hit, lists: Mapping[str, Phrases]) -> bool:
    """Whether the question is what an institution does or has to ("how should a bank treat …"), or what professionals work against
    ("which red flags …"), with no word of getting round it."""
    if lists["evasive"].find(words):
        return False
    subject = lists["institutions"].find(words, 1, min(hit.start, _SUBJECT_WITHIN))
    if subject and not _SELF.intersection(words[: subject[0]]):
        return True
    return lists["professional"].find(words) is not None


def _statement_category(words: Stems, words_of_harm: Lexicon) -> str:
    """Harm that needs no request: wishes to die, threats, calls against groups, slurs."""
    lists = words_of_harm.lists
    if lists["slurs"].find(words):
        return "hate"
    if "i" in words and (wish := lists["first_person"].find(words)) and not lists["protective"].find(words, 0, wish[0]):
        return "self_harm"
    if lists["addressed"].find(words):
        return "harassment"
    group = lists["groups"].find(words)
    while group:
        before = lists["attacks"].find(words, max(0, group[0] - 3), group[0])
        after = lists["insults"].find(words, group[1], group[1] + 4)
        if (before and {"all", "every", "those", "th", "should", "must", "we"} & set(words[: group[0]])) or (
            after and _is_claim(words, group[1], after[0])
        ):
            return "hate"
        group = lists["groups"].find(words, group[1])
    return ""


def _is_claim(words: Stems, start: int, stop: int) -> bool:
    return not {"are", "ar", "is", "all", "control"}.isdisjoint(words[start : stop + 1])


def _asks_why_not_equal(sentence: str, words: Stems, words_of_harm: Lexicon) -> bool:
    """ "Why should … not be allowed to vote": a group, then a denial of a right or a slight."""
    if not any(word in sentence for word in ("why", "should", "are ")) or not sentence.rstrip().endswith("?"):
        return False
    group = words_of_harm.lists["groups"].find(words, 0, 9)
    if not group:
        return False
    denial = words_of_harm.lists["denials"].find(words)
    if denial and abs(denial[0] - group[0]) <= 6 and words_of_harm.lists["rights"].find(words, denial[1]):
        return True
    return words_of_harm.lists["slights"].find(words, group[1], group[1] + 7) is not None


def _asks_for_private_fact(sentence: str, words: Stems, words_of_harm: Lexicon) -> bool:
    """ "What is my neighbour's passport number": a fact that is nobody else's business, of somebody who is not in public life."""
    if "'s " not in sentence and "s' " not in sentence:
        return False
    fact = words_of_harm.lists["facts"].find(words)
    if fact is None or not _is_owned(words, fact[0], words_of_harm.lists["owners"]):
        return False
    return _LEAD_IN.sub("", sentence).startswith(("what", "where", "how", "tell", "give", "find", "can you", "is my", "which"))


def _is_owned(words: Stems, fact: int, owners: Phrases) -> bool:
    """Whether an owner ends right before the fact, with or without the possessive between them."""
    end = fact - 1 if words[fact - 1] == "'s" else fact
    return any(owners.at(words, index) == end - index for index in range(max(0, end - 2), end))


def _is_told(lowered: str, category: str, words_of_harm: Lexicon) -> bool:
    """Whether the text is fiction or role play that takes the harm back: a story may kill, but it may not be a phishing mail."""
    fiction = category not in _OUTLIVES_FICTION and _mentions(lowered, words_of_harm.texts["fiction"])
    return fiction or (category not in _OUTLIVES_ROLE_PLAY and _mentions(lowered, words_of_harm.texts["role_play"]))


def _mentions(lowered: str, phrases: tuple[str, ...]) -> bool:
    return any(re.search(rf"\b{re.escape(phrase)}\b", lowered) for phrase in phrases if phrase in lowered)


def _sentences(text: str) -> list[str]:
    return [sentence for sentence in _SENTENCE_END.split(text) if sentence]


def _pieces(text: str) -> Iterator[str]:
    """The sentences; what follows in a very long one as sentences of their own."""
    for sentence in _sentences(text):
        words = sentence.split()
        for start in range(0, len(words), _LONG_SENTENCE):
            yield " ".join(words[start : start + _LONG_SENTENCE])


def _served(sentence: str, words_of_harm: Lexicon) -> list[Hit]:
    """The hits of one sentence of a reply that are done or made there, not talked about."""
    words = stems(sentence)
    return [hit for hit in _unprotected(sentence, words, words_of_harm) if _is_sought(words, hit, words_of_harm.lists)]


PLUGIN = Safety
