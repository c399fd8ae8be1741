from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gen.errors import InputError, RecipeError, StorageError
from gen.ledger import Ledger
from gen.parts import read_sources
from gen.recipe import Recipe, parse
from gen.run_folder import claim, exclusive, kept_sources, open_ledger
from gen.types import SeedTask, Sources

RECIPE = """\
name: small
seed: 3
models: {writer: {provider: simulator, temperature: 0.7, max_concurrency: 4}}
sources: {topics: topics.txt}
strategies: [{name: self_instruct, model: writer}]
goal: {accepted: 5}
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    (tmp_path / "topics.txt").write_text("bread\ncheese\n")
    opened = Ledger(tmp_path / "run.db")
    yield opened
    opened.close()


def claimed(ledger: Ledger, old: str = "", new: str = "") -> Sources:
    """Claim the ledger for the recipe, with one change; the sources as its files hold them now."""
    assert old in RECIPE
    recipe: Recipe = parse(RECIPE.replace(old, new) if old else RECIPE, ledger.path.parent / "small.yaml")
    sources = read_sources(recipe)
    claim(ledger, recipe, sources)
    return sources


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{accepted: 5}", "{accepted: 50}"),
        ("{accepted: 5}", "{per_topic: 2}\nbudget: {calls: 9}\ncard: {owner: me}\nexport: {formats: [alpaca]}\ndescription: more"),
        ("{accepted: 5}", "{accepted: 5}\ngates: [schema]\npairs: []"),
        ("max_concurrency: 4", "max_concurrency: 9, requests_per_minute: 5, timeout_seconds: 3, api_key_env: OTHER"),
    ],
    ids=["goal", "budget, card, exports", "gates and pairs", "rates"],
)
def test_what_cannot_change_a_reply_may_change(old: str, new: str, ledger: Ledger) -> None:
    claimed(ledger)
    claimed(ledger, old, new)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param("seed: 3", "seed: 4", "seed: this folder was made with another 'seed' (then 3, now 4)", id="seed"),
        pytest.param("temperature: 0.7", "temperature: 1", "another 'models.writer.temperature' (then 0.7, now 1.0)", id="temperature"),
        pytest.param("model: writer}", "model: writer, lag: 4}", "another 'strategies.1.lag' (then None, now 4)", id="option"),
        pytest.param("topics.txt", "[bread]", "another 'sources.topics' (then 'topics.txt', now ['bread'])", id="a topic gone"),
    ],
)
def test_what_would_is_refused_with_the_way_out(old: str, new: str, message: str, ledger: Ledger) -> None:
    claimed(ledger)
    with pytest.raises(RecipeError) as caught:
        claimed(ledger, old, new)
    assert message in str(caught.value)
    assert "take another --out, or set it back" in str(caught.value)
    claimed(ledger)  # a refusal changes nothing


def test_topics_may_be_added_to_a_file_but_not_taken_away(ledger: Ledger) -> None:
    claimed(ledger)
    topics = ledger.path.parent / "topics.txt"
    topics.write_text("wine\nbread\ncheese\n")
    assert claimed(ledger).topics == ("wine", "bread", "cheese")
    topics.write_text("wine\n")
    with pytest.raises(RecipeError, match=r"the topics have changed since this folder was made \('bread' and 1 more topics are gone\)"):
        claimed(ledger)


def test_sources_are_kept_as_they_were_read(ledger: Ledger) -> None:
    assert kept_sources(ledger) is None
    sources = claimed(ledger)
    assert kept_sources(ledger) == sources
    assert isinstance(sources.seed_tasks[0], SeedTask)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with (
        exclusive(tmp_path / "new" / "run"),
        pytest.raises(StorageError, match="another sluice is working in"),
        exclusive(tmp_path / "new" / "run"),
    ):
        pass
    with exclusive(tmp_path / "new" / "run"):
        pass


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with (
        pytest.raises(StorageError, match="is a file, where a folder should be: take another --out"),
        exclusive(tmp_path / "taken"),
    ):
        pass
    with pytest.raises(StorageError, match="cannot use the folder"), exclusive(tmp_path / "taken" / "run"):
        pass


def test_a_folder_without_a_run_says_what_would_make_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is no run folder: it has no run\.db; `sluice run RECIPE --out "):
        open_ledger(tmp_path)
    with pytest.raises(InputError, match="no such run folder"):
        open_ledger(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []
