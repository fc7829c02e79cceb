"""Events read as columns: the same fields as one by one, and doubt wherever that is not certain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest

from event_schemas.codec import HEADER
from event_schemas.columnar import ColumnarFailure
from event_schemas.log_record import LogRecord
from stream_processors.event_columns import EventColumns, EventRow
from stream_processors.input_event import EngagementFields
from tests.stream_processors.event_log import CODEC, EventLog, small_rule


def read(name: str, records: Sequence[LogRecord]) -> list[EventRow | None]:
    datums = [(record.value or b"")[HEADER.size :] for record in records]
    return EventColumns(CODEC.registry.newest(name), small_rule()).read(datums)


def test_rows_come_in_order_with_their_fields() -> None:
    log = EventLog()
    log.engagement("a", 7, engagement_id="e1", item_id="pin", value=0.5)
    log.engagement("b", 8, engagement_id="e2", kind="säve")
    assert read("Engagement", log.records) == [
        EventRow("a", 7, EngagementFields("e1", "click", 0.5)),
        EventRow("b", 8, EngagementFields("e2", "säve", 1.0)),
    ]


def test_a_heartbeat_has_no_request_id() -> None:
    assert read("Heartbeat", [EventLog().heartbeat(9)]) == [EventRow("", 9, None)]


HISTORY = [{"item_id": "i", "action_type": "save", "event_time": 0, "embedding": [1.0, math.nan]}]


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("request", {"user_embedding": [math.inf]}),
        ("request", {"history": HISTORY}),
        ("action", {"arm": 5}),
        ("action", {"shadow_arm": 5}),
        ("action", {"eligible": [1, -1]}),
        ("action", {"weights": [math.nan]}),
        ("action", {"action_space": "beef"}),
        ("propensity", {"propensity": 0.0}),
        ("propensity", {"sampling_rate": math.nan}),
        ("propensity", {"probabilities": [0.5, 1.5]}),
        ("ranking", {"heads": [{"head": "h", "count": 1, "mean": 0, "p10": 0, "p50": 0, "p90": math.nan}]}),
        ("engagement", {"engagement_id": ""}),
        ("engagement", {"value": math.nan}),
    ],
)
def test_only_the_row_with_a_fault_is_doubtful(name: str, fields: dict[str, Any]) -> None:
    log = EventLog()
    write = getattr(log, name)
    records = [write("a", 1), write("b", 2, **fields), write("c", 3)]
    rows = read(name.capitalize(), records)
    assert [row and row.request_id for row in rows] == ["a", None, "c"]


def test_empty_lists_and_long_ones_side_by_side() -> None:
    log = EventLog()
    history = [{"item_id": f"i{n}", "action_type": "save", "event_time": 0, "embedding": [1.0] * n} for n in range(4)]
    log.request("a", 1, user_embedding=[], history=history, context=[])
    log.request("b", 2, user_embedding=[1.0] * 64, history=[])
    log.request("c", 3, history=history[:1])
    assert all(read("Request", log.records))


def test_an_empty_request_id_is_doubtful() -> None:
    assert read("Request", [EventLog().request("", 1)]) == [None]


@pytest.mark.parametrize("change", [lambda value: value + b"\0", lambda value: value[:-1], lambda value: value * 2])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_datum_that_does_not_end_where_its_value_does_fails_the_block(change: Any, place: int) -> None:
    log = EventLog()
    records = [log.propensity(request_id, 1) for request_id in "abc"]
    datums = [(record.value or b"")[HEADER.size :] for record in records]
    datums[place] = change(datums[place])
    with pytest.raises(ColumnarFailure):
        EventColumns(CODEC.registry.newest("Propensity"), small_rule()).read(datums)


def test_two_datums_in_one_value_and_none_in_the_next_fail_the_block() -> None:
    first, second = ((r.value or b"")[HEADER.size :] for r in (EventLog().heartbeat(5), EventLog().heartbeat(6)))
    with pytest.raises(ColumnarFailure):
        EventColumns(CODEC.registry.newest("Heartbeat"), small_rule()).read([first + second, b""])


def test_an_arm_beyond_32_bits_does_not_wrap_into_the_action_space() -> None:
    log = EventLog()
    good, other = ((record.value or b"")[HEADER.size :] for record in (log.action("a", 1), log.action("b", 1)))
    arm = good.index(b"\x04\x00", 3)
    huge = good[:arm] + b"\x84\x80\x80\x80\x20" + good[arm + 1 :]
    assert CODEC.decode_datum(CODEC.schema_id("Action"), huge)["arm"] == 2**32 + 2
    rows = EventColumns(CODEC.registry.newest("Action"), small_rule()).read([huge, other])
    assert [row and row.request_id for row in rows] == [None, "b"]


def test_a_union_index_out_of_range_is_doubtful() -> None:
    value = (EventLog().engagement("a", 1, item_id="pin").value or b"")[HEADER.size :]
    stray = value.replace(b"\x02\x06pin", b"\x04\x06pin")
    assert EventColumns(CODEC.registry.newest("Engagement"), small_rule()).read([stray]) == [None]


@pytest.mark.parametrize("index", [b"\x01", b"\x08", b"\x10"])
def test_an_enum_index_out_of_range_is_doubtful(index: bytes) -> None:
    value = (EventLog().action("a", 1).value or b"")[HEADER.size :]
    assert EventColumns(CODEC.registry.newest("Action"), small_rule()).read([value[:3] + index + value[4:]]) == [None]
