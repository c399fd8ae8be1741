"""Keep replies that were finished."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gen.bounds import to_try
from gen.text import capped, code_share, contents, count_words, fences, is_code_line, lines, words
from gen.types import Sample, Verdict, kept, rejected

_END = re.compile(r"(?:[.!?…。！？।॥؟۔։።၊။]|\.\.\.)[\"'”’»«)\]}*_`~>」』）】\s]{0,12}$")
_CLOSED = re.compile(r"[\"”’»)\]}*_`>」』）】|]$")
_FINISHED = re.compile(  # without a mark: author of a quotation, signature, hashtag, Thai and Lao (which have none), emoji
    r"[.!?…][\"'”’»]?\s{0,2}[-–—~]{1,2}\s{0,2}[A-Z][\w.,' ]{1,40}$"
    r"|(?:^|[.!?,—]\s{1,2})(?i:(?:\w{1,12} ){0,3}(?:sincerely|regards|yours|truly|faithfully|love|cheers|best|respectfully|warmly"
    r"|wishes|hugs|friend))"
    r"\b(?:[,!]?\s{1,3}(?:(?:[A-Z][\w.'’-]{0,20}|of|the|and|your),?\s?){1,7})?$"
    r"|#\w{2,40}$|[\u0e00-\u0eff]$|[^\w\s,;:–—&+=/<(\[{-]$"
)
_BARE_NUMBER = re.compile(r"[.;!?]\s\(?(\d{1,2})[.)]?$")
_LIST_LINE = re.compile(r"(?:[-*•+–—]|\(?\d{1,3}[.):]|\(?[a-zA-Z][.)]|#{1,6})\s|\|")
_BARE_LIST = re.compile(r"(?:[-*•+]|\(?\d{1,3}[.)])$")
_SENTENCE_END = re.compile(r"[^\W\d]{2}[.!?] ")
_PROSE_ITEM = 12  # words: a list item of several sentences ends like prose
_CODE_OPEN = {"{": "}", "[": "]", "(": ")"}
_QUOTED_OR_COMMENT = re.compile(
    r"\"(?:\\.|[^\"\\\n]){0,2000}\"|'(?:\\.|[^'\\\n]){0,2000}'|`(?:\\.|[^`\\]){0,2000}`"
    r"|//[^\n]{0,2000}|# [^\n]{0,2000}|-- [^\n]{0,2000}|/\*.{0,4000}?\*/|<!--.{0,4000}?-->",
    re.DOTALL,
)
_DANGLING_CODE = re.compile(
    r"(?:(?<!\{\} )[=+,&|(\[{\\:]|\b(?:def|class|return|if|elif|while|import|function|public|new|and|or|not|then|do))$"
)
_COMMENT_LINE = re.compile(r"//|#|\*|--|/\*|\d{1,3}[.)]|[-*•] ")
_GOES_ON = (",", ";", ":", "-", "–", "—", "，", "、", "：", "；")
_NEVER_LAST = frozenset("the a an and or but of because their your our my its whose than".split())
_DANGLING_WORDS = _NEVER_LAST | frozenset(
    "to in on at by for with from as that which who if when while into about is are was were be been has have had "
    "his her this these those such very can could will would should may might must not".split()
)


@dataclass(frozen=True, slots=True)
class Truncation:
    """Rejects replies that stop before their end.

    What the API said decides first: finish reason `length` is `cut_off`. Else the text shows it: a code fence or bracket that stays open,
    or prose of at least `min_words` whose last sentence lacks an end mark. Code, lists, tables, headings, short answers, sums and JSON
    need none. No published threshold exists; twelve words keeps titles, names and one-line answers.
    Reasons: `cut_off`, `unclosed_fence`, `unclosed_bracket`, `unfinished_sentence`.

    >>> from gen.types import Message
    >>> text = "Bread needs flour, water, salt and yeast. Knead the dough for ten minutes, then leave it to"
    >>> PLUGIN().check(Sample("1", (Message("assistant", text),))).reason
    'unfinished_sentence'
    """

    min_words: int = 12

    thresholds = to_try(min_words=(4, 6, 8, 10, 12, 16, 20, 30))

    def __post_init__(self) -> None:
        if self.min_words < 1:
            raise ValueError(f"min_words must be at least 1, got {self.min_words}")

    def check(self, sample: Sample) -> Verdict:
        if sample.provenance.finish_reason == "length":
            return rejected("truncation", "cut_off", "finish reason length")
        for text in contents(sample, "assistant"):
            reason, detail = self._unfinished(text)
            if reason:
                return rejected("truncation", reason, detail)
        return kept("truncation")

    def _unfinished(self, text: str) -> tuple[str, str]:
        parts = fences(text)
        if parts.open and not parts.ends_with_mark:
            return "unclosed_fence", "the last code fence is not closed"
        rows = lines(text)
        if not rows:
            return "", ""
        share = code_share(text)
        if share >= 0.5 or parts.code:
            body = "\n".join(parts.code) if parts.code else capped(text)
            if missing := _open_brackets(body):
                return "unclosed_bracket", f"{missing!r} stays open in code"
            if share >= 0.5 and not parts.code and not _COMMENT_LINE.match(rows[-1]) and _DANGLING_CODE.search(rows[-1]):
                return "unfinished_sentence", "code ends in the middle of a statement"
            if share >= 0.5 or parts.ends_with_mark:
                return "", ""
        if text.lstrip()[:1] in ("{", "[") and _open_brackets(capped(text)):
            return "unclosed_bracket", "JSON stays open"
        return self._unfinished_prose(text, rows)

    def _unfinished_prose(self, text: str, rows: tuple[str, ...]) -> tuple[str, str]:
        last = rows[-1]
        number = _BARE_NUMBER.search(last[-8:])
        if _BARE_LIST.match(last) or (number and re.search(rf"\b{int(number[1]) - 1}[.)] ", text[-4000:])):
            return "unfinished_sentence", "ends with an empty list item"
        if is_code_line(last) or _END.search(last[-40:]) or _FINISHED.search(last[-100:]):
            return "", ""
        total, final = count_words(text), (words(last) or ("",))[-1]
        open_words = _DANGLING_WORDS if total >= self.min_words else _NEVER_LAST
        if total >= 4 and last[-1:].isalpha() and final in open_words and last[0].isupper() and len(words(last)) > 3:
            return "unfinished_sentence", "ends with a word that needs another"
        if last[-1:] in _GOES_ON and total >= self.min_words:
            return "unfinished_sentence", f"ends with {last[-1:]!r}"
        if total < self.min_words or _CLOSED.search(last) or not _is_sentence(last, rows):
            return "", ""
        return "unfinished_sentence", "prose without an end mark"


def _is_sentence(last: str, rows: tuple[str, ...]) -> bool:
    """Whether the last line is prose that ought to end with a mark: no title, sum, signature, verse or list in a style without marks."""
    count = count_words(last)
    if any(letter.isdigit() for letter in last[-6:]) or not any(map(str.isalpha, last[-2:])):
        return False
    if _LIST_LINE.match(last):
        if count >= _PROSE_ITEM and _SENTENCE_END.search(last):
            return True
        items = [row for row in rows[:-1] if _LIST_LINE.match(row)]
        return bool(items) and count >= 3 and all(_END.search(row[-40:]) for row in items[-3:]) and len(items) >= 2
    others = rows[:-1]
    if others and others[-1].endswith(",") and count <= 6:  # "Yours,", then a name
        return False
    marked = sum(1 for row in others if _END.search(row[-40:]))
    if len(others) >= 2 and 2 * marked < len(others):
        return False
    return count >= 6 or bool(marked and count >= 4 and last[0].isupper())


def _open_brackets(code: str) -> str:
    """The first kind of bracket that is opened more often than closed, with strings and comments and also without; empty when none is.

    Both counts must agree, because a stray quotation mark hides brackets from the one and a smiley adds some to the other.
    """
    suspects = [opening for opening, closing in _CODE_OPEN.items() if code.count(opening) > code.count(closing)]
    if not suspects:
        return ""
    bare = _QUOTED_OR_COMMENT.sub("", code)
    return next((opening for opening in suspects if bare.count(opening) > bare.count(_CODE_OPEN[opening])), "")


PLUGIN = Truncation
