"""What the figures mean: issues that must be mended before training, notes that a person should read. Each with its numbers, its lines
and what would mend it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gen.audit.measures import Audit, Balance
from gen.audit.targets import Place, place_text
from gen.figures.concerns import LONGER_WINS
from gen.figures.wording import many, percent

# The bars of the course's audit: at most 5 % duplicates and 10 % cut off, nothing empty, nothing leaking, no secret.
MAX_DUPLICATES, MAX_TRUNCATED = 0.05, 0.10
MAX_REFUSALS = 0.05  # a model learns to refuse from few examples
MAX_UNSAFE = 0.01  # the word-based screen errs on some of a thousand ordinary records: a lower share is for a person to read
_BIG_OPENING, _OPENING_RECORDS = 0.10, 50
_UNBALANCED = 10  # times that the most frequent label stands for each of the rarest
_OTHER_LANGUAGE = 0.01
_ENOUGH_PAIRS = 20
ALWAYS_LONGER = 0.90  # of the pairs: whatever else their answers have, length alone tells them apart
# Ethayarajh et al. 2024, "KTO": the two kinds, each times its weight, should be even to 4 to 3.
MAX_LABEL_RATIO = 4 / 3
_SHOWN = 5
_MANY = {"prompt": "prompts", "reply": "replies"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found. `code` is stable; `issue` decides the exit status; `count` records of `of` are concerned."""

    code: str
    issue: bool
    count: int
    of: int
    text: str
    places: tuple[Place, ...]
    cure: str

    @property
    def share(self) -> float:
        return self.count / max(1, self.of)


# code → (what it is called, what would mend it)
_ALWAYS_ISSUES = {
    "unreadable": ("unreadable lines", "repair or drop them: most trainers stop at the first one"),
    "structure": ("bad structure", "`sluice gate FILE --gates schema --out DIR` takes them out and says why"),
    "roles": ("roles out of order", "a system turn first, then user and assistant by turns, the assistant last: templates refuse the rest"),
    "empty": ("empty messages", "`sluice gate FILE --gates schema --out DIR` takes them out: a model learns to say nothing"),
    "unfit": (
        "refused by the chat template",
        "the trainer would fail on them or train on the wrong tokens: drop them or change the template",
    ),
    "secrets": ("secrets", "revoke them, then `sluice gate FILE --gates secrets --out DIR`: a model repeats what it has seen"),
    "pii": ("personal data", "`sluice gate FILE --gates pii --out DIR`, or a recipe whose gate redacts: `{name: pii, action: redact}`"),
}
_BY_SHARE = {
    "refusal": ("refusals", MAX_REFUSALS, "`sluice gate FILE --gates refusal --out DIR`, unless refusing is what you teach"),
    "safety": ("unsafe by the word screen", MAX_UNSAFE, "read them: it goes by words; `sluice gate FILE --gates safety --out DIR`"),
}


def findings(audit: Audit) -> list[Finding]:
    """Everything found, issues first, in the order of a reader's questions."""
    found = [*_found_by_gates(audit), *_length(audit), *_repeats(audit), *_leaks(audit), *_pairs(audit), *_answers(audit), *_notes(audit)]
    return sorted(found, key=lambda finding: not finding.issue)


def where(finding: Finding, audit: Audit) -> str:
    """The first places of a finding in words; empty when it is about no line."""
    shown = [place_text(place, audit.targets) for place in finding.places[:_SHOWN]]
    if len(audit.targets) == 1 and len(shown) > 1:
        shown = ["lines " + shown[0].removeprefix("line "), *(text.removeprefix("line ") for text in shown[1:])]
    return ", ".join(shown) + (" …" if shown and finding.count > len(shown) else "")


def _found_by_gates(audit: Audit) -> Iterator[Finding]:
    lines = audit.records + audit.count("unreadable")
    for code, (name, cure) in _ALWAYS_ISSUES.items():
        yield from _tally(audit, code, name, 0.0, cure, of=lines if code == "unreadable" else audit.records)
    for code, (name, bar, cure) in _BY_SHARE.items():
        yield from _tally(audit, code, name, bar, cure, of=audit.records)


def _tally(audit: Audit, code: str, name: str, bar: float, cure: str, *, of: int) -> Iterator[Finding]:
    tally = audit.survey.found.get(code)
    if tally and tally.count:
        why = ", ".join(f"{reason} {count:,}" for reason, count in tally.reasons.most_common(6))
        allowed = f", {_percent(bar)} allowed" if bar else ""
        text = f"{name}: {tally.count:,} of {of:,} ({_percent(tally.count / of)}{allowed}): {why}"
        yield Finding(code, tally.count / of > bar, tally.count, of, text, tuple(tally.places), cure)


def _length(audit: Audit) -> Iterator[Finding]:
    if audit.truncated:
        share = audit.truncated / audit.records
        text = (
            f"longer than {audit.max_length:,} tokens: {audit.truncated:,} of {audit.records:,} ({_percent(share)},"
            f" {_percent(MAX_TRUNCATED)} allowed); cut off, their answers would never end"
        )
        cure = f"a --max-length of {audit.tokens.p95:,} holds 95 %; else drop or divide the longest"
        yield Finding("truncated", share > MAX_TRUNCATED, audit.truncated, audit.records, text, audit.truncated_places, cure)


def _repeats(audit: Audit) -> Iterator[Finding]:
    near, copies = audit.duplicates.near, audit.count("copies")
    if near:
        share = near / audit.records
        text = (
            f"near-duplicates: {near:,} of {audit.records:,} ({_percent(share)}, {_percent(MAX_DUPLICATES)} allowed) ask nearly what an"
            f" earlier record of the same file asks{f'; {copies:,} copy one exactly, answer and all' if copies else ''}"
        )
        cure = "`sluice gate FILE --gates exact_dup,near_dup --out DIR` keeps the first of each"
        issue = max(share, copies / audit.records) > MAX_DUPLICATES  # texts ask nothing, and are copies all the same
        yield Finding("duplicates", issue, near, audit.records, text, audit.duplicates.places, cure)
    elif copies:
        places = tuple(audit.survey.found["copies"].places)
        yield Finding("duplicates", copies / audit.records > MAX_DUPLICATES, copies, audit.records, f"exact copies: {copies:,}", places, "")


def _leaks(audit: Audit) -> Iterator[Finding]:
    found = audit.duplicates
    if found.leaking_families:
        names = [target.name for target in audit.targets]
        pairs = "; ".join(
            f"{count:,} of {audit.survey.records[other]:,} in {names[other]} are nearly in {names[one]}"
            for one, other, count in found.leaking
        )
        places = tuple(leak.held for leak in found.leaks)
        cure = "split again by family: `sluice mix` with `split: anew`, or `sluice export RUN`"
        yield Finding("leak", True, found.leaking_families, audit.records, f"leak between splits: {pairs}", places, cure)


def _pairs(audit: Audit) -> Iterator[Finding]:
    pairs, labels = audit.survey.pairs, audit.survey.labels
    if pairs.same:
        text = f"pairs whose two answers are the same but for case and white space: {pairs.same:,} of {pairs.count:,}"
        yield Finding("same_answers", True, pairs.same, pairs.count, text, tuple(pairs.first_of_same), "drop them: they prefer nothing")
    differing = pairs.longer + pairs.shorter
    if differing >= _ENOUGH_PAIRS and pairs.longer_share > LONGER_WINS:
        text = (
            f"the longer answer is the chosen one in {_percent(pairs.longer_share)} of {many(differing, 'pair')}"
            f" ({_percent(ALWAYS_LONGER)} allowed), by {many(pairs.median_difference, 'word')} at the median: a model would learn length"
        )
        cure = "add pairs whose better answer is the shorter one, or drop those that length alone could decide"
        yield Finding("length_bias", pairs.longer_share > ALWAYS_LONGER, pairs.longer, differing, text, (), cure)
    answers = labels.wanted + labels.unwanted
    if answers and not (labels.wanted and labels.unwanted):
        text = f"all {many(answers, 'answer')} are labelled {'wanted' if labels.wanted else 'unwanted'}: KTO learns from both kinds"
        yield Finding("one_label", True, answers, answers, text, (), "add answers of the other kind")
    elif answers and not 1 / MAX_LABEL_RATIO <= labels.wanted / labels.unwanted <= MAX_LABEL_RATIO:
        weight = labels.unwanted / labels.wanted
        text = f"wanted and unwanted answers are uneven: {labels.wanted:,} and {labels.unwanted:,}"
        option = f"desirable_weight={weight:.3g}" if weight > 1 else f"undesirable_weight={1 / weight:.3g}"
        yield Finding("labels", False, max(labels.wanted, labels.unwanted), answers, text, (), f"`{option}` in the trainer evens them out")


def _answers(audit: Audit) -> Iterator[Finding]:
    if audit.contradictions.count:
        places = tuple(one.second for one in audit.contradictions.named)
        text = f"answers that contradict an earlier one to the same question, by number, yes or no, choice: {audit.contradictions.count:,}"
        yield Finding("contradictions", False, audit.contradictions.count, audit.records, text, places, "a person has to read both")


def _notes(audit: Audit) -> Iterator[Finding]:
    if audit.survey.simulated:
        text = f"written by the simulator: {audit.survey.simulated:,} of {audit.records:,}; it is for trying the tool out"
        yield Finding("simulated", True, audit.survey.simulated, audit.records, text, (), "never train on it: run the recipe with a model")
    for one in audit.outliers:
        shown = ", ".join(f"{words:,}" for _, words in one.named[:_SHOWN])
        text = f"{_MANY[one.side]} of an unusual length: {one.count:,} of {audit.records:,}; words of the farthest: {shown}"
        places = tuple(place for place, _ in one.named)
        yield Finding(
            f"outliers_{one.side}", False, one.count, audit.records, text, places, "read them: cut off, pasted twice, or just right"
        )
    for side, openings in (("prompt", audit.survey.prompt_openings), ("reply", audit.survey.reply_openings)):
        if openings and audit.records >= _OPENING_RECORDS:
            opening, count = min(openings.items(), key=lambda item: (-item[1], item[0]))
            if count / audit.records > _BIG_OPENING:
                text = f"{_percent(count / audit.records)} of the {_MANY[side]} begin with '{opening}'"
                yield Finding(f"opening_{side}", False, count, audit.records, text, (), "ask in more ways, or drop some")
    yield from (_unbalanced(one, audit) for one in audit.balances if one.ratio > _UNBALANCED)
    known = {code: count for code, count in audit.survey.languages.items() if code not in ("und", "mixed")}
    often = sorted(code for code, count in known.items() if count / audit.records > _OTHER_LANGUAGE)
    if len(often) > 1:
        listed = ", ".join(f"{code} {known[code]:,}" for code in sorted(often, key=lambda code: -known[code]))
        rest = audit.records - max(known.values())
        text = f"replies in {len(often)} languages: {listed}"
        yield Finding(
            "languages", False, rest, audit.records, text, (), "`sluice gate FILE --gates language --language CODE --out DIR` keeps one"
        )


def _unbalanced(one: Balance, audit: Audit) -> Finding:
    (most, often), (least, few) = one.values[0], one.values[-1]
    text = f"{one.name} is uneven: '{most}' {often:,}, '{least}' {few:,}, {len(one.values):,} values in all"
    return Finding(
        f"balance_{one.name}", False, often, audit.records, text, (), "ask for more of the rare ones, in a recipe by `goal: {per_topic: …}`"
    )


def _percent(share: float) -> str:
    """With a decimal where it is small, so that 5.4 % does not read as the 5 % that are allowed."""
    return f"{100 * share:.1f}\u00a0%" if 0.001 <= share < 0.2 and round(1000 * share) % 10 else percent(share)
