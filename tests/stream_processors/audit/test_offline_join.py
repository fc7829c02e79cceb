"""The offline join: the live join's bytes where all was on time, and an example where only time was against it."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_schemas import records as r
from event_schemas.log_record import LogRecord
from stream_processors.audit.offline_decisions import Unresolved
from stream_processors.audit.offline_join import OfflineExample, OfflineJoin
from stream_processors.rule.fates import Fate
from stream_processors.rule.reference_join import reference_join
from tests.stream_processors.event_log import CODEC, SAVE_MS, SKEW_MS, WINDOW_MS, EventLog, small_rule
from tests.stream_processors.event_strategies import Move, histories, written

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
        if set(fates) <= ON_TIME and _generations(records, fates) == 1:
            order.shuffle(records)  # type: ignore[attr-defined]  # a random.Random
            verdict = join(records)
            assert isinstance(verdict, OfflineExample)
            assert verdict.value == value
            assert (verdict.partition, verdict.key) == (0, request_id.encode())


def _generations(records: list[LogRecord], fates: list[str]) -> int:
    """How often the identifier was used: a request that joins again belongs to another decision."""
    joined = [record for record, fate in zip(records, fates, strict=True) if fate == Fate.JOINED]
    return sum(CODEC.decode(record.value).name == r.REQUEST for record in joined)


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
