"""Written files are accepted; files without a column, with another type or without values are not."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learner.examples.example_columns import misshapen, portable
from tests.learner.segment_samples import NULLABLE, rows

FROZEN = sorted((Path(__file__).parents[2] / "upgrades" / "data").glob("*/machine/learner/*/examples/*.parquet"))
NAMES = [name for name in rows(0, 1).columns if name != "mark"]


def test_what_the_decoder_gives_and_what_older_versions_stored_is_recognised(world: Any) -> None:
    stored = [pl.read_parquet(path) for path in FROZEN]
    assert stored
    for frame in (*stored, rows(0, 3), rows(0, 0), world.decoded(world.examples(5))):
        assert misshapen(frame) == ""


@given(name=st.sampled_from(NAMES), how=st.sampled_from(["gone", "renamed", "retyped", "emptied"]))
def test_every_column_must_be_as_it_was_written(name: str, how: str) -> None:
    frame = rows(0, 3)
    kind = pl.Int8 if frame.schema[name] != pl.Int8 else pl.Int16
    changed = {
        "gone": frame.drop(name),
        "renamed": frame.rename({name: f"{name}_"}),
        "retyped": frame.with_columns(pl.lit(1, kind).alias(name)),
        "emptied": frame.with_columns(pl.lit(None, frame.schema[name]).alias(name)),
    }[how]
    nothing_wrong = how == "emptied" and name in NULLABLE | {"ranking"}
    assert (misshapen(changed) == "") == nothing_wrong
    assert nothing_wrong or f"column {name}" in misshapen(changed)


@pytest.mark.parametrize("kind", [pl.Categorical, pl.Enum(["s"])])
def test_a_category_is_stored_as_its_text(kind: Any) -> None:
    frame = rows(0, 3).with_columns(pl.col("action_slice").cast(kind))
    assert misshapen(frame)
    assert misshapen(portable(frame)) == ""
    assert portable(frame)["action_slice"].to_list() == ["s"] * 3
