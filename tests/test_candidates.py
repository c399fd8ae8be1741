"""accepted.jsonl and rejected.jsonl: every candidate in one of them, with its fate, and nothing that differs between two runs."""

from __future__ import annotations

from gen.candidates import accepted_rows, rejected_rows
from gen.types import Malformed, Message, Outcome, Provenance, Sample, Score, Task, kept, rejected

SOURCE = Provenance(
    task="t", strategy="self_instruct", topic="PSD2", attempt=1, requests=("k1",), simulated=True, notes={"persona": "auditor"}
)
TASK = Task("self_instruct", "PSD2", 3, 1, 99)
SAMPLE = Sample("s1", (Message("user", "Hi"), Message("assistant", "Hello")), {"rubric": Score(4.5, "good"), "tone": Score(None)}, SOURCE)
OUTCOMES = [
    Outcome(TASK, SAMPLE, (kept("length"),)),
    Outcome(TASK, SAMPLE, (kept("schema"), rejected("length", "too_short", "3 words, at least 20"), rejected("pii", "email"))),
    Outcome(TASK, Malformed("s3", "not_json", "{oops", "no JSON", provenance=SOURCE)),
]


def test_an_accepted_row_has_all_that_is_known() -> None:
    [row] = accepted_rows(OUTCOMES)
    assert list(row) == ["id", "messages", "topic", "strategy", "attempt", "scores", "provenance", "simulated", "score_reasons"]
    assert row["messages"] == [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    assert (row["topic"], row["strategy"], row["attempt"], row["simulated"]) == ("PSD2", "self_instruct", 1, True)
    assert row["scores"] == {"rubric": 4.5, "tone": None}
    assert row["score_reasons"] == {"rubric": "good"}
    assert row["provenance"]["notes"] == {"persona": "auditor"}


def test_a_rejected_row_names_its_first_failure_and_all_reasons() -> None:
    row = next(rejected_rows(OUTCOMES))
    assert (row["gate"], row["reason"], row["detail"]) == ("length", "too_short", "3 words, at least 20")
    assert row["reasons"] == ["length/too_short", "pii/email"]
    assert "text" not in row


def test_an_unreadable_reply_keeps_its_text() -> None:
    row = list(rejected_rows(OUTCOMES))[1]
    assert (row["messages"], row["text"], row["gate"], row["reason"]) == (None, "{oops", "parse", "not_json")
    assert row["provenance"]["requests"] == ["k1"]


def test_every_candidate_is_in_exactly_one_file() -> None:
    assert len(list(accepted_rows(OUTCOMES))) + len(list(rejected_rows(OUTCOMES))) == len(OUTCOMES)
