"""Walks through blocks: what the codec writes is sure, and nothing is sure that is not canonical."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import polars as pl
import pytest
from fastavro import schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from stream_processors.columns.block_walk import WORD, BlockWalk, walked_fields

FIELDS: list[dict[str, Any]] = [
    {"name": "id", "type": "string"},
    {"name": "time", "type": {"type": "long"}},
    {"name": "maybe", "type": ["null", "string"]},
    {"name": "perhaps", "type": ["double", "null"]},
    {"name": "share", "type": "double"},
    {"name": "arms", "type": {"type": "array", "items": "long"}},
    {"name": "weights", "type": {"type": "array", "items": "double"}},
    {"name": "last", "type": ["null", "long"]},
]
ROW = {"id": "a", "time": -3, "maybe": None, "perhaps": 0.5, "share": 1.0, "arms": [], "weights": [1.0], "last": 7}

rows = st.fixed_dictionaries(
    {
        "id": st.text(max_size=80),
        "time": st.integers(-(2**53), 2**53),
        "maybe": st.one_of(st.none(), st.text(max_size=5)),
        "perhaps": st.one_of(st.none(), st.floats(0, 1)),
        "share": st.floats(0, 1),
        "arms": st.just([]),
        "weights": st.lists(st.floats(0, 1), max_size=70),
        "last": st.one_of(st.none(), st.integers(-(2**53), 2**53)),
    }
)


def encoded(row: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    schemaless_writer(sink, {"type": "record", "name": "R", "fields": FIELDS}, row)
    return sink.getvalue()


def walked(datums: list[bytes], content: list[dict[str, Any]]) -> list[bool]:
    types: dict[str, Any] = {
        "arms": pl.List(pl.Int64),
        "weights": pl.List(pl.Float64),
        "maybe": pl.String,
        "perhaps": pl.Float64,
    }
    frame = pl.DataFrame(content, schema_overrides=types | {"last": pl.Int64})
    fields = walked_fields(FIELDS, ["last"])
    seen = frame.select([expression for field in fields for expression in field.expressions()])
    gap = bytes(WORD)
    sizes = np.array([len(datum) + WORD for datum in datums])
    walk = BlockWalk(gap.join((*datums, b"")), np.cumsum(sizes) - sizes)
    for field in fields:
        field.walk(walk, seen)
    sure: list[bool] = walk.sure.tolist()
    return sure


@given(st.lists(rows, min_size=1, max_size=12))
def test_what_the_codec_writes_is_sure(content: list[dict[str, Any]]) -> None:
    assert all(walked([encoded(row) for row in content], content))


@pytest.mark.parametrize(
    ("canonical", "stray"),
    [
        (b"\x02a", b"\x82\x00a"),
        (b"a\x05\x00", b"a\x85\x00\x00"),
        (b"\x05\x00\x00", b"\x05\x80\x00\x00"),
        (b"\x02\x00\x00\x00\x00\x00\x00\xf0?\x00\x02\x0e", b"\x02\x00\x00\x00\x00\x00\x00\xf0?\x00\x04\x0e"),
        (b"\x02\x0e", b"\x02\x8e\x00"),
    ],
    ids=["long length", "long number", "long union index", "union index out of range", "long last number"],
)
def test_another_spelling_is_not_sure(canonical: bytes, stray: bytes) -> None:
    good = encoded(ROW)
    assert good.count(canonical) == 1
    assert walked([good, good.replace(canonical, stray), good], [ROW] * 3) == [True, False, True]


def test_numbers_of_more_than_a_word_and_items_without_fixed_size_are_not_sure() -> None:
    content = [ROW | {"time": 2**60}, ROW | {"arms": [1]}, ROW]
    assert walked([encoded(row) for row in content], content) == [False, False, True]


def test_nothing_is_walked_where_nothing_is_checked() -> None:
    assert walked_fields(FIELDS, []) == []
