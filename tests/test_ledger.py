from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from gen.errors import StorageError
from gen.ledger import Ledger
from gen.types import (
    Call,
    Dropped,
    Malformed,
    Message,
    Outcome,
    Preference,
    Provenance,
    Review,
    Sample,
    Score,
    SequenceEnd,
    Session,
    Task,
    ToolCall,
    Usage,
    Verdict,
    digest,
    kept,
    rejected,
)

ODD = "é \x00 \ud800 \u2028 'quoted' \U0001f600"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "run.db")


def sample_of(number: int, *verdicts: Verdict, requests: tuple[str, ...] = (), parents: tuple[str, ...] = ()) -> Outcome:
    task = Task("self_instruct", "bread", number, 0, 7, {"seeds": [1, {"a": None}]})
    source = Provenance(
        task.id, "self_instruct", "bread", 0, parents, ("seed-1",), "writer", ("p@1",), requests, "stop", True, {"odd": ODD}
    )
    item = Sample(digest([task.id, 0]), (Message("user", ODD), Message("assistant", "b")), {"rubric": Score(4.5, "fine")}, source)
    return Outcome(task, item, verdicts)


def call(key: str) -> Call:
    return Call(key, "writer", "model-1", "self_instruct.answer", Usage(3, 4, 1), 0.25, "stop", True)


def test_what_is_written_is_read_back_whatever_its_text(ledger: Ledger) -> None:
    malformed = Outcome(Task("s", "t", 1, 2, 3), Malformed("m", "not_a_list", ODD, "detail", "parse", Provenance("x", requests=("k",))))
    written = [sample_of(0, kept("schema")), sample_of(1, rejected("length", "too_short", ODD)), malformed]
    ledger.write(list(enumerate(written)), [call("k")])
    assert list(ledger.outcomes()) == written
    assert ledger.calls() == [call("k")]


def test_a_second_writing_replaces_the_first(ledger: Ledger) -> None:
    ledger.write([(0, sample_of(0, kept("schema"))), (1, sample_of(1, kept("schema")))])
    ledger.write([(5, sample_of(0, rejected("schema", "no_turns")))])
    assert [outcome.reasons for outcome in ledger.outcomes()] == [(), ("schema/no_turns",)]


def test_outcomes_come_in_plan_order_however_many(ledger: Ledger) -> None:
    outcomes = [sample_of(number, kept("schema")) for number in range(1203)]
    ledger.write(list(reversed(list(enumerate(outcomes)))))
    assert [outcome.task.index for outcome in ledger.outcomes()] == list(range(1203))


def test_what_a_whole_run_did_not_meet_goes_with_its_tasks_and_calls(ledger: Ledger) -> None:
    stays, goes = sample_of(0, kept("schema"), requests=("k0", "both")), sample_of(1, kept("schema"), requests=("k1", "both"))
    ledger.write([(0, stays), (1, goes)], [call("k0"), call("k1"), call("both")])
    ledger.keep_only({stays.item.id})
    assert list(ledger.outcomes()) == [stays]
    assert [one.key for one in ledger.calls()] == ["both", "k0"]


def test_candidates_are_found_by_the_beginning_of_their_id_taken_literally(ledger: Ledger) -> None:
    ledger.write([(0, sample_of(0, kept("schema")))])
    name = sample_of(0).item.id
    assert [outcome.item.id for outcome in ledger.find(name[:6])] == [name]
    assert ledger.find("%") == ledger.find("_" * 16) == ledger.find("' OR 1=1 --") == []


def test_children_are_those_that_name_it_as_parent(ledger: Ledger) -> None:
    parent = sample_of(0, rejected("length", "too_short"))
    child = sample_of(1, kept("schema"), parents=(parent.item.id,))
    ledger.write([(0, parent), (1, child), (2, sample_of(2, kept("schema")))])
    assert ledger.children(parent.item.id) == [child]
    assert ledger.children(child.item.id) == []


def test_ends_sessions_facts_splits_and_orders_come_back_as_they_were(ledger: Ledger) -> None:
    ends = [SequenceEnd("s", "t", 5, 3, 9, "saturated", "3 % novel", 4, ((2, 1), (5, 4))), SequenceEnd("s", "u", 0, 0, 0, "goal_reached")]
    session = Session("a", "b", 1.5, 1, 2, 3, 4, 5, 6, None, "goal_reached", "0.1")
    ledger.record_ends([SequenceEnd("old", "t", 1, 1, 1, "x")])
    ledger.record_ends(ends)
    ledger.add_session(session)
    ledger.set_fact("fixed", {"a": [1, None]})
    ledger.order_again(["x", "y", "x"])
    assert (ledger.sequences(), ledger.sessions(), ledger.fact("fixed"), ledger.fact("none")) == (ends, [session], {"a": [1, None]}, None)
    assert ledger.regenerate() == {"x", "y"}


def test_a_sample_once_in_test_stays_there(ledger: Ledger) -> None:
    ledger.write_splits({"a": "train", "b": "test"})
    ledger.write_splits({"a": "validation"})
    assert ledger.splits() == {"a": "validation", "b": "test"}


def test_final_errors_are_kept(ledger: Ledger) -> None:
    ledger.write_errors([("digest", "content_policy", "no", 400), ("other", "x", "y", None)])
    assert ledger.errors() == {"digest": ("content_policy", "no", 400), "other": ("x", "y", None)}


@pytest.mark.parametrize("text", ["a\ud800b", "a\x00b", "\U0001f600"], ids=["surrogate", "null", "emoji"])
def test_text_of_a_provider_never_stops_the_books(text: str, ledger: Ledger) -> None:
    ledger.write_errors([("digest", "bad_request", text, 400)])
    ledger.write([(0, sample_of(0, requests=("k",)))], [Call("k", "writer", text, "p", Usage(), None, "stop")])
    ledger.write_pairs([], [Dropped("d", "best_of_n", "s", "tie", text)])
    ledger.record_ends([SequenceEnd("s", "t", 1, 0, 1, "bad_request", text)])
    assert len(ledger.errors()) == len(ledger.calls()) == len(ledger.dropped()) == len(ledger.sequences()) == 1


def test_pairs_are_replaced_as_a_whole(ledger: Ledger) -> None:
    pair = Preference(
        "p", (Message("user", ODD),), (Message("assistant", "a"),), (Message("assistant", "b"),), 5.0, 3.0, 2.0, "best_of_n", "s"
    )
    ledger.write_pairs([pair, pair], [Dropped("d", "best_of_n", "s", "tie")])
    ledger.write_pairs([pair], [Dropped("e", "best_of_n", "s", "below_margin", "1 < 2")])
    assert ledger.preferences() == [pair]
    assert ledger.dropped() == [Dropped("e", "best_of_n", "s", "below_margin", "1 < 2")]


def test_a_thread_may_write_while_another_reads(ledger: Ledger) -> None:
    outcomes = [sample_of(number, kept("schema")) for number in range(200)]

    def write_all() -> None:
        for place, one in enumerate(outcomes):
            ledger.write([(place, one)])

    writer = threading.Thread(target=write_all)
    writer.start()
    while writer.is_alive():
        assert all(outcome.accepted for outcome in ledger.outcomes())
    writer.join()
    assert len(list(ledger.outcomes())) == 200


def test_a_damaged_file_says_that_replies_are_safe(tmp_path: Path) -> None:
    (tmp_path / "run.db").write_bytes(b"this is no database" * 1000)
    with pytest.raises(StorageError, match=r"run\.db is damaged \(.*\); move it away and run again: replies are in the cache"):
        Ledger(tmp_path / "run.db")


def test_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    Ledger(tmp_path / "run.db").close()
    with sqlite3.connect(tmp_path / "run.db") as database:
        database.execute("INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('ledger', 'm999', '2099')")
    database.close()
    with pytest.raises(StorageError, match="was written by a newer version of Sluice"):
        Ledger(tmp_path / "run.db")


def test_a_place_that_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"nowhere/run\.db: unable to open database file"):
        Ledger(tmp_path / "nowhere" / "run.db")
    with pytest.raises(StorageError, match="unable to open database file"):
        Ledger(tmp_path)


def test_tools_labels_and_weights_come_back(ledger: Ledger) -> None:
    plain = sample_of(0, kept("schema"))
    turns = (Message("user", "Weather?", weight=0.0), Message("assistant", "", tool_calls=(ToolCall("weather", "{}", "c1"),)))
    assert isinstance(plain.item, Sample)
    item = replace(plain.item, messages=(*turns, Message("tool", "sun", tool_call_id="c1")), tools="[]", label=True)
    ledger.write([(0, Outcome(plain.task, item, plain.verdicts))])
    assert next(ledger.outcomes()).item == item


def test_a_ledger_of_before_reviews_is_read_and_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    made = Ledger(path)
    made.write([(0, sample_of(0, kept("schema"), requests=("k",)))], [call("k")])
    made.close()
    with closing(sqlite3.connect(path)) as old, old:
        old.executescript("DROP TABLE reviews; ALTER TABLE calls DROP COLUMN cache_write_tokens;")
        old.execute("DELETE FROM _sqlite_migrations WHERE name IN ('m002_reviews', 'm003_cache_writes')")
    for read_only in (True, False):
        again = Ledger(path, read_only=read_only)
        assert (len(list(again.outcomes())), again.calls(), again.reviews()) == (1, [call("k")], [])
        again.close()
    again = Ledger(path)
    again.add_reviews([Review("s", keep=True)])
    again.close()


def test_a_pair_that_chose_a_reply_rejected_in_review_is_gone_until_that_is_put_right(ledger: Ledger) -> None:
    outcome = sample_of(0, kept("schema"))
    ledger.write([(0, outcome)])
    assert isinstance(outcome.item, Sample)
    chose, beat = (
        Preference(
            name, (Message("user", "a"),), (Message("assistant", chosen),), (Message("assistant", "x"),), 5, 1, 4, "s", outcome.item.id
        )
        for name, chosen in (("p1", "b"), ("p2", "better"))
    )
    ledger.write_pairs([chose, beat], [])
    ledger.add_reviews([Review(outcome.item.id, keep=False)])
    assert [pair.id for pair in ledger.preferences()] == ["p2"]
    ledger.add_reviews([Review(outcome.item.id, keep=True)])
    assert [pair.id for pair in ledger.preferences()] == ["p1", "p2"]
