"""The offline join: the live join's bytes where all was on time, and an example where only time was against it."""

from __future__ import annotations

from collections import defaultdict
from random import Random

import pytest
from hypothesis import example as with_example
from hypothesis import given, settings
from hypothesis import strategies as st

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.log_record import LogRecord
from event_schemas.registry import Registry
from stream_processors.audit.offline_decisions import Unresolved
from stream_processors.audit.offline_join import OfflineExample, OfflineJoin
from stream_processors.rule.fates import Fate
from stream_processors.rule.reference_join import reference_join
from tests.stream_processors.event_log import BUNDLED, CODEC, SAVE_MS, SKEW_MS, WINDOW_MS, EventLog, small_rule
from tests.stream_processors.event_strategies import Move, histories, written

WHOLE_B: Move = ("decision", {"id": "b", "delay": 0, "parts": ("request", "action", "propensity")})
REQUEST_B: Move = ("request", {"id": "b", "delay": 0, "variant": 0, "version": "newest"})
"""A window later, while the decision is open: a conflict to the live join, another decision to the offline join."""

ON_TIME = {Fate.JOINED, Fate.DUPLICATE, Fate.OUTSIDE, Fate.CONFLICT, Fate.MALFORMED}


def join(records: list[LogRecord], *gone: str) -> OfflineExample | Unresolved:
    """The verdict on the one decision in these records."""
    offline = OfflineJoin(small_rule(), CODEC)
    [decision] = offline.decisions(records, gone)
    return offline.join(decision)


def example(records: list[LogRecord]) -> r.Record:
    verdict = join(records)
    assert isinstance(verdict, OfflineExample), verdict
    return CODEC.decode(verdict.value).record


def unmended(records: list[LogRecord], *gone: str) -> Unresolved:
    verdict = join(records, *gone)
    assert isinstance(verdict, Unresolved), verdict
    return verdict


@given(histories, st.randoms(use_true_random=False))
@with_example([WHOLE_B, ("wait", {"ms": WINDOW_MS}), REQUEST_B], Random(0))
@settings(max_examples=200, deadline=None)
def test_a_decision_that_was_on_time_gives_the_same_bytes(history: list[Move], order: object) -> None:
    log = [*written(history)]
    log.append(EventLog(first_offset=len(log)).heartbeat(10_000))
    reference = reference_join(small_rule(), CODEC, log)
    by_id: defaultdict[str, list[LogRecord]] = defaultdict(list)
    for record in log:
        by_id[(record.key or b"").decode()].append(record)
    for (request_id, _), value in reference.examples.items():
        records = by_id[request_id]
        fates = [reference.fates[(0, record.offset)] for record in records]
        if set(fates) <= ON_TIME and _is_one_decision(records, fates):
            order.shuffle(records)  # type: ignore[attr-defined]  # a random.Random
            verdict = join(records)
            assert isinstance(verdict, OfflineExample)
            assert verdict.value == value
            assert (verdict.partition, verdict.key) == (0, request_id.encode())


def _is_one_decision(records: list[LogRecord], fates: list[str]) -> bool:
    """Whether the live join and the offline join both see one decision in the records of this request_id.

    To the live join, a Request that joins again starts another decision; to the offline join, which knows no watermark,
    a Request a window away from the first does, even if it came while the first was open.
    """
    judged = [
        (fate, decoded.record["event_time"])
        for record, fate in zip(records, fates, strict=True)
        if fate in (Fate.JOINED, Fate.CONFLICT) and (decoded := CODEC.decode(record.value)).name == r.REQUEST
    ]
    times = [time for _, time in judged]
    return [fate for fate, _ in judged].count(Fate.JOINED) == 1 and max(times) - min(times) < WINDOW_MS


@given(st.lists(st.tuples(st.integers(WINDOW_MS, 3 * WINDOW_MS), st.integers(0, SAVE_MS)), min_size=1, max_size=5))
@settings(max_examples=50, deadline=None)
def test_decisions_that_share_an_id_are_joined_apart_as_the_live_join_does(uses: list[tuple[int, int]]) -> None:
    log, time = EventLog(), 1_000
    for pause, delay in uses:
        time += pause + WINDOW_MS  # forgotten, whatever came last of the one before
        log.decision("a", time)
        log.engagement("a", time + delay, kind="tap")
        log.heartbeat(time + delay + WINDOW_MS)
    live = reference_join(small_rule(), CODEC, log.records).examples
    offline = OfflineJoin(small_rule(), CODEC)
    decisions = offline.decisions([record for record in log.records if record.key])
    verdicts = [offline.join(decision) for decision in decisions]
    assert {one.decision: one.value for one in verdicts if isinstance(one, OfflineExample)} == live
    assert len(live) == len(uses)


def test_lateness_and_the_cap_mean_nothing() -> None:
    log = EventLog()
    log.heartbeat(10_000)
    log.decision("a", 100)
    log.engagement("a", 100 + SAVE_MS, kind="save", value=4.0)
    content = example([record for record in log.records if record.key])
    assert content["outcome"]["objectives"][1] == {
        "objective": "save",
        "count": 4.0,
        "reward": 2.5,
        "observed": True,
    }
    outcome = content["outcome"]
    assert (outcome["closed_early"], outcome["window_closed_at"], outcome["offset"]) == (False, 100 + WINDOW_MS, 1)


def test_the_first_of_each_counts_and_the_ranking_may_be_there() -> None:
    log = EventLog()
    log.action("a", 100, arm=1)
    log.action("a", 100, arm=2)
    log.request("a", 100)
    log.propensity("a", 100, propensity=1.5)
    log.propensity("a", 100, propensity=0.5)
    log.ranking("a", 101)
    for value in (1.0, 7.0):
        log.engagement("a", 110, engagement_id="e", value=value)
    content = example(log.records[::-1])
    assert (content["action"]["arm"], content["propensity"]["propensity"]) == (1, 0.5)
    assert content["ranking"]["ranker_version"] == "r1"
    assert content["outcome"]["objectives"][0]["count"] == 1.0


def test_what_is_still_missing_is_named_with_the_present_reason() -> None:
    log = EventLog()
    log.request("a", 100)
    assert unmended(log.records) == Unresolved(Fate.INCOMPLETE, "no valid Action and no valid Propensity")
    log.action("a", 100)
    log.propensity("a", 100, propensity=1.5)
    refused = unmended(log.records)
    assert refused.reason == Fate.MALFORMED
    assert refused.detail == "no valid Propensity; offset 2: propensity = 1.5 is outside (0, 1]"
    assert unmended(log.records[1:2]).reason == Fate.ORPHAN
    gone = unmended(log.records[:2], "offset 2: its value is nowhere")
    assert gone == Unresolved(Fate.MALFORMED, "no valid Propensity; offset 2: its value is nowhere")
    assert unmended([]).reason == Fate.ORPHAN


@pytest.mark.parametrize(("ahead", "counts"), [(SKEW_MS, True), (SKEW_MS + 1, False)])
def test_a_record_from_the_future_never_counts(ahead: int, counts: bool) -> None:
    log = EventLog()
    log.decision("a", 100)
    log.records[0] = EventLog().request("a", 100 + ahead, append_time=100)
    if counts:
        assert isinstance(join(log.records), OfflineExample)
    else:
        assert unmended(log.records).reason == Fate.FUTURE


def test_the_window_is_the_rules() -> None:
    assert OfflineJoin(small_rule(), CODEC).window_ms == WINDOW_MS


def test_what_a_join_of_the_release_before_refused_is_joined_after_the_upgrade() -> None:
    """Producers were upgraded first: their parts are dead letters with their bytes, and the replay has all it needs."""
    log = EventLog()
    for number in range(20):
        log.decision(f"d{number}", number)
        log.engagement(f"d{number}", number + 5)
    log.request("previous", 20, previous=[{"event_time": 5, "weights": [2.0]}])
    log.action("previous", 20)
    log.propensity("previous", 20, exploration="digest")
    log.engagement("previous", 25)
    log.heartbeat(10_000)
    before = Codec(Registry(entry for entry in BUNDLED.entries() if entry.version == 1))
    refused = reference_join(small_rule(), before, log.records)
    assert refused.examples == {}
    letters = [record for record in log.records if refused.fates[0, record.offset] in (Fate.MALFORMED, Fate.ORPHAN)]
    assert len(letters) == len(log.records) - 1, "everything but the heartbeat"

    live = reference_join(small_rule(), CODEC, log.records)
    again: dict[bytes | None, list[LogRecord]] = defaultdict(list)
    for record in letters:
        again[record.key].append(record)
    verdicts = [join(records) for records in again.values()]
    assert [verdict.value for verdict in verdicts if isinstance(verdict, OfflineExample)] == [*live.examples.values()]
    assert len(live.examples) == 21
    last = CODEC.decode([*live.examples.values()][-1]).record
    assert (last["request"]["previous"], last["propensity"]["exploration"]) == (
        [{"event_time": 5, "weights": [2.0]}],
        "digest",
    )
