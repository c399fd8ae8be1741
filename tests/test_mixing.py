from __future__ import annotations

import doctest
from collections import Counter
from itertools import pairwise
from pathlib import Path
from random import Random

import datasets
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from gen import simulated
from gen.errors import RecipeError
from gen.files import write_jsonl
from gen.mixing import shares
from gen.mixing.file import MixFile, load, parse
from gen.mixing.making import Leaking, Mix, make
from gen.mixing.shares import by_square_root, by_temperature, draw, normalised, spread
from gen.mixing.writing import write_mix

ANIMALS = "otter badger heron falcon beetle walrus lemur gecko marmot osprey tapir viper weasel bison condor dingo ferret ibis jackal koala"
PLACES = "river desert valley harbour glacier orchard canyon meadow lagoon plateau"


def questions(what: str) -> list[dict[str, str]]:
    """Two hundred questions that share few words."""
    return [
        {"instruction": f"{what} {animal} {place} number{at}{what}?", "output": f"It is {animal} of the {place}, entry {at}."}
        for at, (animal, place) in enumerate((animal, place) for animal in ANIMALS.split() for place in PLACES.split())
    ]


def mix_file(folder: Path, text: str, **datasets: list[dict[str, str]]) -> MixFile:
    for name, rows in datasets.items():
        write_jsonl(folder / f"{name}.jsonl", rows)
    (folder / "mix.yaml").write_text("name: m\n" + text, encoding="utf-8")
    return load(folder / "mix.yaml")


def made(mix: MixFile) -> Mix:
    found = make(mix)
    assert isinstance(found, Mix)
    return found


def got(mix: Mix, split: str = "train") -> dict[str, int]:
    return {part.dataset: part.drawn.got for part in mix.parts[split]}


TWO = "datasets:\n  a: {path: a.jsonl, weight: 3}\n  b: {path: b.jsonl, weight: 1, human: true}\n"


def test_square_root_and_temperature_flatten_the_sizes() -> None:
    assert by_square_root([100, 400]) == pytest.approx([1 / 3, 2 / 3])
    assert by_temperature([100, 400], 1) == pytest.approx([0.2, 0.8])
    assert by_temperature([100, 400], 1000) == pytest.approx([0.5, 0.5], abs=0.001)
    assert normalised([2, 6]) == [0.25, 0.75]


def test_each_sample_is_taken_k_or_k_plus_one_times() -> None:
    copies = draw([1] * 7, 24, 9, Random(0)).copies
    assert sum(copies) == 24
    assert set(copies) == {3, 4}


def test_the_cap_leaves_a_shortfall_that_is_said() -> None:
    drawn = draw([1] * 5, 100, 3, Random(0))
    assert (drawn.copies, drawn.got, drawn.short) == ((3,) * 5, 15, 85)


@given(st.integers(1, 60), st.integers(0, 400), st.integers(1, 6), st.integers(0, 9))
@settings(max_examples=120, deadline=None)
def test_repeats_are_even_and_capped_and_what_is_missing_is_said(count: int, target: int, most: int, seed: int) -> None:
    drawn = draw([1] * count, target, most, Random(seed))
    assert drawn.got + drawn.short == target
    assert drawn.got == sum(drawn.copies) == min(target, most * count)
    assert max(drawn.copies) - min(drawn.copies) <= 1
    assert sorted(spread(drawn.copies, Random(seed))) == [
        (at, copy + 1) for at, copies in enumerate(drawn.copies) for copy in range(copies)
    ]


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=6), st.floats(1, 1000))
@settings(max_examples=80, deadline=None)
def test_a_temperature_never_turns_the_order_of_sizes_round(sizes: list[int], temperature: float) -> None:
    shares = by_temperature(sizes, temperature)
    assert sum(shares) == pytest.approx(1)
    plain = normalised(sizes)
    for at, size in enumerate(sizes):
        for other, another in enumerate(sizes):
            if size > another:
                assert shares[at] >= shares[other]
                assert shares[at] / shares[other] <= plain[at] / plain[other] * (1 + 1e-9)


def test_tokens_come_as_near_as_whole_samples_allow() -> None:
    drawn = draw([10, 20, 30, 40], 165, 5, Random(3))
    assert abs(drawn.got - 165) <= 5
    assert drawn.short == 0
    assert max(drawn.copies) - min(drawn.copies) <= 1


def test_copies_of_one_sample_lie_evenly_apart() -> None:
    order = [place for place, _ in spread([4] * 50, Random(0))]
    for place in range(50):
        at = [where for where, one in enumerate(order) if one == place]
        assert min(later - earlier for earlier, later in pairwise(at)) > 20


def test_ratios_are_met_in_the_training_split(tmp_path: Path) -> None:
    mix = made(mix_file(tmp_path, TWO + "total: 160\n", a=questions("Where"), b=questions("Why")))
    assert got(mix) == {"a": 120, "b": 40}
    assert mix.human_share == 0.25


def test_held_out_samples_never_stand_twice_and_only_training_repeats(tmp_path: Path) -> None:
    mix = made(
        mix_file(tmp_path, TWO + "total: 900\nsplit: {train: 8, validation: 1, test: 1}\n", a=questions("Where"), b=questions("Why"))
    )
    assert max(Counter(row["id"] for row in mix.rows("train")).values()) > 1
    for split in ("validation", "test"):
        ids = [row["id"] for row in mix.rows(split)]
        assert ids
        assert len(ids) == len(set(ids))
        assert set(ids).isdisjoint(row["id"] for row in mix.rows("train"))


def test_near_duplicates_of_two_datasets_stay_on_one_side(tmp_path: Path) -> None:
    changed = [row | {"instruction": "Please " + row["instruction"].lower()} for row in questions("Where")]
    mix = made(mix_file(tmp_path, TWO + "split: {train: 1, validation: 1, test: 1}\n", a=questions("Where"), b=changed))
    side: dict[str, set[str]] = {}
    for split in ("train", "validation", "test"):
        for row in mix.rows(split):
            side.setdefault(row["id"].split("/")[1], set()).add(split)
    assert all(len(splits) == 1 for splits in side.values())
    assert len({split for splits in side.values() for split in splits}) == 3


def test_every_shape_comes_out_as_messages_with_its_source(tmp_path: Path) -> None:
    rows = [{"question": "What is a heron?", "answer": "A bird."}, {"conversations": [{"from": "human", "value": "And an otter?"}]}]
    rows[1]["conversations"].append({"from": "gpt", "value": "A mammal."})  # type: ignore[attr-defined]
    mix = made(mix_file(tmp_path, "split: {train: 1, validation: 0, test: 0}\ndatasets: {a: {path: a.jsonl, weight: 1}}\n", a=rows))  # type: ignore[arg-type]
    assert sorted((row["id"], row["source"], row["messages"][0]["role"], row["repeat"]) for row in mix.rows("train")) == [
        ("a/1", "a", "user", 1),
        ("a/2", "a", "user", 1),
    ]


def test_equal_ids_are_told_apart(tmp_path: Path) -> None:
    rows = [row | {"id": "same"} for row in questions("Where")[:3]]
    mix = made(mix_file(tmp_path, "split: {train: 1, validation: 0, test: 0}\ndatasets: {a: {path: a.jsonl, weight: 1}}\n", a=rows))
    assert sorted(row["id"] for row in mix.rows("train")) == ["a/same", "a/same#2", "a/same#3"]


def test_the_same_seed_gives_the_same_rows_and_another_other_ones(tmp_path: Path) -> None:
    sets = {"a": questions("Where"), "b": questions("Why")}
    first, second = (list(made(mix_file(tmp_path, TWO + "total: 50\n", **sets)).rows("train")) for _ in range(2))
    other = list(made(mix_file(tmp_path, TWO + "total: 50\nseed: 1\n", **sets)).rows("train"))
    assert first == second
    assert first != other


def test_a_dataset_for_test_is_there_whole_and_pulls_what_is_like_it(tmp_path: Path) -> None:
    text = (
        "split: {train: 1, validation: 0, test: 0.001}\ndatasets:\n  a: {path: a.jsonl, weight: 1}\n  exam: {path: b.jsonl, split: test}\n"
    )
    mix = made(mix_file(tmp_path, text, a=questions("Where"), b=questions("Where")[:20]))
    assert got(mix) == {"a": 180, "exam": 0}
    assert got(mix, "test")["exam"] == 20


def test_records_pinned_to_two_sides_are_a_leak(tmp_path: Path) -> None:
    text = "datasets:\n  a: {path: a.jsonl, weight: 1, split: train}\n  b: {path: b.jsonl, split: test}\n"
    found = make(mix_file(tmp_path, text, a=questions("Where"), b=questions("Where")[:2]))
    assert isinstance(found, Leaking)
    assert [(pair.kind, pair.left, pair.left_in, pair.right, pair.right_in) for pair in found.pairs] == [
        ("same_prompt", "a/1", "train", "b/1", "test"),
        ("same_prompt", "a/2", "train", "b/2", "test"),
    ]


def test_a_folder_keeps_its_splits_and_anew_divides_it_again(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "set" / "train.jsonl", questions("Where"))
    write_jsonl(tmp_path / "set" / "test.jsonl", questions("Why")[:30])
    ratios = "split: {train: 1, validation: 0, test: 1}\n"
    kept = made(mix_file(tmp_path, ratios + "datasets: {s: {path: set, weight: 1}}\n"))
    assert {row["id"].split("/")[1] for row in kept.rows("test")} == {"test"}
    again = made(mix_file(tmp_path, ratios + "datasets: {s: {path: set, weight: 1, split: anew}}\n"))
    assert {row["id"].split("/")[1] for row in again.rows("test")} == {"train", "test"}


def test_what_a_file_of_the_users_own_holds_is_a_leak(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "exam.jsonl", [{"prompt": questions("Where")[4]["instruction"].upper(), "completion": "?"}])
    text = "datasets: {a: {path: a.jsonl, weight: 1}}\nsplit: {train: 1, validation: 0, test: 0}\nagainst: exam.jsonl\n"
    rows = questions("Where")
    found = make(mix_file(tmp_path, text, a=[*rows, rows[4]]))
    assert isinstance(found, Leaking)
    assert [(pair.left, pair.right, pair.similarity) for pair in found.all_pairs] == [("a/5", "line 1", 1.0), ("a/201", "line 1", 1.0)]


def test_a_field_may_be_kept_together(tmp_path: Path) -> None:
    rows = [row | {"topic": f"t{at % 8}"} for at, row in enumerate(questions("Where"))]
    text = "datasets: {a: {path: a.jsonl, weight: 1}}\nsplit: {train: 2, validation: 1, test: 1, by: topic}\n"
    mix = made(mix_file(tmp_path, text, a=rows))
    topics = [{(int(row["id"].split("/")[1]) - 1) % 8 for row in mix.rows(split)} for split in ("train", "validation", "test")]
    assert all(topics)
    assert sum(map(len, topics)) == len(set().union(*topics)) == 8


def test_a_reader_is_told_of_tools_and_weights_that_only_a_late_row_may_have(tmp_path: Path) -> None:
    call = {"type": "function", "function": {"name": "weather", "arguments": "{}"}}
    turns = [{"role": "user", "content": "Rain?"}, {"role": "assistant", "content": "", "tool_calls": [call], "weight": 0.5}]
    write_jsonl(tmp_path / "b.jsonl", [{"messages": turns, "tools": [call]}])
    text = "datasets: {a: {path: a.jsonl, weight: 1}, b: {path: b.jsonl, weight: 1, split: train}}"
    write_mix(made(mix_file(tmp_path, text, a=questions("plain"))), tmp_path / "out")
    found = datasets.load_dataset(str(tmp_path / "out"), split="test", cache_dir=str(tmp_path / "cache"))
    assert list(found.features) == ["id", "source", "messages", "repeat", "simulated", "tools"]
    header = (tmp_path / "out" / "README.md").read_text(encoding="utf-8").split("---")[1]
    [declared] = YAML(typ="safe").load(header)["dataset_info"]
    assert [one["name"] for one in declared["features"][2]["list"]] == ["role", "content", "tool_calls", "weight"]
    assert declared["features"][-1] == {"name": "tools", "dtype": "string"}


def test_simulated_records_stay_marked(tmp_path: Path) -> None:
    rows = [row | {"simulated": at == 0} for at, row in enumerate(questions("Where")[:4])]
    mix = made(mix_file(tmp_path, "split: {train: 1, validation: 0, test: 0}\ndatasets: {a: {path: a.jsonl, weight: 1}}\n", a=rows))  # type: ignore[arg-type]
    assert sorted((row["id"], row["simulated"]) for row in mix.rows("train"))[0] == ("a/1", True)
    assert mix.simulated == ("a",)


def test_tokens_are_counted_under_the_template(tmp_path: Path) -> None:
    text = TWO + "by: tokens\ntokenizer: shipped\ntotal: 2000\n"
    mix = made(mix_file(tmp_path, text, a=questions("Where"), b=questions("Why")))
    assert got(mix)["a"] == pytest.approx(1500, abs=40)
    assert got(mix)["b"] == pytest.approx(500, abs=40)
    assert len(list(mix.rows("train"))) < 100


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("datasets: {x: {path: a.jsonl}}", "m.yaml:2: datasets.x.weight: this key is needed", id="no weight"),
        pytest.param("datasets: {x: {pth: a.jsonl}}", "m.yaml:2: datasets.x.pth: unknown key: did you mean 'path'?", id="unknown key"),
        pytest.param("datasets: {}", "m.yaml:2: datasets: name at least one dataset", id="no dataset"),
        pytest.param("datasets: {x: {path: a, weight: 2, split: test}}", "name at least one dataset to train on", id="only a test set"),
        pytest.param(
            "datasets: {x: {path: a, weight: 2}, y: {path: b, weight: 2, split: test}}",
            "datasets.y.weight: a weight counts in training only",
            id="test weight",
        ),
        pytest.param(
            "method: sqrt\ndatasets: {x: {path: a, weight: 2}}", "m.yaml:3: datasets.x.weight: a weight counts only", id="idle weight"
        ),
        pytest.param("temperature: 2\ndatasets: {x: {path: a, weight: 2}}", "go together", id="idle temperature"),
        pytest.param("tokenizer: t\ndatasets: {x: {path: a, weight: 2}}", "count only with 'by: tokens'", id="idle tokenizer"),
        pytest.param(
            "split: {by: lineage}\ndatasets: {x: {path: a, weight: 2}}", "m.yaml:2: split.by: a mix knows no lineage", id="lineage"
        ),
        pytest.param(
            "split: {train: 0}\ndatasets: {x: {path: a, weight: 2}}", "split.train: input should be greater than 0", id="no training"
        ),
        pytest.param("- a", "not valid YAML", id="broken"),
    ],
)
def test_an_error_in_the_file_names_line_and_key(text: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse(f"name: m\n{text}\n", Path("m.yaml"))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("datasets: {x: {path: gone.jsonl, weight: 1}}", "mix.yaml:2: datasets.x.path: no such file or folder", id="missing"),
        pytest.param(
            "datasets: {x: {path: bad.jsonl, weight: 1}}", "no usable record in bad.jsonl (empty_content 1, unreadable 1)", id="unusable"
        ),
        pytest.param("datasets: {x: {path: ., weight: 1}}", "holds no train.jsonl, validation.jsonl or test.jsonl", id="folder"),
        pytest.param(
            "split: {by: colour}\ndatasets: {x: {path: a.jsonl, weight: 1}}", "mix.yaml:2: split.by: no record has a field", id="field"
        ),
        pytest.param("against: no.jsonl\ndatasets: {x: {path: a.jsonl, weight: 1}}", "mix.yaml:2: against: ", id="against"),
        pytest.param(
            "split: {test: 0}\ndatasets: {a: {path: b.jsonl, weight: 1}, x: {path: a.jsonl, split: test}}",
            "mix.yaml:2: split.test: the dataset 'x'",
            id="pinned",
        ),
    ],
)
def test_a_dataset_that_cannot_be_used_names_its_line(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"instruction": "Hi", "output": " "}\nno\n')
    with pytest.raises(RecipeError) as caught:
        make(mix_file(tmp_path, text + "\n", a=questions("Where"), b=questions("Why")))
    assert message in str(caught.value)


def test_the_shipped_example_is_a_mix() -> None:
    assert load(Path(__file__).parents[1] / "examples" / "mix.yaml").config.name == "support-mix"


def test_the_examples_in_the_docstrings_hold() -> None:
    assert [doctest.testmod(module).failed for module in (shares, simulated)] == [0, 0]
