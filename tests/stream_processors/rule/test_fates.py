"""Fates: the contract's list, and which of them leave a dead letter."""

from __future__ import annotations

from event_schemas.records import FATES
from stream_processors.rule.fates import SILENT, Fate


def test_fates_are_those_of_the_contract() -> None:
    assert tuple(fate.value for fate in Fate) == FATES


def test_all_but_joined_duplicate_and_outside_leave_a_dead_letter() -> None:
    assert {"joined", "duplicate", "outside"} == SILENT
