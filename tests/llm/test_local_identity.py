"""Which model a line of `provider: transformers` means, and what is said of one that cannot be used; without PyTorch."""

from __future__ import annotations

import importlib.util
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from gen.commands import call
from gen.errors import RecipeError
from gen.llm.check import check_models
from gen.llm.keys import line_identity, request_key
from gen.llm.local import identity
from gen.llm.local.identity import folder_fingerprint, local_options, model_identity
from gen.llm.prices import price_of
from gen.recipe import BudgetLine, ModelLine, fixed_part, parse
from gen.types import Request

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def _with_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if PyTorch were there: nothing here loads it."""
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: find("json") if name == "torch" else find(name))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "model"
    place.mkdir()
    (place / "config.json").write_text("{}")
    (place / "model.safetensors").write_bytes(b"weights")
    return place


def line_of(model: Path | str, **more: Any) -> ModelLine:
    return ModelLine.model_validate({"provider": "transformers", "model": str(model), **more})


def large(file: Path, *, changed: int | None = None) -> None:
    """65 MiB of tensors in the safetensors format: a large one and a small one near its end; `changed` is a byte after the header."""
    size = 65 << 20
    header = json.dumps(
        {
            "big": {"dtype": "U8", "shape": [size - 600], "data_offsets": [0, size - 600]},
            "small": {"dtype": "U8", "shape": [600], "data_offsets": [size - 600, size]},
        }
    ).encode()
    data = bytearray(size)
    if changed is not None:
        data[changed] = 1
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(data))


def touched(file: Path) -> None:
    stat = file.stat()
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000))


def test_a_folder_is_known_by_what_is_in_it_wherever_it_lies(folder: Path, tmp_path: Path) -> None:
    before = folder_fingerprint(folder)
    moved = folder.rename(tmp_path / "moved")
    assert folder_fingerprint(moved) == before
    (moved / "README.md").write_text("not a part of the model")
    assert folder_fingerprint(moved) == before
    (moved / "model.safetensors").write_bytes(b"Weights")
    touched(moved / "model.safetensors")
    assert folder_fingerprint(moved) != before


@pytest.mark.parametrize("changed", [0, (65 << 20) - 500], ids=["a large tensor", "a small tensor"])
def test_a_changed_tensor_of_a_large_file_is_seen(folder: Path, changed: int) -> None:
    file = folder / "model.safetensors"
    large(file)
    before = folder_fingerprint(folder)
    large(file, changed=changed)
    touched(file)
    assert folder_fingerprint(folder) != before


@pytest.mark.parametrize("header", [b"\xff" * 16, b"\x08\0\0\0\0\0\0\0not json", b""])
def test_a_large_file_that_is_no_safetensors_is_looked_into_all_the_same(folder: Path, header: bytes) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(header + random.Random(1).randbytes(1 << 20) * 65)
    assert len(folder_fingerprint(folder)) == 32


def test_the_key_knows_the_model_its_numbers_and_its_template_but_not_the_device(folder: Path) -> None:
    def key(**local: Any) -> str:
        line = line_of(folder, local=local)
        return request_key(Request(model="m", prompt="x"), line, line_identity(line))

    assert key(device="cpu") == key(device="cuda:1") == key()
    assert len({key(), key(dtype="float32"), key(template_options={"enable_thinking": False})}) == 3


def test_a_commit_of_a_model_on_the_hub_needs_no_network() -> None:
    line = line_of("someone/model", local={"revision": COMMIT})
    assert model_identity(line) == [COMMIT, "auto"]
    assert json.loads(local_options(line))["commit"] == COMMIT


def test_a_revision_on_the_hub_is_the_commit_that_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "models--someone--other" / "snapshots" / COMMIT / "config.json"
    hub = type("Hub", (), {"try_to_load_from_cache": staticmethod(lambda *_, **__: str(here))})
    monkeypatch.setattr(identity.importlib, "import_module", lambda _: hub)
    assert identity._commit.__wrapped__("someone/other", "main") == COMMIT


@pytest.mark.parametrize(
    ("changes", "key", "said"),
    [
        ({"model": "./nowhere"}, "model", "no such folder"),
        ({"model": "no such name at all"}, "model", "neither a folder here nor the name of a model"),
        ({"extra_body": {"top_k": 3}}, "extra_body", "no body"),
        ({"base_url": "http://127.0.0.1:1/v1"}, "base_url", "has no address"),
        ({"mode": "batch"}, "mode", "has no batch API"),
        ({"local": {"revision": "main"}}, "local.revision", "a folder has no revisions"),
        ({"tool": {"command": ["x"]}}, "tool", "belongs to the providers"),
    ],
)
def test_a_line_that_cannot_be_used_says_why(folder: Path, changes: dict[str, Any], key: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said) as caught:
        check_models({"m": line_of(**{"model": folder, **changes})}, BudgetLine())
    assert caught.value.key == f"models.m.{key}"


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"its config\.json is missing"):
        check_models({"m": line_of(tmp_path)}, BudgetLine())


def test_it_costs_nothing_and_waits_long(folder: Path) -> None:
    line = line_of(folder)
    price = price_of(line)
    assert price is not None
    assert price.source == "it runs on this machine"
    assert (line.timeout_seconds, line.max_concurrency) == (3600.0, 16)
    assert check_models({"m": line}, BudgetLine(usd=1.0))["m"].price == price


def test_without_pytorch_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(RecipeError, match=r"needs PyTorch: `pip install torch`, or the extra `local`") as caught:
        check_models({"m": line_of(folder)}, BudgetLine())
    assert caught.value.key == "models.m.provider"


RECIPE = """
name: near
models: {{near: {{provider: {provider}, model: {model}{more}}}}}
sources: {{topics: [loans]}}
strategies: [{{name: self_instruct, model: near}}]
gates: [schema]
goal: {{accepted: 2}}
"""


def test_check_reads_such_a_line_without_loading_weights(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(provider="transformers", model=folder, more=", local: {dtype: bfloat16}"))
    assert call(["check", str(recipe)]) == 0
    assert f"near (transformers: {folder})" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("provider", "more", "said"),
    [
        ("openai", ", local: {device: cpu}", "`local:` options need `provider: transformers`"),
        ("transformers", ", local: {device: tpu}", "models.near.local.device"),
        ("transformers", ", local: {dtyp: float32}", "unknown key: did you mean 'dtype'"),
    ],
)
def test_options_are_checked_where_the_recipe_is_read(folder: Path, tmp_path: Path, provider: str, more: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse(RECIPE.format(provider=provider, model=folder, more=more), tmp_path / "recipe.yaml")
    assert said in str(caught.value)


def test_a_run_may_go_on_on_another_device_but_not_with_other_numbers(folder: Path, tmp_path: Path) -> None:
    def fixed(more: str) -> dict[str, Any]:
        return fixed_part(parse(RECIPE.format(provider="transformers", model=folder, more=more), tmp_path / "recipe.yaml").config)

    assert fixed(", local: {device: cuda}") == fixed("")
    assert fixed(", local: {dtype: float16}") != fixed("")
    assert not [key for key in fixed("") if ".local" in key]
