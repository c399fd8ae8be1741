from __future__ import annotations

import doctest
import json
from pathlib import Path
from typing import Any

import pytest

from gen.audit import answers, scanning, survey
from gen.audit.answers import Answers
from gen.audit.figures import figures
from gen.audit.findings import Finding, findings, where
from gen.audit.measures import Audit, audit
from gen.audit.page import audit_page
from gen.audit.targets import Place, targets_of
from gen.audit.texts import texts_behind
from gen.errors import InputError
from gen.files import write_jsonl
from gen.likeness.stance import contradict, stance
from gen.templates.templating import open_templating
from gen.types import Message, Sample

THINGS = "otter badger heron falcon beetle walrus lemur gecko marmot osprey tapir viper weasel bison condor dingo ferret ibis jackal koala"
PLACES = "river desert valley harbour glacier orchard canyon meadow lagoon plateau"


def rows(count: int = 60, verb: str = "live") -> list[dict[str, Any]]:
    """Records that share few words, and no reply opens like another."""
    pairs = [(thing, place) for place in PLACES.split() for thing in THINGS.split()][:count]
    return [
        {
            "instruction": f"Does any {thing} {verb} near that {place}{at} here?",
            "output": f"{thing.title()} and {place} are told of in book {at}.",
        }
        for at, (thing, place) in enumerate(pairs)
    ]


def audited(folder: Path, **files: list[Any]) -> Audit:
    for name, records in files.items():
        write_jsonl(folder / f"{name}.jsonl", records)
    return audit(targets_of([folder / f"{name}.jsonl" for name in files]))


def found(one: Audit) -> dict[str, Finding]:
    return {finding.code: finding for finding in findings(one)}


def test_sound_data_has_no_issue(tmp_path: Path) -> None:
    assert [one.code for one in findings(audited(tmp_path, a=rows())) if one.issue] == []


def test_what_is_broken_is_told_apart_with_its_lines(tmp_path: Path) -> None:
    records = rows(20)
    records[3]["output"] = " "
    records[5] = {"messages": [{"role": "assistant", "content": "Hello."}]}
    records[7] = {"messages": [{"role": "robot", "content": "Hello."}]}
    records[9] = {"nothing": 1}
    one = audited(tmp_path, a=records)
    codes = found(one)
    assert {code: codes[code].places[0].line for code in ("empty", "roles", "structure", "unreadable")} == {
        "empty": 4,
        "roles": 6,
        "structure": 8,
        "unreadable": 10,
    }
    assert all(codes[code].issue for code in ("empty", "roles", "structure", "unreadable"))
    assert (one.records, one.count("unreadable")) == (19, 1)


def test_duplicates_are_an_issue_above_five_percent(tmp_path: Path) -> None:
    few = found(audited(tmp_path, a=[*rows(), *rows(3)]))["duplicates"]
    many = found(audited(tmp_path, b=[*rows(), *rows(4)]))["duplicates"]
    assert (few.count, few.issue) == (3, False)
    assert (many.count, many.issue) == (4, True)
    assert [place.line for place in many.places] == [61, 62, 63, 64]


def test_copied_texts_are_an_issue_beside_few_near_duplicates(tmp_path: Path) -> None:
    questions = rows(99)
    questions.append(questions[0] | {"output": "Nobody has seen one for years."})
    finding = found(audited(tmp_path, a=[*questions, *[{"text": "Once upon a time there was a king."}] * 20]))["duplicates"]
    assert (finding.count, finding.issue) == (1, True)
    assert "19 copy one exactly" in finding.text


def test_a_reworded_prompt_is_a_near_duplicate_and_no_copy(tmp_path: Path) -> None:
    reworded = {"instruction": "Please: does any OTTER live near that river0 here", "output": "Other."}
    one = audited(tmp_path, a=[*rows(), reworded])
    assert (one.duplicates.near, one.count("copies")) == (1, 0)


def test_what_a_mix_repeats_on_purpose_is_no_duplicate(tmp_path: Path) -> None:
    copies = [record | {"source": "a", "repeat": number} for record in rows(20) for number in (1, 2, 3)]
    one = audited(tmp_path, a=copies)
    assert (one.records, one.survey.repeats, one.duplicates.near, one.count("copies")) == (60, 40, 0, 0)


def test_a_leak_names_records_of_both_files(tmp_path: Path) -> None:
    one = audited(tmp_path, train=rows(), test=[*rows(20, "sleep"), rows()[7]])
    leak = found(one)["leak"]
    assert leak.issue
    assert "1 of 21 in test are nearly in train" in leak.text
    assert where(leak, one) == "test:21"
    assert [(pair.learnt, pair.held) for pair in one.duplicates.leaks] == [(Place(0, 8), Place(1, 21))]


def test_secrets_and_personal_data_are_issues_and_never_shown(tmp_path: Path) -> None:
    records = rows()
    records[0]["output"] = "Use AKIA7XDOVFK3QDYDBSEG."
    records.append({"instruction": records[0]["instruction"], "output": "Write to anna.berg@nordwind-handel.de, 5 days."})
    records.append({"instruction": records[0]["instruction"], "output": "Write to anna.berg@nordwind-handel.de, 9 days."})
    one = audited(tmp_path, a=records)
    assert found(one)["secrets"].places == (Place(0, 1),)
    assert found(one)["pii"].count == 2
    shown = json.dumps(figures(one, texts_behind(one))) + audit_page("a", one, texts_behind(one)) + str(texts_behind(one))
    assert "AKIA7" not in shown
    assert "anna.berg" not in shown
    assert "[EMAIL]" in shown


def test_tokens_beyond_the_bound_are_counted_under_the_template(tmp_path: Path) -> None:
    records = rows(40)
    for record in records[:6]:
        record["output"] = "word " * 300
    write_jsonl(tmp_path / "a.jsonl", records)
    one = audit(targets_of([tmp_path / "a.jsonl"]), open_templating("data/tokenizer"), max_length=200)
    truncated = found(one)["truncated"]
    assert (one.truncated, one.estimated, truncated.issue) == (6, False, True)
    assert [place.line for place in truncated.places] == [1, 2, 3, 4, 5, 6]
    assert sum(count for first, _, count in one.bins if first > 200) == 6
    assert sum(count for _, _, count in one.bins) == 40


def test_four_in_forty_cut_off_are_just_allowed(tmp_path: Path) -> None:
    records = rows(40)
    for record in records[:4]:
        record["output"] = "word " * 3000
    write_jsonl(tmp_path / "a.jsonl", records)
    assert not found(audit(targets_of([tmp_path / "a.jsonl"]), max_length=200))["truncated"].issue


def test_labels_openings_languages_and_outliers_are_notes(tmp_path: Path) -> None:
    records = [record | {"topic": "rare" if at == 0 else "common", "label": at % 2} for at, record in enumerate(rows(80))]
    for record in records[:12]:
        record["output"] = "As an expert, " + record["output"]
    records[20]["output"] = "Das ist ein ziemlich langer deutscher Satz, den hier niemand erwartet hat."
    records[30]["output"] += " and so on" * 900
    one = audited(tmp_path, a=records)
    codes = found(one)
    assert "'common' 79, 'rare' 1" in codes["balance_topic"].text
    assert "balance_label" not in codes
    assert "15.0" not in codes["opening_reply"].text
    assert "begin with 'as an expert'" in codes["opening_reply"].text
    assert codes["languages"].text.startswith("replies in 2 languages: en 79, de 1")
    assert codes["outliers_reply"].places == (Place(0, 31),)
    assert not any(finding.issue for finding in codes.values())


@pytest.mark.parametrize(("refused", "issue"), [(2, False), (3, True)])
def test_refusals_are_an_issue_above_five_percent(refused: int, issue: bool, tmp_path: Path) -> None:
    records = rows(40)
    for record in records[:refused]:
        record["output"] = "I'm sorry, but I can't help with that."
    refusals = found(audited(tmp_path, a=records))["refusal"]
    assert (refusals.count, refusals.issue) == (refused, issue)


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        pytest.param("Yes, it is.", "No, it is not.", "polarity", id="yes and no"),
        pytest.param("True", "False", "polarity", id="true and false"),
        pytest.param("Keep it for 30 days.", "Up to 72 hours.", "number", id="numbers"),
        pytest.param("It is 4.", "It is 4, or about 4.1.", "", id="a number in common"),
        pytest.param("It costs 1,000 euros.", "1000 euros.", "", id="the same number written otherwise"),
        pytest.param("No one knows.", "Yes, some do.", "", id="no as part of a sentence"),
        pytest.param("1. Go.\n2. Come.", "3. Stay.", "", id="list markers"),
        pytest.param("In Rome.", "In Paris.", "", id="words alone"),
    ],
)
def test_answers_contradict_in_number_or_polarity(one: str, other: str, kind: str) -> None:
    assert contradict(stance("Q?", one), stance("Q?", other)) == kind
    assert contradict(stance("Q?", other), stance("Q?", one)) == kind


def test_numbers_of_the_question_do_not_count() -> None:
    assert stance("What is 2 + 2?", "2 + 2 = 5").numbers == ("5",)


def test_the_same_question_is_told_without_case_and_question_mark() -> None:
    seen = Answers()
    ask = lambda text, answer: Sample("s", (Message("user", text), Message("assistant", answer)))  # noqa: E731
    assert seen.add(Place(0, 1), ask("Is 7 prime?", "Yes.")) is None
    assert seen.add(Place(0, 2), ask("Is 8 prime?", "No.")) is None
    contradiction = seen.add(Place(0, 3), ask("is 7  PRIME", "No."))
    assert contradiction is not None
    assert (contradiction.kind, contradiction.first.line, contradiction.second.line) == ("polarity", 1, 3)


def test_families_and_leaks_are_quoted_with_their_texts(tmp_path: Path) -> None:
    again = [{"instruction": f"Please, {row['instruction'].lower()}", "output": "It does."} for row in rows(2)]
    one = audited(tmp_path, train=[*rows(), again[0]], test=[*rows(20, "sleep"), again[1]])
    facts = figures(one, texts_behind(one))
    family = next(one for one in facts["duplicates"]["families"] if "otter" in one["members"][0]["prompt"])
    assert family["size"] == 2
    assert [(member["at"], member["reply"]) for member in family["members"]] == [
        ("train:1", "Otter and river are told of in book 0."),
        ("train:61", "It does."),
    ]
    assert [[quoted["at"] for quoted in leak] for leak in facts["leaks"]["shown"]] == [["train:2", "test:21"]]
    page = audit_page("a", one, texts_behind(one))
    assert "<h3>2 records</h3>" in page
    assert "please, does any otter live near that river0 here?" in page.lower()


def pairs(count: int, *, longer: int) -> list[dict[str, Any]]:
    long, short = "A long answer that goes on for a while.", "A short one."
    prompts = [row["instruction"] for row in rows(count)]
    return [
        {"prompt": prompt, "chosen": long if at < longer else short, "rejected": short if at < longer else long}
        for at, prompt in enumerate(prompts)
    ]


@pytest.mark.parametrize(("longer", "issue"), [(15, None), (16, False), (18, False), (19, True), (20, True)])
def test_pairs_whose_longer_answer_is_always_the_chosen_one_are_an_issue(longer: int, issue: bool | None, tmp_path: Path) -> None:
    finding = found(audited(tmp_path, a=pairs(20, longer=longer))).get("length_bias")
    assert (finding.issue if finding else None) == issue


def test_pairs_of_one_answer_are_an_issue(tmp_path: Path) -> None:
    same = {"prompt": "Which bird sings at night?", "chosen": "The nightingale.", "rejected": "the  Nightingale."}
    finding = found(audited(tmp_path, a=[*pairs(20, longer=10), same]))["same_answers"]
    assert (finding.count, finding.issue, [place.line for place in finding.places]) == (1, True, [21])


def labelled(*labels: bool) -> list[dict[str, Any]]:
    return [{"prompt": row["instruction"], "completion": row["output"], "label": label} for row, label in zip(rows(), labels, strict=False)]


def test_labels_of_one_kind_are_an_issue_and_uneven_ones_a_note_with_the_weight(tmp_path: Path) -> None:
    assert found(audited(tmp_path, a=labelled(*[True] * 12)))["one_label"].issue
    uneven = found(audited(tmp_path, b=labelled(*[True] * 12, *[False] * 6)))["labels"]
    assert not uneven.issue
    assert "`undesirable_weight=2`" in uneven.cure
    assert "labels" not in found(audited(tmp_path, c=labelled(*[True] * 12, *[False] * 10)))


def test_an_unwanted_answer_to_a_prompt_neither_repeats_nor_contradicts_the_wanted_one(tmp_path: Path) -> None:
    records = [
        one | {"completion": answer, "label": label} for one in labelled(*[True] * 20) for answer, label in (("Yes.", True), ("No.", False))
    ]
    one = audited(tmp_path, a=records)
    assert one.duplicates.near == 0
    assert one.contradictions.count == 0


def test_other_processes_find_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "_ALONE", 10)
    monkeypatch.setattr(scanning, "CHUNK", 7)
    records = [
        *rows(),
        {"instruction": "Mail me.", "output": "At jo.doe@firma-mueller.de then."},
        {"instruction": "A?", "output": "I'm sorry, but I can't help with that."},
    ]
    write_jsonl(tmp_path / "a.jsonl", records)
    one, other = (audit(targets_of([tmp_path / "a.jsonl"]), processes=count) for count in (1, 2))
    assert figures(one, texts_behind(one)) == figures(other, texts_behind(other))
    assert {code: finding.places for code, finding in found(other).items() if code in ("pii", "refusal")} == {
        "pii": (Place(0, 61),),
        "refusal": (Place(0, 62),),
    }


def test_orders_of_roles_beyond_count_are_told_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "_ROLES_KEPT", 2)
    records = [{"messages": [{"role": f"role{at}", "content": "Hello."}]} for at in range(5)]
    assert audited(tmp_path, a=records).survey.roles == {"role0": 1, "role1": 1, "(other)": 3}


def test_the_page_escapes_what_records_hold(tmp_path: Path) -> None:
    hostile = {"instruction": "<script>alert(1)</script> one two three", "output": "Yes.", "topic": "<b>"}
    records = [*rows(), hostile, hostile | {"output": "No.", "topic": "ok"}]
    one = audited(tmp_path, a=records)
    page = audit_page("<i>", one, texts_behind(one))
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "default-src 'none'" in page


def test_shares_on_the_page_are_those_of_all_records(tmp_path: Path) -> None:
    records = rows(120)
    for record in records[:30]:
        record["output"] = "As an expert, " + record["output"]
    one = audited(tmp_path, a=records)
    assert "as an expert: 30 (25\u00a0%)" in audit_page("a", one, {})


def test_two_audits_give_the_same_figures_and_page(tmp_path: Path) -> None:
    first, second = (audited(tmp_path, train=[*rows(), *rows(5)], test=rows(20, "sleep")) for _ in range(2))
    assert figures(first, texts_behind(first)) == figures(second, texts_behind(second))
    assert audit_page("a", first, texts_behind(first)) == audit_page("a", second, texts_behind(second))


def test_the_figures_add_up(tmp_path: Path) -> None:
    facts = figures(audited(tmp_path, train=[*rows(), {"bad": 1}], test=rows(20, "sleep")), {})
    assert facts["records"] == sum(one["records"] for one in facts["files"]) == 80
    assert sum(facts["turns"].values()) == sum(one["records"] for one in facts["tokens"]["histogram"]) == 80
    assert sum(facts["languages"].values()) == 80
    assert facts["passed"] is False


@pytest.mark.parametrize("content", [b"", b"\n\n", b"a,b\n1,2\n"], ids=["empty", "blank", "csv"])
def test_a_file_without_a_record_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(InputError, match="no record in it"):
        audit(targets_of([tmp_path / "a.jsonl"]))


def test_a_folder_stands_for_its_splits_or_else_for_every_dataset_in_it(tmp_path: Path) -> None:
    for name in ("b.jsonl.gz", "a.jsonl", ".hidden.jsonl", "notes.md", "mix.json", "left-out.jsonl", "rejected.jsonl", "unreadable.jsonl"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "state.json").write_text("{}")
    assert [target.name for target in targets_of([tmp_path])] == ["a", "b", "c"]
    (tmp_path / "test.parquet").write_bytes(b"")
    assert [target.name for target in targets_of([tmp_path])] == ["test"]
    (tmp_path / "out" / "train").mkdir(parents=True)
    (tmp_path / "out" / "train" / "train.csv").write_bytes(b"")
    (tmp_path / "out" / "train" / "left-out.jsonl").write_bytes(b"")
    assert [(target.name, target.path.name) for target in targets_of([tmp_path / "out"])] == [("train", "train.csv")]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty holds no dataset: name a file with one of the endings \.jsonl"):
        targets_of([tmp_path / "empty"])


@pytest.mark.parametrize("stem", ["train", "part"])
def test_shards_of_one_dataset_do_not_leak_into_each_other(stem: str, tmp_path: Path) -> None:
    line = json.dumps({"prompt": "How long may a bank keep my data?", "completion": "Five years."}) + "\n"
    for at in range(3):
        (tmp_path / f"{stem}-0000{at}-of-00003.jsonl").write_text(line)
    [target] = targets_of([tmp_path])
    assert (target.name, target.path.name) == (stem, f"{stem}-*-of-00003.jsonl")
    found = audit([target])
    assert found.records == 3
    assert found.duplicates.leaking_families == 0


def test_a_run_without_chatml_stands_for_another_of_its_formats(tmp_path: Path) -> None:
    (tmp_path / "run.db").write_bytes(b"")
    with pytest.raises(InputError, match=r"holds no training files: `sluice export .* --formats chatml` writes them"):
        targets_of([tmp_path])
    for folder in ("preference", "sft-sharegpt"):
        write_jsonl(tmp_path / folder / "train.jsonl", rows(3))
    assert [target.path.parent.name for target in targets_of([tmp_path])] == ["sft-sharegpt"]


def test_equal_names_of_files_are_told_apart_by_their_paths(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write_jsonl(tmp_path / folder / "train.jsonl", rows(3))
    names = [target.name for target in targets_of([tmp_path / "one", tmp_path / "two" / "train.jsonl"])]
    assert names == [str(tmp_path / "one" / "train.jsonl"), str(tmp_path / "two" / "train.jsonl")]


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(answers).failed == 0
