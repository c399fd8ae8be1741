"""The papers of a run: golden files, hostile texts that stay text, blanks that are named, and a folder that `load_dataset` reads."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from gen.candidates import accepted_rows, rejected_rows
from gen.card import REQUIRED, CardFields
from gen.exporters.alpaca import Alpaca
from gen.exporters.card import DataCard
from gen.exporters.chatml import ChatML
from gen.exporters.preference import Preferences
from gen.exporters.quality_report import QualityReport
from gen.exporters.readme import Readme
from gen.exporters.report import Report
from gen.exporters.sharegpt import ShareGPT
from gen.figures.concerns import SIMULATED
from gen.figures.whole import Figures, figures_of
from gen.files import write_jsonl, write_text
from gen.record import Export, GateLine, RunRecord
from gen.types import Message, Outcome, Provenance, Sample, Score, SequenceEnd

Build = Callable[..., RunRecord]
GOLDEN = Path(__file__).parents[1] / "golden" / "run"
PAPERS = {paper.file: paper for paper in (DataCard(), QualityReport(), Report(), Readme())}
HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</title></style></textarea><script>x</script>",
    "javascript:alert(1)",
    "| a | `b` | <b>c</b> |\n\n# Heading\n---\n```\n</code>",
    "{{ 7 * 7 }} {% raw %} ${x}",
    "\u202egnp.exe\u202c \x00 \ud800 \x1b[31m",
)
TAGS = set(
    "html head meta title style body div header h1 h2 h3 p nav a ul li main section span i b em article details summary "
    "table thead tbody tr th td svg g rect text line path polyline circle defs pattern".split()
)


class Elements(HTMLParser):
    """Every start tag with its attributes, as a browser would find them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def elements(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Elements()
    parser.feed(page)
    return parser.found


def assert_inert(page: str) -> None:
    for tag, attributes in elements(page):
        assert tag in TAGS, f"<{tag}> came out of a text"
        assert not any(name.startswith("on") or name in ("src", "style") for name in attributes)
        link = attributes.get("href")
        assert link is None or re.fullmatch(r"#[a-z-]+|[A-Za-z-]+\.(jsonl|md)", link)


def hostile(record: RunRecord, texts: list[tuple[str, str]]) -> RunRecord:
    """The record with hostile texts wherever a model, a file or a person can put one."""

    def outcomes() -> Iterator[Outcome]:
        for at, outcome in enumerate(record.outcomes()):
            ask, reply = texts[at % len(texts)]
            item = outcome.item
            if isinstance(item, Sample):
                scores = {f"judge {ask}": Score(4.0, reply)} if item.scores else {}
                item = replace(item, messages=(Message(reply[:40], ask), Message("user", ask), Message("assistant", reply)), scores=scores)
            else:
                item = replace(item, text=reply, detail=ask)
            source = replace(item.provenance, topic=ask, strategy=reply[:60])
            verdicts = tuple(replace(verdict, detail=reply) for verdict in outcome.verdicts)
            yield replace(outcome, task=replace_task(outcome, ask), item=replace(item, provenance=source), verdicts=verdicts)

    ask, reply = (text.replace("\ud800", "") for text in texts[0])  # pydantic refuses it in a recipe
    return replace(
        record,
        name=ask,
        outcomes=outcomes,
        prompts=(f"{texts[0][0]}@{reply}",),
        models=tuple(replace(model, name=ask, model=reply) for model in record.models),
        calls=tuple(replace(call, model=ask, model_id=reply, purpose=ask) for call in record.calls),
        sequences=(SequenceEnd(reply, ask, 9, 0, 0, "saturated", reply),),
        card=CardFields(title=ask[:200], owner=reply[:200], license=ask[:200], description=reply[:500], language=ask[:100]),
    )


def replace_task(outcome: Outcome, topic: str) -> Any:
    task = outcome.task
    return type(task)(task.strategy, topic, task.index, task.attempt, task.seed, task.inputs)


@pytest.fixture
def small(build: Build) -> tuple[RunRecord, Figures]:
    record = build(45, simulated=True, extras=True)
    return record, figures_of(record)


@pytest.mark.parametrize("name", PAPERS)
def test_papers_are_those_of_the_golden_files(name: str, small: tuple[RunRecord, Figures]) -> None:
    text = PAPERS[name].text(*small)
    assert text == PAPERS[name].text(*small)
    assert text == (GOLDEN / name).read_text("utf-8")


@pytest.mark.parametrize("name", PAPERS)
def test_simulated_data_says_so_at_the_top(name: str, build: Build) -> None:
    paper, made, real = PAPERS[name], build(10, simulated=True), build(10)
    text = paper.text(made, figures_of(made))
    assert SIMULATED in text
    assert text.index(SIMULATED) < 0.6 * len(text) or name == "README.md"
    assert SIMULATED not in paper.text(real, figures_of(real))


def test_hostile_texts_stay_texts_on_the_page(build: Build) -> None:
    record = hostile(build(120, extras=True), [(one, other) for one in HOSTILE for other in reversed(HOSTILE)])
    page = Report().text(record, figures_of(record))
    assert_inert(page)
    page.encode("utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_real_hostile_records_stay_texts_on_the_page(build: Build, shared_data: Path) -> None:
    lines = (shared_data / "nasty.jsonl").read_text("utf-8").split("\n")
    records = [json.loads(line) for line in lines if line.strip()]
    record = hostile(build(150), [(one["instruction"] + one["input"], one["output"]) for one in records])
    figures = figures_of(record)
    assert_inert(Report().text(record, figures))
    for paper in PAPERS.values():
        paper.text(record, figures).encode("utf-8")


@pytest.mark.parametrize("name", ["data-card.md", "quality-report.md", "README.md"])
def test_hostile_texts_stay_texts_in_markdown(name: str, build: Build) -> None:
    record = hostile(build(60, extras=True), [(one, one) for one in HOSTILE])
    text = PAPERS[name].text(record, figures_of(record))
    outside: list[str] = []
    fence = ""
    for line in text.split("\n"):
        run = re.match(r"`{3,}", line)
        if fence:
            fence = "" if line == fence else fence
        elif run:
            fence = run.group()
        else:
            outside.append(line)
    assert fence == ""
    assert not any(re.search(r"<\s*/?[a-z]", line) for line in outside)
    assert not any(re.search(r"(?<!\\)`[^`]*[<|]", line) for line in outside)


def test_the_page_forbids_scripts_and_needs_nothing_else(small: tuple[RunRecord, Figures]) -> None:
    page = Report().text(*small)
    assert "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">" in page
    assert "http://" not in page
    assert "https://" not in page
    assert "@import" not in page


def test_every_figure_has_a_caption_a_label_and_its_numbers(small: tuple[RunRecord, Figures]) -> None:
    page = Report().text(*small)
    sections = page.split("<section ")[1:]
    anchors = {re.match(r'id="([^"]*)"', section).group(1) for section in sections}  # type: ignore[union-attr]
    assert {
        "funnel",
        "coverage",
        "lengths",
        "novelty",
        "cost",
        "attempts",
        "words",
        "languages",
        "pairs",
        "packing",
        "samples",
        "made",
    } <= anchors
    assert all('class="caption"' in section for section in sections)
    for tag, attributes in elements(page):
        if tag == "svg":
            assert attributes["role"] == "img"
            assert attributes["aria-label"]
        elif tag == "a" and str(attributes.get("href")).startswith("#"):
            assert str(attributes["href"])[1:] in anchors


def test_the_numbers_on_the_page_are_those_of_the_outcomes(small: tuple[RunRecord, Figures]) -> None:
    record, _ = small
    page, outcomes = Report().text(*small), list(record.outcomes())
    accepted = sum(outcome.accepted for outcome in outcomes)
    assert f"<b>{accepted}</b><span>of {record.goal} asked for</span>" in page
    assert f"yield of {len(outcomes)} candidates" in page
    funnel = re.search(r'<section id="funnel">.*?<tbody>(.*?)</tbody>', page, re.DOTALL)
    assert funnel is not None
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in funnel.group(1).split("</tr>")[:-1]]
    assert sum(int(row[2]) for row in rows) + accepted == len(outcomes)
    assert int(rows[-1][3]) == accepted


def test_pairs_and_packing_appear_only_where_there_are_any(build: Build) -> None:
    record = build(24)
    figures = figures_of(record)
    page, text = Report().text(record, figures), QualityReport().text(record, figures)
    assert 'id="pairs"' not in page
    assert 'id="packing"' not in page
    assert "Preference pairs" not in text


@pytest.mark.parametrize("name", PAPERS)
def test_an_unknown_price_reads_unknown(name: str, build: Build) -> None:
    record = build(20, priced=False)
    text = PAPERS[name].text(record, figures_of(record))
    assert "$0" not in text
    assert "unknown" in text or name == "README.md"


@pytest.mark.parametrize("name", PAPERS)
def test_a_run_without_candidates_still_has_papers(name: str, build: Build) -> None:
    record = replace(build(1), outcomes=list, calls=(), sequences=(), sessions=(), prompts=(), models=(), gates=(), exports=())
    assert len(PAPERS[name].text(record, figures_of(record))) > 100


def test_the_card_names_every_blank(build: Build) -> None:
    record = replace(build(10), card=CardFields())
    text = DataCard().text(record, figures_of(record))
    top = text.split("##")[0]
    assert all(f"**{label.lower()}**" in top for label in REQUIRED.values())
    assert text.count("**not stated**") == len(REQUIRED)
    full = DataCard().text(build(10), figures_of(build(10)))
    assert "Not stated: **derived artifacts**, **reviewer**, **approved by reviewer**." in full


def test_a_blank_language_is_the_one_that_was_measured(build: Build) -> None:
    record = build(30)
    figures, blank = figures_of(record), record.card.model_copy(update={"language": ""})
    [(code, count)] = figures.reading.languages
    assert code == "en"
    measured = DataCard().text(replace(record, card=blank), figures)
    assert f"| Language | en (measured in {count} of {figures.reading.looked_at} replies) |" in measured
    assert "| Language | en |" in DataCard().text(record, figures)
    nothing = replace(record, card=blank, outcomes=list)
    assert "| Language | not stated |" in DataCard().text(nothing, figures_of(nothing))


def test_the_card_tells_what_was_scanned_and_what_was_not(build: Build) -> None:
    record = build(200)
    scan = next(one for one in figures_of(record).scans if one.gate == "pii")
    text = DataCard().text(record, figures_of(record))
    assert f"Personal data: {scan.scanned:,} candidates scanned by the gate `pii`, found in {scan.rejected:,}" in text
    unscanned = replace(record, gates=(), outcomes=list)
    assert "Personal data: **not scanned**" in DataCard().text(unscanned, figures_of(unscanned))


def test_thresholds_and_prompt_hashes_are_on_the_card(build: Build) -> None:
    text = DataCard().text(build(10), figures_of(build(10)))
    assert "| near_dup | threshold 0.7 |" in text
    assert "| self_instruct/instruct | 1f2e |" in text


@pytest.mark.parametrize(
    ("by", "leaks", "words"),
    [
        (
            "family",
            0,
            "same prompt, near duplicates. What was exported as test stays test. A check for leaks between the splits found none.",
        ),
        ("lineage", None, "samples with the same prompt. What was exported as test stays test.\n"),
        ("topic", 2, "all samples of one topic. What was exported as test stays test. **A check found 2 leaks between the splits.**"),
    ],
)
def test_the_card_says_what_the_splits_keep_together(by: str, leaks: int | None, words: str, build: Build) -> None:
    record = replace(build(10), split_by=by, leaks=leaks)
    assert words in DataCard().text(record, figures_of(record))


def write_folder(folder: Path, record: RunRecord, exporters: list[Any]) -> None:
    """The run folder as a run would leave it, a third of the rows in each split."""
    outcomes = list(record.outcomes())
    samples = [outcome.item for outcome in outcomes if outcome.accepted and isinstance(outcome.item, Sample)]
    exports = []
    for exporter in exporters:
        items: Any = samples if exporter.takes == "samples" else record.pairs
        counts = {}
        for at, split in enumerate(("train", "validation", "test")):
            counts[split] = write_jsonl(
                folder / exporter.folder / f"{split}.jsonl", exporter.rows(items[at::3] if split != "validation" else [])
            )
        exports.append(Export(exporter.folder, exporter.folder, counts, exporter.columns))
    write_jsonl(folder / "accepted.jsonl", accepted_rows(outcomes))
    write_jsonl(folder / "rejected.jsonl", rejected_rows(outcomes))
    done = replace(record, exports=tuple(exports))
    figures = figures_of(done)
    for name, paper in PAPERS.items():
        write_text(folder / name, paper.text(done, figures))


def test_load_dataset_finds_the_splits_of_every_config(build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    datasets = pytest.importorskip("datasets")
    record = build(60, extras=True)
    odd = next(outcome for outcome in record.outcomes() if outcome.accepted)
    several = (Message("system", "Be brief."), *(Message(role, "x") for role in ("user", "assistant", "user", "assistant")))
    late = [*record.outcomes(), replace(odd, item=replace(odd.item, id="late", messages=several))] * 2
    first, *others = record.pairs
    pairs = (replace(first, margin=None, chosen_score=3), *others)
    folder = tmp_path / "run"
    write_folder(folder, replace(record, outcomes=lambda: late, pairs=pairs), [ChatML(), Alpaca(), Preferences()])

    def load(config: str | None) -> Any:
        return datasets.load_dataset(str(folder), config, cache_dir=str(tmp_path / "cache"))

    default = load(None)
    assert set(default) == {"train", "test"}
    lines = (folder / "sft" / "train.jsonl").read_text("utf-8").splitlines()
    assert list(default["train"]) == [json.loads(line) for line in lines]
    alpaca, preference = load("sft-alpaca"), load("preference")
    assert alpaca["train"].column_names == ["instruction", "input", "output", "system", "history"]
    assert preference["train"][0]["margin"] is None
    assert preference["test"][0]["chosen"][0]["role"] == "assistant"


def test_load_dataset_reads_the_mark_of_simulated_rows(build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    datasets = pytest.importorskip("datasets")
    record, made = build(60, extras=True), Provenance(simulated=True)
    some = [replace(one, item=replace(one.item, provenance=made)) if at % 2 else one for at, one in enumerate(record.outcomes())]
    first, *others = record.pairs
    folder = tmp_path / "run"
    marked = replace(record, outcomes=lambda: some, pairs=(first, *(replace(pair, provenance=made) for pair in others)))
    write_folder(folder, marked, [ChatML(), Alpaca(), ShareGPT(), Preferences()])
    for config in ("sft", "sft-alpaca", "sft-sharegpt", "preference"):
        loaded = datasets.load_dataset(str(folder), config, cache_dir=str(tmp_path / "cache"))
        assert set(loaded) == {"train", "test"}
        for split, rows in loaded.items():
            written = [json.loads(line) for line in (folder / config / f"{split}.jsonl").read_text("utf-8").splitlines()]
            assert [row["simulated"] for row in rows] == [row.get("simulated") for row in written]
            assert True in rows["simulated"]


def test_a_pair_alone_makes_a_run_simulated(build: Build) -> None:
    record = build(20, extras=True)
    first, *others = record.pairs
    pair = replace(first, provenance=Provenance(simulated=True))
    assert not figures_of(record).simulated
    assert figures_of(replace(record, pairs=(pair, *others))).simulated


def test_moderation_is_one_figure_with_its_maximum(build: Build) -> None:
    record = build(60)
    given = {"guard": Score(0.0012, "hate"), "guard.hate": Score(0.0012), "guard.violence": Score(0.0004)}
    outcomes = [
        replace(one, item=replace(one.item, scores={**one.item.scores, **given})) if isinstance(one.item, Sample) else one
        for one in record.outcomes()
    ]
    gate = GateLine("score", (("judge", "guard"), ("minimum", None), ("maximum", 0.5)))
    record = replace(record, outcomes=lambda: outcomes, gates=(*record.gates, gate))
    figures = figures_of(record)
    text, page = QualityReport().text(record, figures), Report().text(record, figures)
    part = text.split("## Scores by guard")[1].split("## ")[0]
    assert "a gate compares them: maximum 0.5." in part
    assert "| hate |" in part
    assert "0.0012" in part
    assert "0.0004" in part
    assert text.count("## Scores by") == page.count("<h2>Scores by") == 2
    section = re.search(r'<section id="scores-2".*?</section>', page, re.DOTALL)
    assert section is not None
    assert "maximum 0.5</span>" in section.group()
    assert "highest value" not in section.group()
    assert "violence" in section.group()
