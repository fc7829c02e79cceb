"""Columnar decoding agrees with record-by-record decoding, and refuses what it cannot check."""

from __future__ import annotations

import random

import polars as pl
import pytest

from event_schemas.codec import Codec
from event_schemas.columnar import ColumnarFailure, columnar_schema, default_row, empty_frame, read_datums
from event_schemas.errors import MalformedRecord
from event_schemas.registry import Registry
from tests.record_samples import SAMPLES

REGISTRY = Registry.bundled()
CODEC = Codec(REGISTRY)


@pytest.mark.parametrize("name", [name for name in SAMPLES if name not in ("Example", "DeadLetter")])
def test_columns_equal_the_decoded_records(name: str) -> None:
    datum = CODEC.encode_datum(name, SAMPLES[name])
    frame = read_datums(REGISTRY.newest(name), [datum] * 3)
    assert frame.to_dicts() == [SAMPLES[name]] * 3


def test_an_example_is_read_through_its_flattened_twin() -> None:
    with_ranking = SAMPLES["Example"]
    without = {**with_ranking, "ranking": None}
    frame = read_datums(REGISTRY.newest("Example"), [CODEC.encode_datum("Example", e) for e in (with_ranking, without)])
    rows = frame.to_dicts()
    flattened = {
        f"{part}_{field}": value
        for part in ("request", "action", "propensity", "outcome")
        for field, value in with_ranking[part].items()
    }
    assert rows == [flattened | {"ranking": with_ranking["ranking"]}, flattened | {"ranking": None}]


def test_the_flattened_twin_has_every_field() -> None:
    names = [field["name"] for field in columnar_schema(REGISTRY.newest("Example"))["fields"]]
    assert len(names) == len(set(names)) == 9 + 13 + 8 + 1 + 5


def test_nothing_in_gives_nothing_out() -> None:
    assert read_datums(REGISTRY.newest("Request"), []).height == 0


@pytest.mark.parametrize("bad", [b"", b"\xff" * 40, b"\x02"])
def test_bad_bytes_fail_as_a_whole(bad: bytes) -> None:
    good = CODEC.encode_datum("Request", SAMPLES["Request"])
    with pytest.raises(ColumnarFailure):
        read_datums(REGISTRY.newest("Request"), [good, bad])


@pytest.mark.parametrize("name", ["Request", "Action", "Example"])
def test_bytes_left_over_behind_the_last_datum_fail(name: str) -> None:
    good = CODEC.encode_datum(name, SAMPLES[name])
    with pytest.raises(ColumnarFailure, match="do not end where they should"):
        read_datums(REGISTRY.newest(name), [good, good + b"xx"])


@pytest.mark.parametrize("field", ["arm", "eligible"])
def test_an_int_of_more_than_32_bits_fails_instead_of_wrapping(field: str) -> None:
    value = 2**32 + 3
    huge = CODEC.encode_datum("Action", {**SAMPLES["Action"], field: [value] if field == "eligible" else value})
    with pytest.raises(ColumnarFailure, match="32 bits"):
        read_datums(REGISTRY.newest("Action"), [huge])


def test_ints_keep_their_32_bits() -> None:
    datum = CODEC.encode_datum("Action", {**SAMPLES["Action"], "shadow_arm": -(2**31), "eligible": [2**31 - 1]})
    frame = read_datums(REGISTRY.newest("Action"), [datum])
    assert frame.select("arm", "shadow_arm", "eligible").dtypes == [pl.Int32, pl.Int32, pl.List(pl.Int32)]
    assert frame.select("shadow_arm", "eligible").row(0) == (-(2**31), [2**31 - 1])


def test_whatever_the_columns_accept_record_by_record_decoding_accepts_too() -> None:
    """With bytes changed, lost and inserted at random, columnar decoding may be stricter but never more lenient."""
    coin, good = random.Random(7), CODEC.encode_datum("Example", SAMPLES["Example"])
    for _ in range(300):
        spot, changed = coin.randrange(len(good)), bytes([coin.randrange(256)])
        datum = good[:spot] + coin.choice((changed, b"", changed + good[spot : spot + 1])) + good[spot + 1 :]
        try:
            read_datums(REGISTRY.newest("Example"), [good, datum])
        except ColumnarFailure:
            continue
        try:
            CODEC.decode_datum(CODEC.schema_id("Example"), datum)
        except MalformedRecord as fault:
            union_index = "IndexError" in fault.what
            assert union_index, f"byte {spot}: the columns accept {datum!r}, but {fault.what}"


def test_defaults_are_one_row_in_the_types_of_the_columns() -> None:
    for name, added in (("Request", ["previous"]), ("Example", ["request_previous", "propensity_log_density"])):
        entry = REGISTRY.newest(name)
        row = default_row(entry, added)
        assert row.rows() == [([],) if len(added) == 1 else ([], None)]
        assert row.schema == empty_frame(entry).select(added).schema
    assert default_row(REGISTRY.newest("Heartbeat"), []).height == 0
