"""A replay writes every row once, in event-time order, and closes the log only when all of it arrived."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schemas.codec import Codec
from event_schemas.registry import Registry
from producers.delivery.memory_log import MemoryLog
from producers.delivery.outgoing_event import OutgoingEvent
from producers.replay.column_mapping import MappingError, load_mapping
from producers.replay.log_rows import LogRow, LogRows, read_rows
from producers.replay.replay_run import (
    HistoryUnderLiveClock,
    NothingReplayed,
    ReplayIncomplete,
    ReplayPlan,
    ReplaySummary,
    replay_rows,
)
from tests.producers.replay_samples import EXPERIMENT, MAPPING, START, row, shelf_experiment, write_log

CODEC = Codec(Registry.bundled())
WINDOW_MS = 65 * 60_000


def prepare(
    folder: Path, values: list[dict[str, Any]], mapping: str = MAPPING, experiment: str = EXPERIMENT
) -> tuple[LogRows, ReplayPlan]:
    mapping_file = folder / "mapping.toml"
    mapping_file.write_text(mapping, encoding="utf-8")
    columns = load_mapping(mapping_file)
    rows = read_rows(write_log(folder / "log.jsonl", values), columns)
    shelf = shelf_experiment(folder, experiment)
    return rows, ReplayPlan(columns, shelf, CODEC, rows.file, "events", "dead-letters", 2)


def sent(log: MemoryLog) -> list[tuple[str, dict[str, Any]]]:
    return [(entry.name, entry.record) for entry in (CODEC.decode(record.value) for record in log.records("events"))]


def test_history_is_not_replayed_to_a_join_that_follows_the_wall_clock(tmp_path: Path) -> None:
    live = EXPERIMENT.replace('clock = "replay"', 'clock = "live"')
    log = MemoryLog(partitions=2)
    rows, plan = prepare(tmp_path, [row()], experiment=live)
    with pytest.raises(HistoryUnderLiveClock, match="log begins at"):
        replay_rows(rows, plan, log)
    assert log.records("events") == []
    recent, plan = prepare(tmp_path, [row()], experiment=live)
    assert replay_rows(recent, plan, log, clock=lambda: START + 60_000).decisions == 1


def test_a_row_is_four_events_and_the_log_is_closed(tmp_path: Path) -> None:
    log = MemoryLog(partitions=2)
    rows, plan = prepare(tmp_path, [row(clicks=1, clicked_at=START + 500)])
    summary = replay_rows(rows, plan, log)
    assert Counter(name for name, _ in sent(log)) == {
        "Request": 1,
        "Action": 1,
        "Propensity": 1,
        "Engagement": 1,
        "Heartbeat": 2,
    }
    closing = {record["event_time"] for name, record in sent(log) if name == "Heartbeat"}
    assert closing == {START + 500 + WINDOW_MS + 1}
    assert {r.partition for r in log.records("events") if r.key is None} == {0, 1}
    assert summary.as_dict() | {"bytes": 0} == {
        "decisions": 1,
        "rows": 1,
        "bad_rows": 0,
        "events": {"Action": 1, "Engagement": 1, "Heartbeat": 2, "Propensity": 1, "Request": 1},
        "bytes": 0,
        "undeclared_cohorts": 0,
        "placeholder_users": 0,
        "first_event_time": START,
        "last_event_time": START + 500,
        "handed_in": 6,
        "acknowledged": 6,
        "spooled": 0,
        "dropped": 0,
    }


def test_engagements_come_where_their_time_puts_them(tmp_path: Path) -> None:
    log = MemoryLog(partitions=1)
    rows, plan = prepare(
        tmp_path,
        [
            row(when=START, clicks=1, clicked_at=START + 9_000),
            row(when=START + 1_000, clicks=1, clicked_at=START + 3_000),
            row(when=START + 5_000),
        ],
    )
    replay_rows(rows, ReplayPlan(**{**vars(plan), "partitions": 1}), log)
    times = [record["event_time"] for _, record in sent(log)]
    assert times == sorted(times)
    engaged = [record["request_id"] for name, record in sent(log) if name == "Engagement"]
    assert engaged == ["log-1", "log-0"]


def test_bad_rows_become_dead_letters_and_never_stop_it(tmp_path: Path) -> None:
    log = MemoryLog(partitions=2)
    rows, plan = prepare(tmp_path, [row(p=0), row(), row(item="z", when=START + 1), row(when=None)])
    summary = replay_rows(rows, plan, log)
    assert (summary.rows, summary.decisions, summary.bad_rows) == (4, 1, 3)
    letters = {r["offset"]: r for r in (CODEC.decode(x.value).record for x in log.records("dead-letters"))}
    assert set(letters) == {0, 2, 3}
    assert letters[0]["reason"] == "malformed"
    assert letters[0]["detail"].startswith("row 0 of log: p = 0 is not in (0, 1]")
    assert (letters[0]["topic"], letters[0]["key"], letters[0]["event_time"]) == ("log", b"log-0", START)
    assert json.loads(letters[0]["value"]) == row(p=0)
    assert letters[3]["event_time"] is None


def test_hostile_rows_become_letters_that_fit(tmp_path: Path) -> None:
    log = MemoryLog(partitions=1)
    _, plan = prepare(tmp_path, [row()], mapping=MAPPING.replace("{file}-{row}", "{user}"))
    users = ("\ud800", "x" * 2_000_000)
    rows = [LogRow(number, START, {**row(p=0, user=user), "broken": "\udfff"}) for number, user in enumerate(users)]
    assert replay_rows(rows, plan, log).bad_rows == 2
    letters = [CODEC.decode(record.value).record for record in log.records("dead-letters")]
    assert [letter["request_id"] for letter in letters] == [None, None]
    assert all(len(record.value or b"") < 1_000_000 for record in log.records("dead-letters"))
    assert "value of" in letters[1]["detail"]


def test_a_second_replay_writes_the_same_bytes(tmp_path: Path) -> None:
    values = [row(when=START + n, clicks=n % 2, clicked_at=START + n + 5) for n in range(20)]
    logs = [MemoryLog(partitions=2), MemoryLog(partitions=2)]
    for log in logs:
        rows, plan = prepare(tmp_path, values)
        replay_rows(rows, plan, log)
    first, second = ([(r.key, r.value) for r in log.records("events")] for log in logs)
    assert first == second


class LossyLog(MemoryLog):
    """A broker that never accepts the records of one key."""

    def send(self, event: OutgoingEvent) -> None:
        if event.key == b"log-1":
            self.reject(event.record)
        else:
            super().send(event)


def test_a_log_that_did_not_arrive_is_not_closed(tmp_path: Path) -> None:
    log = LossyLog(partitions=2)
    rows, plan = prepare(tmp_path, [row(), row(when=START + 1)])
    with pytest.raises(ReplayIncomplete, match="3 of 6 events were not acknowledged"):
        replay_rows(rows, plan, log)
    assert "Heartbeat" not in {name for name, _ in sent(log)}


def test_an_unfit_mapping_sends_nothing(tmp_path: Path) -> None:
    log = MemoryLog()
    rows, plan = prepare(tmp_path, [row()], MAPPING.replace('surface = "surface"', ""))
    with pytest.raises(MappingError):
        replay_rows(rows, plan, log)
    assert log.counts().handed_in == 0


def test_a_log_of_bad_rows_only_has_nothing_to_close(tmp_path: Path) -> None:
    log = MemoryLog()
    rows, plan = prepare(tmp_path, [row(p=2)])
    summary = replay_rows(rows, plan, log)
    assert (summary.last_event_time, log.records("events")) == (None, [])
    with pytest.raises(NothingReplayed) as refused:
        summary.require_decisions("log.jsonl")
    assert refused.value.what == "the only row is not a decision; row 0 of log: p = 2 is not in (0, 1]"
    assert refused.value.fix.startswith("log the probability of the chosen arm; then replay")


def test_a_log_without_rows_is_told_of(tmp_path: Path) -> None:
    (path := tmp_path / "log.csv").write_text(",".join(row()) + "\n\n", encoding="utf-8")
    _, plan = prepare(tmp_path, [row()])
    summary = replay_rows(read_rows(path, plan.mapping), plan, MemoryLog())
    with pytest.raises(NothingReplayed, match=r"^log.csv: has no rows \| fix: give a log"):
        summary.require_decisions("log.csv")


@given(st.lists(st.booleans(), max_size=12))
def test_a_replay_succeeds_when_a_row_is_good(good: list[bool]) -> None:
    summary = ReplaySummary(rows=len(good), decisions=sum(good), bad_rows=len(good) - sum(good))
    try:
        summary.require_decisions("log")
        succeeded = True
    except NothingReplayed:
        succeeded = False
    assert succeeded == any(good)


class SlowReader:
    """A pacer that notes how often it was asked, and with what."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def wait(self, sent_bytes: int, sent_events: int) -> None:
        self.asked.append((sent_bytes, sent_events))


def test_it_paces_and_reports_as_it_goes(tmp_path: Path) -> None:
    rows, plan = prepare(tmp_path, [row(when=START + n) for n in range(450)])
    pacer, seen = SlowReader(), []

    def note(summary: ReplaySummary) -> None:
        seen.append(summary.rows)

    summary = replay_rows(rows, plan, MemoryLog(partitions=2), pacer=pacer, progress=note)
    assert seen == [200, 400, 450]
    assert [events for _, events in pacer.asked] == [600, 1_200]
    assert pacer.asked[-1][0] < summary.bytes


def test_rows_that_no_event_can_hold_are_bad_rows_and_the_rest_arrives(tmp_path: Path) -> None:
    hostile = [
        row(surface="\ud800"),
        row(user="x" * 600_000),
        row(p=10**400),
        row(when=10**30),
        row(when="9" * 5_000),
        row(p=float("nan")),
        row(clicked_at=10**25, clicks=1),
        row(clicked_at=START, clicks=1),
    ]
    rows, plan = prepare(tmp_path, hostile)
    log = MemoryLog(partitions=2)
    summary = replay_rows(rows, plan, log)
    assert (summary.rows, summary.decisions, summary.bad_rows) == (8, 1, 7)
    letters = [CODEC.decode(record.value).record for record in log.records("dead-letters")]
    assert sorted(letter["offset"] for letter in letters) == [0, 1, 2, 3, 4, 5, 6]
    assert {record["request_id"] for name, record in sent(log) if name != "Heartbeat"} == {"log-7"}


def test_a_time_in_the_future_does_not_keep_the_windows_open(tmp_path: Path) -> None:
    ahead = 50 * 365 * 86_400_000
    rows, plan = prepare(tmp_path, [row(), row(when=START + ahead)])
    log = MemoryLog(partitions=2)
    summary = replay_rows(rows, plan, log, clock=lambda: START + WINDOW_MS * 10)
    assert summary.last_event_time == START + ahead
    closing = [record["event_time"] for name, record in sent(log) if name == "Heartbeat"]
    assert closing == [START + WINDOW_MS + 1] * 2


def test_windows_that_end_in_the_future_stay_open(tmp_path: Path) -> None:
    rows, plan = prepare(tmp_path, [row()])
    log = MemoryLog(partitions=2)
    replay_rows(rows, plan, log, clock=lambda: START + 1_000)
    latest = START + 1_000 + plan.experiment.join.max_future_skew
    assert [record["event_time"] for name, record in sent(log) if name == "Heartbeat"] == [latest] * 2
