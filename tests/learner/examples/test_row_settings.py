"""Every row is read with the settings that it names."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from learner.examples.row_settings import RowSettings
from tests.box_samples import box_experiment

BOX = box_experiment()
FILE = BOX.exploration
OLDER = replace(FILE, production_share=0.4)


def of(*digests: str | None) -> RowSettings:
    frame = pl.DataFrame({"propensity_exploration": pl.Series(list(digests), dtype=pl.String)})
    return RowSettings.of(frame, BOX, {OLDER.digest: OLDER})


def test_a_row_has_its_own_the_files_without_a_digest_and_none_that_nobody_kept() -> None:
    found = of(OLDER.digest, None, FILE.digest, "lost", OLDER.digest, "lost")
    assert [found.settings[group] for group in found.group] == [OLDER, FILE, FILE, FILE, OLDER, FILE]
    assert found.recomputed.tolist() == [True, False, True, False, True, False]
    assert found.lost.tolist() == [False, False, False, True, False, True]
    assert found.unknown == {"lost": 2}
    assert found.production_shares.tolist() == [0.4, 0.125, 0.125, 0.125, 0.4, 0.125]


def test_part_of_the_rows() -> None:
    found = of(OLDER.digest, None, "lost").take(np.array([2, 0]))
    assert found.production_shares.tolist() == [0.125, 0.4]
    assert (found.lost.tolist(), found.recomputed.tolist()) == ([True, False], [False, True])


def test_no_rows_have_none() -> None:
    assert of().group.tolist() == []
    assert of(None, None).unknown == {}
