"""The timers: nothing comes out late, nothing is lost, and every number comes once an opening."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream_processors.partition.timer_buckets import FAR, TimerBuckets
from stream_processors.partition.watermark_course import LAST


def test_nothing_waits_for_longer_than_there_is_time() -> None:
    assert TimerBuckets(window_ms=640).next_opening == FAR > LAST


def test_a_number_comes_out_once_the_watermark_enters_its_bucket() -> None:
    timers = TimerBuckets(window_ms=640)
    assert timers.enter(1_000, 7)
    assert timers.enter(1_005, 7)
    assert timers.next_opening == 1_000
    assert timers.enter(1_010, 8)
    assert (timers.open_next(), timers.opened_end, timers.next_opening) == ([7], 1_010, 1_010)
    assert timers.open_next() == [8]
    assert timers.next_opening == FAR


def test_an_open_bucket_takes_nothing_more() -> None:
    timers = TimerBuckets(window_ms=640)
    timers.enter(1_000, 0)
    timers.open_next()
    assert timers.end_of(1_009) == 1_010
    assert not timers.enter(1_009, 1)
    assert timers.enter(1_010, 1)


@given(st.lists(st.integers(-200, 200)), st.integers(1, 3_000))
def test_many_are_entered_as_one_by_one(times: list[int], window_ms: int) -> None:
    many, single = TimerBuckets(window_ms), TimerBuckets(window_ms)
    for timers in (many, single):
        timers.enter(17, 1_000)
    many.enter_all(np.array(times, np.int64), np.arange(len(times)))
    for number, time in enumerate(times):
        assert single.enter(time, number)
    while single.next_opening < FAR:
        assert many.next_opening == single.next_opening
        assert many.open_next() == single.open_next()
    assert many.next_opening == FAR


def test_buckets_are_passed_once_they_have_ended() -> None:
    timers = TimerBuckets(window_ms=640)
    for time, number in ((1_000, 1), (1_009, 2), (1_010, 1), (1_020, 3)):
        timers.enter(time, number)
    assert timers.open_passed(1_009) == []
    assert timers.open_passed(1_020) == [1, 2]
    assert timers.open_passed(1_030) == [3]


@given(st.lists(st.tuples(st.integers(-2_000, 2_000), st.booleans()), max_size=60), st.integers(1, 3_000))
def test_what_was_entered_is_out_when_its_time_has_come(moves: list[tuple[int, bool]], window_ms: int) -> None:
    timers, waiting, watermark = TimerBuckets(window_ms), dict[int, int](), -3_000
    for number, (time, opens) in enumerate(moves):
        if opens:
            watermark = max(watermark, time)
            while timers.next_opening <= watermark:
                for found in timers.open_next():
                    del waiting[found]
            assert all(time > watermark for time in waiting.values())
        elif timers.enter(time, number):
            waiting[number] = time
        else:
            assert time < timers.opened_end
        assert timers.next_opening <= min(waiting.values(), default=FAR)
