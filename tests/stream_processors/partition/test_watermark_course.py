"""The course of the watermark over a chunk is that of looking at one record after the other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from event_schemas.log_record import LogRecord
from stream_processors.columns.record_columns import RecordColumns
from stream_processors.columns.validated_records import ValidatedRecords
from stream_processors.partition.watermark_course import watermark_course
from stream_processors.rule.input_event import InputEvent, MalformedEvent
from tests.stream_processors.event_log import SKEW_MS, WINDOW_MS, small_rule

FAR = 2**63 - 1
times = st.one_of(st.integers(-300, 300), st.sampled_from([-FAR, -FAR + WINDOW_MS, FAR, FAR - 1]))
kinds = st.sampled_from(["Request", "Engagement", "Heartbeat", None])


def validated(events: list[tuple[str | None, int, int]]) -> ValidatedRecords:
    """Records of these types, event times and append times; None is malformed."""
    records = [LogRecord("events", 0, place, append, b"a", b"v") for place, (_, _, append) in enumerate(events)]
    chunk = ValidatedRecords(RecordColumns.of(records), {})
    for place, (name, time, _) in enumerate(events):
        record = records[place]
        chunk.set_verdict(place, MalformedEvent(record, "no") if name is None else InputEvent(record, name, "a", time))
    return chunk


@given(st.lists(st.tuples(kinds, times, times), min_size=1, max_size=30), st.one_of(st.none(), times))
def test_the_course_is_that_of_one_by_one(events: list[tuple[str | None, int, int]], start: int | None) -> None:
    course = watermark_course(validated(events), start, small_rule())
    watermark = start
    for place, (name, time, append) in enumerate(events):
        assert course.at(place) == watermark
        late = watermark is not None and time + WINDOW_MS <= watermark and name != "Heartbeat"
        sound = name is not None and time <= append + SKEW_MS
        assert course.heard[place] == (sound and not late)
        if sound and (watermark is None or time > watermark):
            watermark = time
    assert course.at(len(events)) == watermark
