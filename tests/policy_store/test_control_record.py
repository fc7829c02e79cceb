"""The kill switch's record."""

from __future__ import annotations

from policy_store.control_record import CONTROL_SLOT, ControlRecord


def test_the_control_record_says_killed_or_not() -> None:
    for killed in (True, False):
        record = ControlRecord(experiment="homefeed", revision=1, by="ada", killed=killed)
        assert record.slot == CONTROL_SLOT == "control"
        assert ControlRecord.parse(record.canonical()) == record
