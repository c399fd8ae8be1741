"""Token files and rows: what a sample's first token is, and what a row holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gen.templates.packed_set import COLUMNS, IGNORED, Layout, TokenFile, rows


def tokens(folder: Path) -> TokenFile:
    file = TokenFile(folder)
    for ids in ([5, 6, 7], [8, 9]):
        file.add(np.array(ids, np.int32), np.ones(len(ids), np.bool_))
    file.close()
    return file


def test_the_first_token_of_a_sample_is_never_a_label(tmp_path: Path) -> None:
    file = tokens(tmp_path)
    assert [labels.tolist() for _, labels in map(file.sample, range(2))] == [[IGNORED, 6, 7], [IGNORED, 9]]
    assert file.trained == 3


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ("packed", [[8, 9, 5, 6, 7], [IGNORED, 9, IGNORED, 6, 7], [2, 3], [0, 1, 0, 1, 2]]),
        (
            "padded",
            [
                [8, 9, 5, 6, 7, 0, 0],
                [IGNORED, 9, IGNORED, 6, 7, IGNORED, IGNORED],
                [2, 3, 2],
                [0, 1, 0, 1, 2, 0, 1],
                [1, 1, 2, 2, 2, 0, 0],
            ],
        ),
    ],
)
def test_a_row_holds_its_samples_one_after_the_other(tmp_path: Path, layout: Layout, expected: list[list[int]]) -> None:
    (row,) = rows(tokens(tmp_path), [np.array([1, 0])], layout, 7, 0)
    assert [column.tolist() for column in row] == expected
    assert len(row) == len(COLUMNS[layout])
