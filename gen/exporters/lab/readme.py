"""README.md of a course's package: how the data was generated, cleaned and reviewed, what is left out, and how far to trust it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gen.card import REQUIRED, stated
from gen.conversation import Skipped
from gen.figures.concerns import SIMULATED, concerns
from gen.figures.measures import interval
from gen.figures.whole import Figures
from gen.figures.wording import dates, gate_options, many, percent, total_cost
from gen.markup import cut, fenced, markdown, markdown_table
from gen.record import RunRecord

_SYSTEM_SHOWN, _SYSTEM_CHARS = 3, 2_000
_STAND_INS = "The texts are stand-ins that show how the package is made; they teach nothing and are not true."
_LIMITS = (
    "Every text was written by a language model: it can be wrong where it sounds sure, and it shares the model's habits and biases.",
    "A line holds one question and one answer: a model trained on it learns nothing about longer conversations.",
    "Gates find what can be measured. Whether an answer is true, only a person or a source can tell.",
    "Scans for personal data and secrets find patterns; that nothing was found is no proof that nothing is there.",
)


@dataclass(frozen=True, slots=True)
class Package:
    """What a package holds: rows per split, what a line could not hold, and the (system message, samples) left out."""

    dataset: str
    rows: int
    splits: dict[str, int]
    skipped: Sequence[Skipped]
    system: Sequence[tuple[str, int]]


def readme(package: Package, record: RunRecord, figures: Figures) -> str:
    """The README as Markdown."""
    return "\n\n".join(block.rstrip() for block in _blocks(package, record, figures) if block) + "\n"


def _blocks(package: Package, record: RunRecord, figures: Figures) -> Iterator[str]:
    yield f"# {markdown(record.card.title or record.name)}: questions and answers for fine-tuning"
    if figures.simulated:
        yield f"> [!CAUTION]\n> **{SIMULATED}** {_STAND_INS}"
    if record.card.description:
        yield markdown(record.card.description)
    yield f"{many(package.rows, 'example')}, one JSON object a line with exactly two keys, `instruction` and `output`, both texts."
    yield _files(package)
    yield from _generated(record, figures)
    yield from _cleaned(record, figures)
    yield from _left_out(package)
    yield from _reviewed(record)
    yield from _splits(package, record)
    yield "## Limits\n\n" + "\n".join(f"- {markdown(text)}" for text in (*_LIMITS, *_concerns(record, figures)))


def _files(package: Package) -> str:
    files = [
        (package.dataset, "all examples"),
        *((f"splits/{split}.jsonl", many(rows, "example")) for split, rows in package.splits.items() if rows),
        ("data-card.md", "what it may be used for, how sensitive it is, who approved it"),
        ("quality-report.md", "the figures, and ten samples to inspect"),
        *([("left-out.jsonl", "accepted samples that a line cannot hold, with the reason")] if package.skipped else []),
    ]
    return "## Files\n\n" + markdown_table(("File", "What it holds"), files)


def _generated(record: RunRecord, figures: Figures) -> Iterator[str]:
    yield "## How it was generated"
    yield (
        f"By Sluice {markdown(record.version)} from the recipe {markdown(record.name)} (hash `{markdown(record.recipe_hash)}`, seed "
        f"{record.seed}): {figures.candidates:,} candidates, {figures.accepted:,} accepted. Made {markdown(dates(record))}; cost "
        f"{markdown(total_cost(figures))}."
    )
    yield markdown_table(("Model", "Provider", "Id"), [(line.name, line.provider, line.model) for line in record.models])
    asked, topics, accepted = Counter[str](), Counter[str](), Counter[str]()
    for line in figures.table:
        asked[line.strategy] += line.candidates
        accepted[line.strategy] += line.accepted
        topics[line.strategy] += bool(line.topic)
    rows = [(strategy, topics[strategy], asked[strategy], accepted[strategy]) for strategy in asked]
    yield markdown_table(("Strategy", "Topics", "Candidates", "Accepted"), rows)
    yield markdown_table(("Prompt", "Hash"), [(name.partition("@")[0], name.partition("@")[2]) for name in record.prompts])


def _cleaned(record: RunRecord, figures: Figures) -> Iterator[str]:
    yield "## How it was cleaned"
    yield "Each candidate met these gates in this order, and stayed only if every one kept it."
    yield markdown_table(("Gate", "Thresholds and options"), [(gate.name, gate_options(gate)) for gate in record.gates])
    rejected = [(step.gate, reason, count) for step in figures.funnel for reason, count in step.reasons]
    yield f"{figures.rejected:,} of {figures.candidates:,} candidates were rejected, each counted at the gate that decided its fate:"
    yield markdown_table(("Gate", "Reason", "Rejected"), rejected) or "None was."


def _left_out(package: Package) -> Iterator[str]:
    if not package.skipped and not package.system:
        return
    yield "## What is left out"
    if package.skipped:
        yield f"A line holds one exchange. {many(len(package.skipped), 'accepted sample')} cannot be held and stand in `left-out.jsonl`:"
        reasons = Counter(item.reason for item in package.skipped).most_common()
        yield markdown_table(("Reason", "Samples"), reasons)
    if package.system:
        count = sum(samples for _, samples in package.system)
        yield (
            f"{many(count, 'example')} were generated with a system message, which is **not** in the lines. "
            "Whoever trains on them should give the model the same one:"
        )
        for text, samples in package.system[:_SYSTEM_SHOWN]:
            yield f"{many(samples, 'example')}:\n\n{fenced(cut(text, _SYSTEM_CHARS))}"
        more = len(package.system) - _SYSTEM_SHOWN
        if more > 0:
            yield f"And {more:,} others."


def _reviewed(record: RunRecord) -> Iterator[str]:
    yield "## How it was reviewed"
    if record.reviewed:
        good, of = record.reviewed
        low, high = interval(good, of)
        sure = f"{percent(low)} to {percent(high)} with 95 % confidence"
        yield f"People judged {many(of, 'sample')} drawn at random and found {good:,} good: {sure}."
    else:
        yield "**No person has judged its samples yet.** quality-report.md ends with ten to begin with."
    names = ("owner", "owner_approved", "reviewer", "reviewer_approved", "usage_rights")
    yield "\n".join(f"- {REQUIRED[name]}: {markdown(stated(record.card, name))}" for name in names)


def _splits(package: Package, record: RunRecord) -> Iterator[str]:
    yield "## Splits"
    yield f"Kept together by {markdown(record.split_by)}, so that nothing of the test split is in the training split under another name."
    rows = [(split, rows, percent(rows / max(1, package.rows))) for split, rows in package.splits.items()]
    yield markdown_table(("Split", "Examples", "Share"), rows)
    files = ", ".join(f'"{split}": "splits/{split}.jsonl"' for split, count in package.splits.items() if count)
    yield f'```python\nfrom datasets import load_dataset\n\nload_dataset("json", data_files={{{files}}})\n```'


def _concerns(record: RunRecord, figures: Figures) -> Iterator[str]:
    return (concern.text for concern in concerns(record, figures) if concern.text != SIMULATED)
