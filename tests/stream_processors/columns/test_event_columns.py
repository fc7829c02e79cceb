"""Events read as columns: the same fields as one by one, and doubt wherever that is not certain."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pytest

from event_schemas.codec import HEADER, frame
from event_schemas.columnar import ColumnarFailure
from event_schemas.log_record import LogRecord
from event_schemas.registry import schema_entry
from stream_processors.columns.event_columns import EventColumns, EventRows
from tests.stream_processors.event_log import CODEC, EventLog, box_rule, small_rule


def read(name: str, values: Sequence[bytes | None], keys: Sequence[bytes | None]) -> EventRows:
    rule = box_rule() if name == "Propensity" else small_rule()
    columns = EventColumns(CODEC.registry.newest(name), rule)
    return columns.read([value or b"" for value in values], keys)


def read_records(name: str, records: Sequence[LogRecord]) -> EventRows:
    return read(name, [record.value for record in records], [record.key for record in records])


def test_rows_come_in_order_with_their_fields() -> None:
    log = EventLog()
    log.engagement("a", 7, engagement_id="e1", item_id="pin", value=0.5)
    log.engagement("b", 8, engagement_id="e2", kind="säve")
    engagements = [("e1", "click", 0.5), ("e2", "säve", 1.0)]
    times, *others = read_records("Engagement", log.records)
    assert (times.tolist(), others) == ([7, 8], [engagements, [], None])


def test_a_heartbeat_has_no_key() -> None:
    beat = EventLog().heartbeat(9)
    times, *others = read("Heartbeat", [beat.value] * 2, [None, b"a"])
    assert (times.tolist(), others) == ([9, 9], [None, [1], None])


def test_a_key_that_is_not_the_request_id_is_doubtful() -> None:
    log = EventLog()
    values = [log.propensity(request_id, 1).value for request_id in "abc"]
    assert read("Propensity", values, [b"a", b"c", None]).doubtful == [1, 2]


HISTORY = [{"item_id": "i", "action_type": "save", "event_time": 0, "embedding": [1.0, math.nan]}]


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("request", {"user_embedding": [math.inf]}),
        ("request", {"history": HISTORY}),
        ("request", {"previous": [{"event_time": 0, "weights": []}, {"event_time": 0, "weights": [1.0, math.nan]}]}),
        ("action", {"arm": 5}),
        ("action", {"shadow_arm": 5}),
        ("action", {"eligible": [1, -1]}),
        ("action", {"weights": [math.nan]}),
        ("action", {"action_space": "beef"}),
        ("action", {"shadow_weights": [1.0, -math.inf]}),
        ("propensity", {"propensity": 0.0}),
        ("propensity", {"sampling_rate": math.nan}),
        ("propensity", {"probabilities": [0.5, 1.5]}),
        ("propensity", {"log_density": math.nan}),
        ("propensity", {"log_density": math.inf}),
        ("propensity", {"exploration": "e" * 257}),
        ("ranking", {"heads": [{"head": "h", "count": 1, "mean": 0, "p10": 0, "p50": 0, "p90": math.nan}]}),
        ("engagement", {"engagement_id": ""}),
        ("engagement", {"value": math.nan}),
    ],
)
def test_only_the_row_with_a_fault_is_doubtful(name: str, fields: dict[str, Any]) -> None:
    log = EventLog()
    write = getattr(log, name)
    records = [write("a", 1), write("b", 2, **fields), write("c", 3)]
    rows = read_records(name.capitalize(), records)
    assert (rows.times.tolist(), rows.doubtful) == ([1, 2, 3], [1])


def test_empty_lists_and_long_ones_side_by_side() -> None:
    log = EventLog()
    history = [{"item_id": f"i{n}", "action_type": "save", "event_time": 0, "embedding": [1.0] * n} for n in range(4)]
    log.request("a", 1, user_embedding=[], history=history, context=[])
    log.request("b", 2, user_embedding=[1.0] * 64, history=[])
    log.request("c", 3, history=history[:1])
    assert read_records("Request", log.records).doubtful == []


def test_an_empty_request_id_is_doubtful() -> None:
    assert read_records("Request", [EventLog().request("", 1)]).doubtful == [0]


def framed(datum: bytes, name: str) -> bytes:
    return frame(CODEC.schema_id(name), datum)


@pytest.mark.parametrize("change", [lambda value: value + b"\0", lambda value: value[:-1], lambda value: value * 2])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_datum_that_does_not_end_where_its_value_does_fails_the_block(change: Any, place: int) -> None:
    log = EventLog()
    records = [log.propensity(request_id, 1) for request_id in "abc"]
    values = [record.value or b"" for record in records]
    values[place] = change(values[place])
    with pytest.raises(ColumnarFailure):
        read("Propensity", values, [record.key for record in records])


def test_two_records_in_one_value_and_none_in_the_next_fail_the_block() -> None:
    first, second = (EventLog().heartbeat(time).value or b"" for time in (5, 6))
    with pytest.raises(ColumnarFailure):
        read("Heartbeat", [first + second, b""], [None, None])


def datum(record: LogRecord) -> bytes:
    return (record.value or b"")[HEADER.size :]


def test_an_arm_beyond_32_bits_does_not_wrap_into_the_action_space() -> None:
    log = EventLog()
    good, other = datum(log.action("a", 1)), datum(log.action("b", 1))
    arm = good.index(b"\x04\x00", 3)
    huge = good[:arm] + b"\x84\x80\x80\x80\x20" + good[arm + 1 :]
    assert CODEC.decode_datum(CODEC.schema_id("Action"), huge)["arm"] == 2**32 + 2
    assert read("Action", [framed(huge, "Action"), framed(other, "Action")], [b"a", b"b"]).doubtful == [0]


def test_a_union_index_out_of_range_is_doubtful() -> None:
    good = datum(EventLog().engagement("a", 1, item_id="pin"))
    stray = good.replace(b"\x02\x06pin", b"\x04\x06pin")
    assert read("Engagement", [framed(stray, "Engagement")], [b"a"]).doubtful == [0]


@pytest.mark.parametrize("index", [b"\x01", b"\x08", b"\x10"])
def test_an_enum_index_out_of_range_is_doubtful(index: bytes) -> None:
    good = datum(EventLog().action("a", 1))
    assert read("Action", [framed(good[:3] + index + good[4:], "Action")], [b"a"]).doubtful == [0]


@pytest.mark.parametrize(("version", "after"), [("first", b""), ("newest", b"\x00")])
def test_an_over_long_number_after_the_arrays_is_doubtful(version: str, after: bytes) -> None:
    good = EventLog().action("a", 1, version=version).value or b""
    end = b"\x00\x02\x00\x00" + after
    assert good.endswith(end), "policy_version, config_revision, two nulls, shadow_weights"
    long = good[: -len(end)] + b"\x00\x82\x00\x00\x00" + after
    decoded = CODEC.decode(long)
    assert decoded.record["config_revision"] == 1
    columns = EventColumns(CODEC.registry.entry(decoded.schema_id), small_rule())
    assert columns.read([long, good], [b"a", b"a"]).doubtful == [0]


def test_the_fields_of_the_newest_version_are_passed_where_they_are_filled() -> None:
    log, served = EventLog(), [{"event_time": 0, "weights": [1.0, 2.0]}, {"event_time": 0, "weights": []}]
    for previous in ([], served, served[:1], served[1:]):
        log.request("a", 1, previous=previous)
    assert read_records("Request", log.records).doubtful == []
    log = EventLog()
    for weights in ([], [1.0, 2.0], [3.0]):
        log.action("a", 1, shadow_weights=weights)
    assert read_records("Action", log.records).doubtful == []
    log = EventLog()
    for density, exploration in ((None, None), (-0.5, None), (None, "d" * 64), (700.0, "")):
        log.propensity("a", 1, log_density=density, exploration=exploration)
    assert read_records("Propensity", log.records).doubtful == []


def test_a_stray_union_index_of_a_propensity_is_doubtful() -> None:
    log = EventLog()
    good = log.propensity("a", 1, log_density=0.5, exploration="why").value or b""
    stray = good.replace(b"\x02\x06why", b"\x04\x06why")
    assert read("Propensity", [good, stray], [b"a", b"a"]).doubtful == [1]


@pytest.mark.parametrize("name", ["Request", "Action", "Propensity"])
def test_the_first_version_is_read_with_the_fields_that_it_has(name: str) -> None:
    log = EventLog()
    write = getattr(log, name.lower())
    records = [write("a", 1, version="first"), write("", 2, version="first"), write("c", 3, version="first")]
    entry = CODEC.registry.entry(CODEC.decode(records[0].value).schema_id)
    rows = EventColumns(entry, small_rule()).read([each.value or b"" for each in records], [b"a", b"", b"c"])
    assert (rows.times.tolist(), rows.doubtful) == ([1, 2, 3], [1])


def test_a_union_behind_nested_records_is_checked_row_by_row() -> None:
    log = EventLog()
    item = {"item_id": "i", "action_type": "save", "event_time": 0, "embedding": []}
    entry = CODEC.registry.newest("Request")
    newer = json.loads(json.dumps(dict(entry.schema)))
    newer["fields"].append({"name": "locale", "type": ["null", "string"], "default": None})
    evolved = schema_entry(entry.schema_id, entry.subject, 2, newer)
    written = [log.request("a", 1, history=[item]), log.request("b", 1), log.request("c", 1, history=[item])]
    values = [
        (record.value or b"") + tail for record, tail in zip(written, (b"\0", b"\x02\x02x", b"\x04\x02x"), strict=True)
    ]
    rows = EventColumns(evolved, small_rule()).read(values, [record.key for record in written])
    assert rows.doubtful == [2], "a union index out of range"


def test_eligible_arms_are_checked_row_by_row_and_pass() -> None:
    log = EventLog()
    records = [log.action("a", 1, eligible=[0, 2]), log.action("b", 1), log.action("c", 1, eligible=[])]
    assert read_records("Action", records).doubtful == []
