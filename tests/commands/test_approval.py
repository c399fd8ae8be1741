"""A release waits for its card: the use granted, owner and reviewer approved, on days that have come."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from gen.approval import require_approval
from gen.card import CardFields
from gen.commands import call
from gen.errors import InputError

Captured = pytest.CaptureFixture[str]
TODAY = date(2026, 3, 1)
GRANTED = {"usage_rights": ["training", "logging"], "owner_approved": "2026-02-01", "reviewer_approved": "2026-03-01"}
CARD = "card: {usage_rights: [training, evaluation], owner: Ada, owner_approved: 2026-01-02, reviewer: Lin, reviewer_approved: 2026-01-03}"


@pytest.mark.parametrize("use", ["training", "logging"])
def test_a_card_that_grants_the_use_and_is_approved_lets_pass(use: str) -> None:
    require_approval(CardFields.model_validate(GRANTED), use, Path("runs/x"), today=TODAY)


@pytest.mark.parametrize(
    ("change", "use", "message"),
    [
        pytest.param({}, "retrieval", "not approved for retrieval: card.usage_rights grants training, logging; write", id="another use"),
        pytest.param({"usage_rights": []}, "training", "card.usage_rights is blank; write `usage_rights: [training]` under", id="no use"),
        pytest.param({"owner_approved": None}, "training", "card.owner_approved is blank: the owner has not approved it; once", id="owner"),
        pytest.param({"reviewer_approved": None}, "training", "card.reviewer_approved is blank: the reviewer has", id="reviewer"),
        pytest.param({"owner_approved": "2026-03-02"}, "training", "card.owner_approved is 2026-03-02, a day to come", id="owner later"),
        pytest.param({"reviewer_approved": "2999-01-01"}, "logging", "card.reviewer_approved is 2999-01-01, a day", id="reviewer later"),
    ],
)
def test_each_refusal_names_the_field_and_the_way_out(change: dict[str, object], use: str, message: str) -> None:
    with pytest.raises(InputError) as refused:
        require_approval(CardFields.model_validate(GRANTED | change), use, Path("runs/x"), today=TODAY)
    assert message in str(refused.value)
    assert str(refused.value).endswith("under `card` in the recipe, then `sluice export runs/x --recipe RECIPE`")


def refused(capsys: Captured, *arguments: object) -> str:
    capsys.readouterr()
    assert call(list(map(str, arguments))) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize("command", [["export", "run"], ["pack", "data.jsonl", "--tokenizer", "shipped"]], ids=["export", "pack"])
def test_an_unknown_use_is_answered_with_the_known_ones(command: list[str], capsys: Captured) -> None:
    error = refused(capsys, *command, "--require-approval", "fun")
    assert error.startswith("sluice: Invalid value for '--require-approval': 'fun' is not one of 'training', 'evaluation', ")


def test_export_and_pack_refuse_before_they_write(small_run: Path, capsys: Captured) -> None:
    (small_run / "README.md").unlink()
    exported = refused(capsys, "export", small_run, "--lab", "--require-approval", "training")
    packed = refused(capsys, "pack", small_run, "--tokenizer", "shipped", "--require-approval", "training")
    for error in (exported, packed):
        assert "not approved for training: card.usage_rights grants evaluation" in error
    assert "card.owner_approved is blank" in refused(capsys, "export", small_run, "--require-approval", "evaluation")
    assert not {"README.md", "lab", "packed"} & {path.name for path in small_run.iterdir()}


def test_a_card_approved_later_is_written_by_export_and_known_to_pack(small_run: Path) -> None:
    text = (small_run.parent / "recipe.yaml").read_text(encoding="utf-8")
    recipe = small_run.parent / "approved.yaml"
    recipe.write_text(f"{text[: text.index('card:')]}{CARD}\n", encoding="utf-8")
    assert call(["export", str(small_run), "--recipe", str(recipe), "--require-approval", "training"]) == 0
    assert "Approved by owner: 2026-01-02" in (small_run / "data-card.md").read_text(encoding="utf-8")
    assert call(["pack", str(small_run), "--tokenizer", "shipped", "--require-approval", "training"]) == 0


def test_a_card_taken_back_is_known_to_pack_too(small_run: Path, capsys: Captured) -> None:
    test_a_card_approved_later_is_written_by_export_and_known_to_pack(small_run)
    assert call(["export", str(small_run)]) == 0  # the run's own recipe again, whose card grants no training
    assert "grants evaluation" in refused(capsys, "pack", small_run, "--tokenizer", "shipped", "--require-approval", "training")


def test_a_file_has_no_card(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "d.jsonl").write_text('{"prompt": "Why?", "completion": "Because."}\n', encoding="utf-8")
    error = refused(capsys, "pack", tmp_path / "d.jsonl", "--tokenizer", "shipped", "--require-approval", "training")
    assert "not approved for training: a file has no card; name a run's folder whose card grants it" in error
    assert not (tmp_path / "d-packed").exists()


def test_an_unknown_use_names_the_right_ones(small_run: Path, capsys: Captured) -> None:
    error = refused(capsys, "export", small_run, "--require-approval", "sale")
    assert "sale" in error
    assert all(use in error for use in ("training", "evaluation", "retrieval", "logging"))
