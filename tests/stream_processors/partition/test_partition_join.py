"""The join: each rule by itself."""

from __future__ import annotations

from stream_processors.rule.fates import Fate
from tests.stream_processors.event_log import CLICK_MS, CODEC, SKEW_MS, TOPIC, WINDOW_MS, EventLog
from tests.stream_processors.join_runs import example, joined, reasons


def test_a_complete_decision_without_engagement_gives_one_example_with_zero_rewards() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.heartbeat(100 + WINDOW_MS)
    result = joined(log)
    (emission,) = result.emissions
    assert (emission.key, emission.request_id, emission.source_offset, emission.reason) == (b"a", "a", 0, None)
    assert example(emission)["outcome"] == {
        "objectives": [
            {"objective": "click", "count": 0.0, "reward": 0.0, "observed": True},
            {"objective": "save", "count": 0.0, "reward": 0.0, "observed": True},
        ],
        "closed_early": False,
        "window_closed_at": 100 + WINDOW_MS,
        "partition": 0,
        "offset": 0,
    }
    assert example(emission)["ranking"] is None
    assert result.fates == {Fate.JOINED: 4}
    assert result.examples == 1


def test_rewards_are_sums_clipped_inside_each_objectives_window() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.ranking("a", 100)
    for number, (kind, delay, value) in enumerate(
        [("click", 0, 1.0), ("click", CLICK_MS, 1.0), ("click", CLICK_MS + 1, 1.0), ("tap", CLICK_MS + 1, 2.0)]
    ):
        log.engagement("a", 100 + delay, kind=kind, value=value, engagement_id=f"e{number}")
    log.heartbeat(1000)
    result = joined(log)
    content = example(result.emissions[0])
    objectives = {o["objective"]: (o["count"], o["reward"]) for o in content["outcome"]["objectives"]}
    assert objectives == {"click": (2.0, 1.0), "save": (2.0, 2.0)}
    assert content["ranking"]["ranker_version"] == "r1"
    assert result.fates == {Fate.JOINED: 8, Fate.OUTSIDE: 1}


def test_parts_and_engagements_may_come_in_any_order() -> None:
    log = EventLog()
    log.engagement("a", 101)
    log.propensity("a", 100)
    log.action("a", 100)
    log.request("a", 100)
    log.heartbeat(1000)
    (emission,) = joined(log).emissions
    assert example(emission)["outcome"]["objectives"][0]["reward"] == 1.0
    assert emission.source_offset == 3


def test_an_engagement_of_a_kind_no_objective_counts_is_outside() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.engagement("a", 101, kind="hide")
    log.heartbeat(1000)
    assert joined(log).fates == {Fate.JOINED: 4, Fate.OUTSIDE: 1}


def test_an_engagement_before_its_request_is_outside() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.engagement("a", 99)
    log.heartbeat(1000)
    assert joined(log).fates[Fate.OUTSIDE] == 1


def test_a_decision_without_action_or_propensity_is_incomplete_with_its_engagements() -> None:
    log = EventLog()
    log.request("a", 100)
    log.action("a", 100)
    log.engagement("a", 101)
    log.heartbeat(1000)
    result = joined(log)
    assert reasons(result) == {0: Fate.INCOMPLETE, 1: Fate.INCOMPLETE, 2: Fate.INCOMPLETE}
    letter = CODEC.decode(result.emissions[0].value).record
    assert (letter["detail"], letter["value"]) == ("decision closed without Propensity", log.records[0].value)
    assert (letter["topic"], letter["partition"], letter["offset"]) == (TOPIC, 0, 0)
    assert (letter["request_id"], letter["event_time"]) == ("a", 100)


def test_a_dead_letter_of_a_heartbeat_names_no_request() -> None:
    log = EventLog()
    log.heartbeat(5000, append_time=100)
    (emission,) = joined(log).emissions
    assert CODEC.decode(emission.value).record["request_id"] is None


def test_whatever_expires_without_a_request_is_orphan() -> None:
    log = EventLog()
    log.action("a", 100)
    log.propensity("a", 100)
    log.engagement("a", 101)
    log.heartbeat(1000)
    assert set(reasons(joined(log)).values()) == {Fate.ORPHAN}


def test_an_engagement_after_its_decision_closed_is_orphan() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.engagement("a", 130)
    log.heartbeat(100 + WINDOW_MS)
    log.engagement("a", 135)
    assert reasons(joined(log)) == {5: Fate.ORPHAN}


def test_an_engagement_after_its_decision_was_forgotten_is_orphan_once_it_expires() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.heartbeat(100 + WINDOW_MS)
    log.engagement("a", 130)
    assert reasons(joined(log)) == {}
    log.heartbeat(130 + WINDOW_MS)
    assert reasons(joined(log)) == {4: Fate.ORPHAN}


def test_late_is_judged_against_the_watermark_before_the_event_moves_it() -> None:
    log = EventLog()
    log.heartbeat(1000)
    log.request("a", 1000 - WINDOW_MS)
    log.request("b", 1001 - WINDOW_MS)
    log.request("c", 1001)
    result = joined(log)
    assert reasons(result) == {1: Fate.LATE, 2: Fate.INCOMPLETE}


def test_an_event_as_far_ahead_of_its_append_time_as_allowed_may_still_be_late() -> None:
    log = EventLog()
    log.heartbeat(1000)
    log.request("a", 1000 - WINDOW_MS, append_time=1000 - WINDOW_MS - SKEW_MS)
    log.request("b", 1000 - WINDOW_MS, append_time=1000 - WINDOW_MS - SKEW_MS - 1)
    assert reasons(joined(log)) == {1: Fate.LATE, 2: Fate.FUTURE}


def test_the_event_that_closes_a_window_still_counts_in_it() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.engagement("a", 100 + WINDOW_MS, kind="save")
    assert joined(log).fates == {Fate.JOINED: 3, Fate.OUTSIDE: 1}


def test_a_future_event_does_not_move_the_watermark() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.heartbeat(5000, append_time=5000 - SKEW_MS - 1)
    log.request("b", 6000, append_time=100)
    log.heartbeat(100 + SKEW_MS, append_time=100)
    result = joined(log)
    assert reasons(result) == {3: Fate.FUTURE, 4: Fate.FUTURE}
    assert result.fates == {Fate.FUTURE: 2, Fate.JOINED: 1}


def test_one_event_of_the_year_2099_closes_no_window_and_locks_no_morning() -> None:
    log, day = EventLog(), 86_400_000
    log.decision("a", 100)
    log.request("far", 130 * 365 * day, append_time=101)
    log.engagement("a", 102)
    log.heartbeat(150)
    evening = joined(log)
    assert evening.fates == {Fate.FUTURE: 1, Fate.JOINED: 1}
    log.decision("b", day)
    log.engagement("b", day + 1)
    log.heartbeat(day + WINDOW_MS)
    morning = joined(log)
    assert morning.fates == {Fate.FUTURE: 1, Fate.JOINED: 10}
    assert morning.examples == 2


def test_a_live_heartbeat_in_the_middle_of_history_makes_the_rest_late_and_says_so() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.heartbeat(1_000_000)
    log.decision("b", 200)
    result = joined(log)
    assert (result.examples, result.fates) == (1, {Fate.JOINED: 4, Fate.LATE: 3})


def test_duplicates_and_conflicts_leave_the_first() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.append(b"a", log.records[0].value, 100)
    log.action("a", 100, arm=4)
    log.heartbeat(1000)
    result = joined(log)
    assert result.fates == {Fate.JOINED: 4, Fate.DUPLICATE: 1, Fate.CONFLICT: 1}
    assert example(result.emissions[-1])["action"]["arm"] == 2


def test_malformed_events_have_no_effect_but_a_dead_letter() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.append(b"a", b"junk", 5000)
    log.propensity("b", 5000, propensity=1.5)
    result = joined(log)
    assert reasons(result) == {3: Fate.MALFORMED, 4: Fate.MALFORMED}
    assert result.examples == 0
    assert "propensity = 1.5" in CODEC.decode(result.emissions[-1].value).record["detail"]


def test_the_cap_closes_the_oldest_decision_early_and_says_so() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.engagement("a", 101)
    log.decision("b", 100 + CLICK_MS)
    log.engagement("a", 100 + CLICK_MS)
    result = joined(log, cap=1)
    outcome = example(result.emissions[0])["outcome"]
    assert (outcome["closed_early"], outcome["window_closed_at"]) == (True, 100 + CLICK_MS)
    assert [objective["observed"] for objective in outcome["objectives"]] == [True, False]
    assert reasons(result) == {7: Fate.ORPHAN}
