"""Keep replies that are decent: no insults to the reader, no swearing, no contempt for a group of people."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, get_args

from gen.patterns.harm_lexicon import Lexicon, lexicon, stems
from gen.patterns.redaction import Side, text_of
from gen.types import Sample, Verdict, kept, rejected

Kind = Literal["insult", "profanity", "hate"]
_READ = 200_000  # characters of a turn
_NAMES = (
    "idiots?|morons?|imbeciles?|dumbass(?:es)?|dipshits?|assholes?|arseholes?|bastards?|bitch(?:es)?|cunts?|dickheads?|douchebags?|wankers?"
    "|losers?|scumbags?|pieces? of (?:shit|trash|garbage)|retards?|halfwits?|dimwits?|twats?|pricks?|whores?|sluts?"
)
_INSULT = re.compile(
    rf"\b(?:you(?:'re| are)|u r|ur)(?: (?:such|just|all|a|an|the|really|so|nothing but|worthless|stupid|dumb|fucking|damn|pathetic|total"
    rf"|complete|absolute|little|fat|ugly|lazy)){{0,5}} (?:{_NAMES}|stupid|dumb|worthless|pathetic)\b"
    rf"|\byou (?:(?:stupid|dumb|fucking|damn|pathetic|worthless|little|fat|ugly|lazy) ){{0,3}}(?:{_NAMES})\b"
    r"|\bfuck (?:you|off)\b|\bgo (?:fuck|kill|hang) yourself\b|\bkill yourself\b|\bshut (?:the (?:fuck|hell) )?up,? (?:you|idiot|moron)\b"
    r"|\bnobody (?:likes|loves|wants) you\b|\bgo to hell\b|\bscrew you\b"
)
_PROFANE = re.compile(
    r"\b(?:motherfuck|fuck|bullshit|shit|asshole|arsehole|dumbass|dickhead|cocksuck|cunt|bitch|wank|bollocks|goddamn|twat)"
    r"(?:s|es|er|ers|ed|in|in'|ing|ty|tier|face|faces|head|heads)?\b"
)
# Who writes about a word, quotes it or tells of another's insult does not insult.
_QUOTED = re.compile(
    r"\"[^\"\n]{1,300}\"|“[^”\n]{1,300}”|«[^»\n]{1,300}»|`[^`\n]{1,300}`|\*\*[^*\n]{1,80}\*\*|(?m:^>[^\n]{0,1000})|'[\w ]{1,40}'"
)
_ABOUT_WORDS = re.compile(
    r"\b(?:slur|swear ?word|swearing|curse word|profanit\w{1,3}|vulgar|derogatory|offensive (?:term|word|language)|insults?|slang)\b"
)
_GROUP_WORDS = 4  # between a group and what it is called


@dataclass(frozen=True)
class Toxicity:
    """Rejects a reply that insults, swears or shows contempt for a group. It goes by words; a moderation judge sees what they don't tell.

    Reasons: `insult` (aimed at whoever reads), `profanity` (more than `most_profane` swear words), `hate` (slurs, and groups of people
    called vermin and the like; the lists of the gate `safety`). What stands in quotation marks, code or a block quotation doesn't count,
    nor does a sentence that speaks of such words (a slur, vulgar, slang). `kinds` are looked for, `on` says whose turns are read: by
    default replies only, as a rude prompt with a decent reply is good training. The detail names kind and message, never the word.
    `most_profane` 0 is ours; the word lists are English and ours too.

    >>> from gen.types import Message
    >>> def said(text): return Toxicity().check(Sample("1", (Message("user", "Hi"), Message("assistant", text))))
    >>> said("Figure it out yourself, you stupid moron.").detail
    'insult in message 1'
    >>> said('"Moron" is a derogatory word.').keep
    True
    """

    kinds: tuple[Kind, ...] = get_args(Kind)
    most_profane: int = 0
    on: Side = "reply"
    _lexicon: Lexicon = field(init=False, repr=False, compare=False, default_factory=lexicon)
    _slurs: frozenset[str] = field(init=False, repr=False, compare=False, default_factory=lambda: _slurs())

    def __post_init__(self) -> None:
        if not self.kinds:
            raise ValueError(f"'kinds' is empty: choose from {', '.join(get_args(Kind))}")
        if self.most_profane < 0:
            raise ValueError(f"most_profane is a count from 0 on, got {self.most_profane}")

    def check(self, sample: Sample) -> Verdict:
        for index, message in enumerate(sample.messages):
            if reason := self._reason(text_of(message, self.on)[:_READ]):
                return rejected("toxicity", reason, f"{reason} in message {index}")
        return kept("toxicity")

    def _reason(self, text: str) -> str:
        lowered = _QUOTED.sub(" ", text).lower().replace("’", "'")
        sentences = [one for one in re.split(r"[.!?]\s|\n", lowered) if not _ABOUT_WORDS.search(one)]
        if "hate" in self.kinds and any(self._is_hateful(one) for one in sentences):
            return "hate"
        if "insult" in self.kinds and any(_INSULT.search(one) for one in sentences):
            return "insult"
        if "profanity" in self.kinds and sum(len(_PROFANE.findall(one)) for one in sentences) > self.most_profane:
            return "profanity"
        return ""

    def _is_hateful(self, sentence: str) -> bool:
        """A slur, or a group and, right after a form of "to be", what it is called."""
        words, lists = stems(sentence), self._lexicon.lists
        if any(word in self._slurs for word in _WORD.findall(sentence)):
            return True
        group = lists["groups"].find(words)
        if group is None or not _ALL_ARE.search(sentence):
            return False
        called = lists["insults"].find(words, group[1], group[1] + _GROUP_WORDS)
        return called is not None


def _slurs() -> frozenset[str]:
    """The slurs and their plurals as they are written: by their stems "spicy" would be one."""
    stemmed = (phrase[0] for phrase in lexicon().lists["slurs"] if len(phrase) == 1)
    return frozenset(form for stem in stemmed for form in (stem, f"{stem}s", f"{stem}es"))


_WORD = re.compile(r"[a-z]{2,40}")
_ALL_ARE = re.compile(r"\b(?:are|is) (?:all |just |nothing but |like |a |the )?")
PLUGIN = Toxicity
