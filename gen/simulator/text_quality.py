"""How good an answer looks from outside: what the simulated judges' opinions rest on.

Too short, refused, looping, foreign, cut off or leaking template tokens score low; the rest is spread over the upper half by a hash of
the text, so that two judges of one answer mostly agree.
"""

from __future__ import annotations

import hashlib
import re

from gen.simulator.lexicon import content_words

REFUSAL_CUES = ("i'm sorry", "i am sorry", "i can't", "i cannot", "unable to help", "not able to help", "can't assist", "won't be able")
_ENGLISH = frozenset(
    "the and of to a in is it that for with on as be this are not or an by from at when which can will should has have".split()
)
_END = re.compile(r"[.!?:)\]}\"”'`|…*>]\s{0,3}$")
_LEAK = re.compile(r"<\|[a-z_]{2,30}\|>|\[/?INST\]|</?s>|<(?:start|end)_of_turn>")


def faults(answer: str) -> tuple[str, ...]:
    """What is visibly wrong with an answer, in words a judge would use."""
    words = answer.lower()[:8000].split()
    found: list[str] = []
    if len(words) < 12:
        found.append("it is very short")
    if any(cue in answer.lower()[:200] for cue in REFUSAL_CUES):
        found.append("it refuses the task")
    if _loops(words):
        found.append("it repeats itself")
    if "```" not in answer and _foreign(answer, words):
        found.append("it is not in English")
    if words and not _END.search(answer[-40:]):
        found.append("it breaks off")
    if _LEAK.search(answer[:8000]):
        found.append("it contains control tokens")
    return tuple(found)


def quality(answer: str, instruction: str = "") -> float:
    """From 0 to 1: at most 0.25 for an answer with a fault, 0.5 to 1 for others, 0.15 less where it shares no word with its instruction."""
    spread = int.from_bytes(hashlib.sha256(answer.encode("utf-8", "surrogatepass")).digest()[:4], "big") / 2**32
    found = faults(answer)
    if found:
        return max(0.0, 0.25 * spread - 0.1 * (len(found) - 1))
    asked = set(content_words(instruction))
    off_topic = len(asked) > 4 and not asked & set(content_words(answer))
    return 0.5 + 0.5 * spread - (0.15 if off_topic else 0.0)


def _loops(words: list[str]) -> bool:
    triples = list(zip(words, words[1:], words[2:], strict=False))
    return len(triples) > 20 and len(set(triples)) < 0.55 * len(triples)


def _foreign(answer: str, words: list[str]) -> bool:
    letters = [sign for sign in answer[:2000] if sign.isalpha()]
    if letters and sum(sign.isascii() for sign in letters) < 0.5 * len(letters):
        return True
    return len(words) >= 8 and sum(word in _ENGLISH for word in words) < 0.08 * len(words)
