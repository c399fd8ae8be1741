"""What to ask differently when a rejected candidate gets another attempt, by the gate and reason that rejected it.

A duplicate is asked for something different, a refusal is asked again in other words, a cut-off answer gets more room, personal data
asks for placeholders; an unsafe candidate is never asked for again. Sampling changes with each attempt, since the same request at the
same temperature mostly repeats the same fault.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from gen.types import Outcome, Sample, Sampling, Verdict

Change = Literal["new_instruction", "new_answer"]

# Gates whose objection is to the instruction: a new answer could not help.
_ABOUT_THE_INSTRUCTION = frozenset({"exact_dup", "near_dup", "novelty", "semantic_dup", "contamination", "balance", "conflict", "parse"})
# Never asked for again: what is unsafe must not be coaxed into passing (a score with a maximum measures harm); a surplus sample was good.
_NEVER = frozenset({"safety", "goal"})
_NEVER_REASONS = frozenset({"above_maximum", "unsafe"})
# What a person may say of a sample that concerns its instruction; anything else is taken to be about the answer.
_REVIEWED_INSTRUCTION = frozenset({"duplicate", "bad_prompt", "bad_instruction", "off_topic", "unclear", "too_easy"})
_MOST_ROOM = 4  # times max_tokens; a model that is still cut off there would not stop
_CUT = frozenset({"cut_off", "unfinished_sentence", "unclosed_fence", "unbalanced_fence", "unclosed_bracket"})
_ADVICE = {
    "exact_dup": "Write something clearly different: another situation, another question.",
    "near_dup": "Write something clearly different: another situation, another question.",
    "novelty": "Write something clearly different: another situation, another question.",
    "semantic_dup": "Write something clearly different: another situation, another question.",
    "balance": "Begin otherwise, and take another side of the subject.",
    "conflict": "Write something clearly different: another situation, another question.",
    "injection": "Write only for a person who wants to learn; give no orders to whoever reads or grades it.",
    "toxicity": "Be courteous: no insults, no contempt for anybody, no swear words.",
    "denylist": "Leave out every name, code word and marking of a real organisation.",
    "contamination": "Write something clearly different that is no known benchmark question.",
    "refusal": "The request is legitimate and harmless: answer it fully and directly.",
    "truncation": "Give a complete answer that comes to its end.",
    "pii": "Use obvious placeholders such as user@example.com instead of personal data.",
    "secrets": "Use obvious placeholders such as YOUR_API_KEY instead of anything that looks like a key.",
    "language": "Write in the language that was asked for, throughout.",
    "repetition": "Do not repeat phrases or lines.",
    "length": "Keep to the length that was asked for.",
    "format": "Write only the answer itself: no headings of a prompt, no placeholders, no leftovers of a template.",
    "quality": "Be specific and well structured.",
    "review": "A person read it and rejected it for this reason: put exactly that right.",
    "score": "Be more accurate, complete and specific.",
}


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a prompt is told about the failed attempt. `advice` is a sentence of ours, or empty."""

    gate: str
    reason: str
    detail: str
    advice: str


def may_ask_again(rejected: Outcome) -> bool:
    """Whether a rejected candidate may be asked for again: no failed verdict may forbid it, be it the first or not."""
    failed = [verdict for verdict in rejected.verdicts if not verdict.keep]
    return not rejected.accepted and all(worth_another(verdict) for verdict in failed)


def worth_another(verdict: Verdict) -> bool:
    """Whether a candidate that failed so may be asked for again."""
    return verdict.gate not in _NEVER and verdict.reason not in _NEVER_REASONS


def change_for(rejected: Outcome, attempt: int) -> Change:
    """Whether to keep the instruction and ask for another answer, or to start over; the last resort is to start over."""
    failure = rejected.failure
    about_instruction = failure is None or failure.gate in _ABOUT_THE_INSTRUCTION or failure.reason.startswith("prompt_")
    if failure is not None and failure.gate == "review":
        about_instruction = failure.reason in _REVIEWED_INSTRUCTION
    if about_instruction or not isinstance(rejected.item, Sample) or attempt > 1:
        return "new_instruction"
    return "new_answer"


def feedback_for(rejected: Outcome) -> Feedback:
    """The failed verdict as a prompt may show it: codes and measured values with underscores spelled out, never the failed text."""
    failure = rejected.failure
    if failure is None:
        return Feedback("", "", "", "")
    return Feedback(failure.gate, failure.reason.replace("_", " "), failure.detail[:300], _ADVICE.get(failure.gate, ""))


def sampling_for(base: Sampling, attempt: int, reason: str = "") -> Sampling:
    """Sampling of attempt `attempt` (0 is the first, unchanged): temperature steps away from the base by 0.2 per attempt, up while
    there is room below 1.0, else down; a cut-off reply gets twice the tokens that cut it off, then four times, whoever set them (at most
    what the model writes: `gen.llm.capabilities.sampling`)."""
    if attempt == 0:
        return base
    temperature = 0.7 if base.temperature is None else base.temperature
    if base.temperature is not None:
        step = 0.2 * attempt
        temperature = temperature + step if temperature + step <= 1.0 else max(0.1, temperature - step)
    elif attempt > 1:
        temperature = 1.0
    cut = reason.replace(" ", "_") in _CUT
    return replace(base, temperature=round(temperature, 3), room=min(_MOST_ROOM, 2**attempt) if cut else 1)
