"""Written files are accepted; files without a column, with another type or without values are not.

What a file or a datum of an older version lacks has the default of its field, in the same types.
"""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schemas.columnar import columnar_schema, empty_frame
from event_schemas.records import EXAMPLE
from event_schemas.registry import Registry, schema_entry
from learner.examples.example_columns import ExampleColumns, portable, shipped_columns
from tests.learner.segment_samples import NULLABLE, rows

FROZEN = sorted((Path(__file__).parents[2] / "upgrades" / "data").glob("*/machine/learner/*/examples/*.parquet"))
NAMES = [name for name in rows(0, 1).columns if name != "mark"]
VERSIONS = Registry.bundled().versions(EXAMPLE)
COLUMNS = shipped_columns()
ADDED: dict[str, Any] = {
    "request_previous": [],
    "action_shadow_weights": [],
    "propensity_log_density": None,
    "propensity_exploration": None,
}


def stored() -> list[pl.DataFrame]:
    assert FROZEN
    return [pl.read_parquet(path) for path in FROZEN]


def without_added(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.drop(ADDED)


def test_what_the_decoder_gives_and_what_older_versions_stored_is_recognised(world: Any) -> None:
    for frame in (*stored(), rows(0, 3), rows(0, 0), without_added(rows(0, 3)), world.decoded(world.examples(5))):
        assert COLUMNS.misshapen(frame) == ""
        assert COLUMNS.misshapen(COLUMNS.completed(frame)) == ""


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
    assert (COLUMNS.misshapen(changed) == "") == nothing_wrong
    assert nothing_wrong or f"column {name}" in COLUMNS.misshapen(changed)


@pytest.mark.parametrize("kind", [pl.Categorical, pl.Enum(["s"])])
def test_a_category_is_stored_as_its_text(kind: Any) -> None:
    frame = rows(0, 3).with_columns(pl.col("action_slice").cast(kind))
    assert COLUMNS.misshapen(frame)
    assert COLUMNS.misshapen(portable(frame)) == ""
    assert portable(frame)["action_slice"].to_list() == ["s"] * 3


def test_every_version_s_columns_are_the_newest_s_in_the_same_types() -> None:
    """So that rows of several versions fit together."""
    newest = portable(empty_frame(VERSIONS[-1])).schema
    for entry in VERSIONS:
        kinds = portable(empty_frame(entry)).schema
        assert COLUMNS.fit(entry)
        assert kinds.items() <= newest.items()
        assert newest.keys() - kinds.keys() <= set(COLUMNS.added)
    assert set(COLUMNS.added) == ADDED.keys()
    assert {field["name"] for field in columnar_schema(VERSIONS[-1])["fields"]} == newest.keys()


@pytest.mark.parametrize("wanted", [None, ["propensity_exploration"], ["request_previous", "request_request_id"]])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_what_an_older_version_lacks_has_its_default(wanted: list[str] | None, count: int) -> None:
    whole = rows(0, count)
    completed = COLUMNS.completed(without_added(whole), wanted)
    expected = whole.with_columns(pl.Series(n, [v] * count, whole.schema[n]) for n, v in ADDED.items())
    assert completed.equals(expected if wanted is None else expected.select(wanted))
    assert completed.schema == (whole.schema if wanted is None else whole.select(wanted).schema)
    assert pl.concat([completed, COLUMNS.completed(whole, wanted)]).height == 2 * count


def test_stored_files_of_older_versions_fit_to_today_s() -> None:
    for frame in stored():
        both = pl.concat([COLUMNS.completed(frame), rows(0, 3).drop("mark")])
        assert both.height == frame.height + 3
        assert both.head(frame.height).select(frame.columns).equals(frame)
        assert both.head(frame.height).select(*ADDED).unique().rows() == [([], [], None, None)]


def test_rows_that_an_older_release_put_together_have_the_default_too() -> None:
    """It merges segments of both versions, and a column is then null in rows of the version without it."""
    mixed = pl.concat([rows(0, 2), without_added(rows(2, 3))], how="diagonal_relaxed")
    assert mixed["request_previous"].null_count() == 3
    assert COLUMNS.misshapen(mixed) == ""
    completed = COLUMNS.completed(mixed)
    assert completed.equals(COLUMNS.completed(pl.concat([rows(0, 2), COLUMNS.completed(without_added(rows(2, 3)))])))
    assert completed["request_previous"].null_count() == 0


@given(name=st.sampled_from(sorted(ADDED)))
def test_the_columns_of_a_version_are_there_together(name: str) -> None:
    assert COLUMNS.misshapen(rows(0, 3).drop(name)) == f"it has no column {name}"
    assert COLUMNS.misshapen(without_added(rows(0, 3)).with_columns(rows(0, 3)[name]))


def test_what_is_not_new_stays_as_it_is() -> None:
    gone, retyped = rows(0, 3).drop("request_user_id"), rows(0, 3).with_columns(request_previous=pl.lit("x"))
    assert COLUMNS.completed(gone).columns == gone.columns
    assert COLUMNS.completed(retyped).equals(retyped)
    unknown = without_added(rows(0, 3)).with_columns(surface=pl.lit("home"))
    assert COLUMNS.completed(unknown).columns[-2:] == ["mark", "surface"]


def test_one_version_has_nothing_to_add() -> None:
    only = ExampleColumns(VERSIONS[:1])
    assert only.added == ()
    assert only.completed(without_added(rows(0, 3))).equals(without_added(rows(0, 3)))
    assert not only.fit(VERSIONS[-1])


def test_a_version_that_is_no_prefix_does_not_fit() -> None:
    schema = VERSIONS[0].schema
    text = {"name": "ranking", "type": "string"}
    fields = [text if field["name"] == "ranking" else field for field in schema["fields"]]
    assert not COLUMNS.fit(schema_entry(99, "trimtab.Example", 3, {**schema, "fields": fields}))
    assert not COLUMNS.fit(schema_entry(99, "trimtab.Example", 3, {**schema, "fields": schema["fields"][:2]}))
