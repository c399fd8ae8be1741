"""Views of a text that gates, sources and reports share: words, n-grams, prose without code, counts that also fit Chinese or Thai.

Every view is linear in the text and looks at no more than `CAP` characters of it (the counts excepted, which are cheap on any length).
The costly views are cached for the last few texts, because several gates ask for the same view of one text, one after the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from gen.folding import fold
from gen.types import Sample

CAP = 20_000  # characters of one text that are analysed: about 4,000 English words, beyond any reply of the presets
_HEAD = 14_000  # of a longer text its beginning and its end are read, where refusals and truncations show
_VIEWS = 64  # texts kept per view: all turns of one sample, with room for a few more

_ASCII_WORD = re.compile(r"[a-z0-9_]{1,64}(?:'[a-z]{1,8})?")
_ASCII_WORD_CHARS = 64
_WORD_CHARACTERS = bytes(code if chr(code).isascii() and (chr(code).isalnum() or chr(code) in "_'") else 32 for code in range(256))
_WORD = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]{1,5}"  # Thai, Lao, Burmese, Khmer: no spaces between words, about five characters each
    r"|[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"  # kana and Han: one character
    r"|[^\W\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]{1,64}(?:['’][^\W\d]{1,8})?"
)
_ASCII_NO_LETTERS = bytes(code for code in range(128) if not chr(code).isalpha())
_DENSE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_SPACELESS = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
_DENSE_PER_WORD = 2  # Chinese and Japanese words are about two characters long
_SPACELESS_PER_WORD = 5
_INLINE_CODE = re.compile(r"`[^`\n]{1,300}`")
_URL = re.compile(r"(?:https?://|www\.)[^\s<>\"']{1,500}")
_CODE_LINE = re.compile(
    r"(?:def|class) [A-Za-z_]\w{0,60}\s{0,4}[(:{]|(?:import|from|package|using|namespace|require|include) [\w.<>:\"'/]{1,80}(?:;"
    r"| import |$| as )"
    r"|#include|#!|//|/\*|\* @|--\s|<\?php|</?[a-z][\w-]{0,30}(?:\s[^<>]{0,200})?/?>|@\w{1,40}(?:\(|$)"
    r"|(?:public|private|protected|static|final|const|let|var|function|func|fn|async|export|struct|enum|template|typedef|extern"
    r"|val) [\w<*&\[({]"
    r"|(?:int|void|float|double|char|bool|boolean|string|String|long|auto|size_t|unsigned|std::\w{1,30}) [*&]?\w{1,60}\s{0,4}[(=;\[,{]"
    r"|(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE TABLE|ALTER TABLE|FROM|WHERE|JOIN|INNER JOIN|LEFT JOIN|GROUP BY|ORDER BY|VALUES)\b"
    r"|(?:if|elif|else if|while|for|switch|catch|with|unless|foreach)\s{0,2}[(\[]|(?:if|elif|while|for|with|try|else|except"
    r"|finally)\b[^.!?]{0,150}:$"
    r"|(?:return|print|echo|puts|raise|throw|break|continue|end|fi|done|esac|else|then|do|try|yield|pass|exit)(?:\s?[(\[\"'$;{]|$)"
    r"|return [\w\[({\"'-]|[})\]]{1,6}[;,)]{0,4}$|\$ ?[a-z][\w-]{0,40} "
    r"|(?:sudo|apt|pip|npm|git|curl|grep|awk|sed|ls|cd|mkdir|chmod|find|docker) [-\w./'\"]"
)
_ASSIGNMENT = re.compile(r"[$@]?[\w.\[\]'\"$>-]{1,80}\s{0,20}(?:[-+*/|&%:.]?=|<-|:=|=>|\+\+|--)(?!=)\s{0,20}\S")
_ASSIGNMENT_MARKS = ("=", "<-", "++", "--")
_CALL = re.compile(r"[\w.:$>-]{1,80}\([^)]{0,200}\)[;:{]?$")
_CALL_ENDS = (")", ");", "):", "){")
_CODE_END = re.compile(r"(?:[;{]|\)\s{0,4}\{|\);|=>|&&|\|\||\\)$")


@dataclass(frozen=True, slots=True)
class Fences:
    """What Markdown code fences make of a text: the prose outside them, the code inside, and whether one stays open."""

    prose: str
    code: tuple[str, ...] = ()
    open: bool = False
    ends_with_mark: bool = False


def contents(sample: Sample, role: str) -> tuple[str, ...]:
    """The contents of all turns of `role` in order; what is no text at all is the schema gate's business and left out."""
    return tuple([message.content for message in sample.messages if message.role == role and isinstance(message.content, str)])


def capped(text: str) -> str:
    """The text itself up to `CAP` characters, else its beginning and its end."""
    return text if len(text) <= CAP else f"{text[:_HEAD]}\n{text[_HEAD - CAP :]}"


def normalise(text: str) -> str:
    """NFKC, case folded, invisible characters dropped, runs of white space as one space.

    >>> normalise("  The\\u200b ﬁrst\\n LINE ")
    'the first line'
    """
    if text.isascii():
        return " ".join(text.lower().split())
    return " ".join(fold(text).casefold().split())


@lru_cache(maxsize=_VIEWS)
def words(text: str) -> tuple[str, ...]:
    """The lower-cased words of the capped text; each Han or kana character and every five characters of Thai count as one.

    >>> words("It's 東京, isn't it?")
    ("it's", '東', '京', "isn't", 'it')
    """
    body = capped(text)
    if body.isascii():
        return tuple(_ascii_words(body.lower()))
    return tuple(_WORD.findall(fold(body).lower().replace("’", "'")))


def _ascii_words(lowered: str) -> list[str]:
    """What `_ASCII_WORD` finds. Splitting is several times quicker than searching; only words with an apostrophe have to be searched."""
    found = lowered.encode("ascii").translate(_WORD_CHARACTERS).decode("ascii").split()
    if found and len(max(found, key=len)) > _ASCII_WORD_CHARS:
        return _ASCII_WORD.findall(lowered)
    return [word for piece in found for word in (_ASCII_WORD.findall(piece) if "'" in piece else (piece,))] if "'" in lowered else found


def count_words(text: str) -> int:
    """Words as a reader counts them, of the whole text: between white space, about two characters of Chinese or Japanese each, five of
    Thai, Lao, Burmese or Khmer.

    >>> count_words("Paris is nice."), count_words("东京是日本的首都")
    (3, 4)
    """
    if text.isascii():
        return len(text.split())
    dense, spaceless = len(_DENSE.findall(text)), len(_SPACELESS.findall(text))
    if not dense and not spaceless:
        return len(text.split())
    rest = sum(any(letter.isalnum() for letter in word[:64]) for word in _SPACELESS.sub(" ", _DENSE.sub(" ", text)).split())
    return rest + -(-dense // _DENSE_PER_WORD) + -(-spaceless // _SPACELESS_PER_WORD)


def estimate_tokens(text: str) -> int:
    """About as many tokens as a BPE tokenizer of a current model makes: four ASCII characters each, one Han or kana character, else two.

    An estimate without a tokenizer; packing counts exactly.
    """
    total = len(text)
    if text.isascii():
        return -(-total // 4)
    dense = len(_DENSE.findall(text))
    ascii_count = len(text.encode("ascii", "ignore"))
    return dense + -(-ascii_count // 4) + -(-(total - dense - ascii_count) // 2)


def count_letters(text: str) -> int:
    """How many characters are letters."""
    if text.isascii():
        return len(text.encode("ascii").translate(None, _ASCII_NO_LETTERS))
    return sum(map(str.isalpha, text))


def ngrams(tokens: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    """Every run of `size` neighbours, in order.

    >>> list(ngrams(["a", "b", "c"], 2))
    [('a', 'b'), ('b', 'c')]
    """
    return zip(*(tokens[start:] for start in range(size)), strict=False)


def shingles(tokens: Sequence[str], size: int) -> frozenset[str]:
    """The set of word n-grams as texts; a text shorter than `size` words is one shingle of its own.

    >>> sorted(shingles(["a", "b", "c"], 2))
    ['a b', 'b c']
    """
    if len(tokens) <= size:
        return frozenset((" ".join(tokens),)) if tokens else frozenset()
    return frozenset(" ".join(gram) for gram in ngrams(tokens, size))


@lru_cache(maxsize=_VIEWS)
def longest_run(text: str) -> int:
    """How many characters the longest run without white space has: no key, account or address is in a text of short words alone.

    >>> longest_run("a bc def")
    3
    """
    return len(max(text.split(), key=len, default=""))


@lru_cache(maxsize=_VIEWS)
def fences(text: str) -> Fences:
    """The capped text split at its Markdown code fences (CommonMark 4.5: at least three ` or ~, closed by as many of the same)."""
    body = capped(text)
    if "```" not in body and "~~~" not in body:
        return Fences(body)
    prose: list[str] = []
    blocks: list[list[str]] = []
    mark, marked = "", False
    for line in body.splitlines():
        bare = line.strip()
        run = bare[: len(bare) - len(bare.lstrip(bare[0]))] if bare[:3] in ("```", "~~~") else ""
        marked = bool(run)
        if mark and run.startswith(mark) and bare == run:
            mark = ""
        elif mark:
            blocks[-1].append(line)
        elif run and "`" not in bare[len(run) :]:
            mark = run
            blocks.append([])
            prose.append("")
        else:
            marked = False
            prose.append(line)
    return Fences("\n".join(prose), tuple("\n".join(block) for block in blocks), bool(mark), marked)


@lru_cache(maxsize=_VIEWS)
def prose(text: str) -> str:
    """The capped text without fenced code, inline code and addresses.

    >>> prose("See `ls -l`:\\n```sh\\nls\\n```\\nDone.").split()
    ['See', ':', 'Done.']
    """
    body = fences(text).prose
    if "`" in body:
        body = _INLINE_CODE.sub(" ", body)
    return _URL.sub(" ", body) if "http" in body or "www." in body else body


@lru_cache(maxsize=_VIEWS)
def lines(text: str) -> tuple[str, ...]:
    """The lines of the capped text that hold more than white space, stripped."""
    return tuple(bare for line in capped(text).splitlines() if (bare := line.strip()))


@lru_cache(maxsize=_VIEWS)
def code_share(text: str) -> float:
    """Which share of the text's lines, from 0 to 1, is program code, by fences or by the look of the line.

    >>> code_share("import os\\nprint(os.name)"), code_share("A plain sentence.")
    (1.0, 0.0)
    """
    all_lines = lines(text)
    if not all_lines:
        return 0.0
    parts = fences(text)
    fenced = sum(1 for block in parts.code for line in block.splitlines() if line.strip())
    looks = sum(1 for line in (lines(parts.prose) if parts.code else all_lines) if is_code_line(line))
    return min(1.0, (fenced + looks) / max(1, len(all_lines) - 2 * len(parts.code)))


def is_code_line(line: str) -> bool:
    """Whether one stripped line looks like program code rather than a sentence.

    >>> is_code_line("x += 1"), is_code_line("If you like (and only then), go on:")
    (True, False)
    """
    cut = line[:400]
    is_sentence = cut[:1].isupper() and cut[1:2].islower() and not cut.startswith("String")  # no keyword is written like that
    if (not is_sentence and _CODE_LINE.match(cut)) or (cut.endswith(_CALL_ENDS) and _CALL.match(cut)):
        return True
    if any(map(cut.__contains__, _ASSIGNMENT_MARKS)) and _ASSIGNMENT.match(cut):
        return True
    return len(cut) == len(line) and _CODE_END.search(cut[-8:]) is not None
