"""A second copy of a part is judged by its content: what it says in the newest schema, not how it was written."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import pytest

from event_schemas import records as r
from stream_processors.partition.partition_join import PartitionJoin
from stream_processors.rule.fates import Fate
from stream_processors.rule.reference_join import reference_join
from tests.stream_processors.event_log import CODEC, WINDOW_MS, WRITERS, EventLog, small_rule
from tests.stream_processors.join_runs import assert_as_reference, columns_beyond, process, reasons

OTHERWISE: dict[str, dict[str, Any]] = {
    "request": {"previous": [{"event_time": 1, "weights": [2.0]}]},
    "action": {"shadow_weights": [2.0]},
    "propensity": {"exploration": "d"},
    "ranking": {"served": []},
}
"""For each part, a field with other content: of the newest version where that has fields of its own."""


def fates(log: EventLog, chunk: int, columns: bool) -> dict[int, str]:
    """The fate of each event that is no part of an example, as the join and the reference both say."""
    with columns_beyond(0 if columns else sys.maxsize):
        join = PartitionJoin(small_rule(), CODEC, 0)
        steps = [process(join, log.records[at : at + chunk]) for at in range(0, len(log.records), chunk)]
    emissions, counts = [emission for step in steps for emission in step.emissions], Counter[Fate]()
    for step in steps:
        counts.update(step.fates)
    reference = reference_join(small_rule(), CODEC, log.records)
    assert_as_reference(reference, emissions, counts)
    return {offset: str(fate) for (_, offset), fate in reference.fates.items() if fate != Fate.JOINED}


@pytest.mark.parametrize("part", OTHERWISE)
@pytest.mark.parametrize("second", WRITERS)
@pytest.mark.parametrize("first", WRITERS)
def test_the_same_content_is_a_duplicate_and_other_content_a_conflict(part: str, first: str, second: str) -> None:
    log = EventLog()
    for name in ("request", "action", "propensity", "ranking"):
        getattr(log, name)("a", 100, version=first if name == part else "newest")
    getattr(log, part)("a", 100, version=second)  # 4
    getattr(log, part)("a", 100, **OTHERWISE[part])  # 5
    log.request("b", 100)
    log.heartbeat(100 + WINDOW_MS)
    for chunk in (1, 4, 8):
        for columns in (False, True):
            found = fates(log, chunk, columns)
            assert found == {4: "duplicate", 5: "conflict", 6: "incomplete"}, (chunk, columns)


@pytest.mark.parametrize("version", ["first", "reordered"])
def test_content_that_an_older_version_cannot_say_makes_its_copy_a_conflict(version: str) -> None:
    log = EventLog()
    log.request("a", 100)
    log.action("a", 100, shadow_weights=[2.0])
    log.action("a", 100, shadow_weights=[2.0], version=version)
    expected = {"first": "conflict", "reordered": "duplicate"}[version]
    assert fates(log, 3, columns=True) == {0: r.PENDING, 1: r.PENDING, 2: expected}


def test_dead_letters_hold_copies_as_they_came() -> None:
    log = EventLog()
    log.action("a", 100)
    copy = log.action("a", 100, arm=1, version="first")
    result = process(PartitionJoin(small_rule(), CODEC, 0), log.records)
    assert reasons(result) == {1: Fate.CONFLICT}
    (letter,) = result.emissions
    assert CODEC.decode(letter.value).record["value"] == copy.value
