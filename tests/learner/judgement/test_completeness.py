"""Counted decisions against stored ones: what is missing or too many, where, and where nobody can tell."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from event_schemas.units import DAY_MS, HOUR_MS
from learner.examples.slice_tallies import ArmDay, SliceTallies, SpanDay, SpanTotal
from learner.examples.stored_counts import StoredCounts
from learner.judgement.completeness import CountedLog, Pair
from learner.judgement.gate import UNSOUND_P_VALUE

DAYS, ARMS, PER_CELL = 5, 4, 100
NAMES = ("a", "b", "c", "production")
Cells = dict[ArmDay, int]


def cells() -> Cells:
    return {ArmDay(day, "EXPLORE", arm): PER_CELL for day in range(DAYS) for arm in range(ARMS)}


def counted(kept: Cells, tallied: Cells | None = None, **changes: object) -> CountedLog:
    """A log of five days that ends with the last one; all of it is judged."""
    arms = cells() if tallied is None else tallied
    found = Counter[int]()
    for key, count in arms.items():
        found[key.day] += count
    spans = {
        SpanDay("d" * 64, day): SpanTotal(day * DAY_MS, (day + 1) * DAY_MS - 1, n, n, n / 2, n)
        for day, n in found.items()
    }
    tallies = SliceTallies({"EXPLORE": sum(arms.values())}, {}, arms, spans)
    end = DAYS * DAY_MS - 1
    judged = dict.fromkeys(range(DAYS), 100)
    log = CountedLog(tallies, StoredCounts(kept, {}, 0, end, end), judged, range(DAYS), HOUR_MS)
    return replace(log, **changes)  # type: ignore[arg-type]


def compared(log: CountedLog, design_effect: float = 1.0) -> tuple[float, str, str]:
    """(p-value, what was found, doubt)"""
    found = log.compared(design_effect, NAMES)
    return (1.0, "", found.doubt) if found.part is None else (found.part.p_value, found.part.detail, found.doubt)


def thinned(share: float, seed: int = 0, arms: range = range(ARMS)) -> Cells:
    """The cells with this share of the decisions of some arms."""
    rng = np.random.default_rng(seed)
    return {key: int(rng.binomial(n, share)) if key.arm in arms else n for key, n in cells().items()}


def test_all_that_was_counted_is_stored() -> None:
    assert compared(counted(cells())) == (1.0, "2000 of 2000 counted decisions are stored", "")


def test_ordinary_loss_is_no_fault_of_the_log_or_the_tallies() -> None:
    lossy = [compared(counted(thinned(0.98, seed))) for seed in range(300)]
    untold = [compared(counted(cells(), thinned(0.98, seed))) for seed in range(300)]
    assert min(p_value for p_value, _, _ in (*lossy, *untold)) > UNSOUND_P_VALUE
    assert all(doubt == "" for _, _, doubt in lossy)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda stored: thinned(0.8), "over all compared days, EXPLORE: "),
        (lambda stored: thinned(0.6, arms=range(2, 3)), "over all compared days, EXPLORE, arm c: "),
        (lambda stored: stored | {ArmDay(2, "EXPLORE", 1): 50}, "on 1970-01-03, EXPLORE, arm b: 50 of 100 counted"),
        (lambda stored: {k: n for k, n in stored.items() if k.day != 1}, "on 1970-01-02, EXPLORE: 400 of 400 counted"),
        (lambda stored: {k: n * 6 // 5 for k, n in stored.items()}, "2400 decisions are stored, but 2000 were counted"),
        (lambda stored: stored | {ArmDay(4, "CONTROL", 3): 30}, "CONTROL: 30 decisions are stored, but 0 were counted"),
    ],
)
def test_what_is_missing_or_too_many_is_found_where_it_is(change, told: str) -> None:  # type: ignore[no-untyped-def]
    p_value, detail, _ = compared(counted(change(cells())))
    assert p_value < UNSOUND_P_VALUE
    assert told in detail


def test_units_that_are_lost_together_are_weaker_evidence() -> None:
    by_request, by_session = (compared(counted(thinned(0.95)), effect)[0] for effect in (1.0, 5.0))
    assert by_request < UNSOUND_P_VALUE < by_session
    assert Pair(100, 100).p_value(3.0) == 1.0


def test_a_day_whose_end_may_still_come_lacks_nothing_yet_but_may_have_too_many() -> None:
    """Half of today is stored: the tallies go on to midnight."""
    half = {key: n // 2 if key.day == DAYS - 1 else n for key, n in cells().items()}
    noon = DAYS * DAY_MS - DAY_MS // 2
    open_today = StoredCounts(half, {}, 0, noon, noon)
    assert compared(counted(half, stored=open_today)) == (1.0, "1600 of 1600 counted decisions are stored", "")
    slow = replace(open_today, closed_to=noon - DAY_MS)
    assert compared(counted(half, stored=slow))[0] == 1.0
    doubled = replace(open_today, arms={key: 2 * n if key.day == DAYS - 1 else n for key, n in cells().items()})
    assert compared(counted(half, stored=doubled))[0] < UNSOUND_P_VALUE
    deleted = {key: n // 2 if key.day == 0 else n for key, n in cells().items()}
    assert compared(counted(deleted, stored=StoredCounts(deleted, {}, DAY_MS // 2, noon, noon)))[0] == 1.0


def test_a_log_of_one_day_that_lacks_nothing_is_complete_and_another_is_not_known_to_be() -> None:
    today = {key: n for key, n in cells().items() if key.day == 0}
    stored = StoredCounts(today, {}, DAY_MS // 2, DAY_MS // 2, DAY_MS // 2)
    assert compared(counted(today, today, stored=stored, judged={0: 9}))[2] == ""
    half = replace(stored, arms={key: n // 2 for key, n in today.items()})
    p_value, _, doubt = compared(counted(today, today, stored=half, judged={0: 9}))
    assert p_value == 1.0 and doubt.startswith("only 0 of 9 judged rows are on days")


def test_without_tallies_of_their_days_rows_are_not_compared() -> None:
    nothing = counted(cells(), tallies=SliceTallies({}))
    assert compared(nothing)[0] == 1.0 and "without tallies" in compared(nothing)[2]
    few = {key: n for key, n in cells().items() if key.day < 2}
    assert "only 200 of 500 judged rows" in compared(counted(cells(), few))[2]
    known = counted(cells()).tallies
    for undated in (replace(known, undated_until=2 * DAY_MS), replace(known, kept_from=2 * DAY_MS)):
        assert "only 200 of 500" in compared(counted(cells(), tallies=undated))[2]
    version_1 = SliceTallies({"EXPLORE": 9}, undated_until=99 * DAY_MS)
    assert "only 0 of 500" in compared(counted(cells(), tallies=version_1))[2]


def test_examples_that_came_after_the_tallies_were_read_are_not_too_many() -> None:
    doubled = {key: 2 * n if key.day == DAYS - 1 else n for key, n in cells().items()}
    assert compared(counted(doubled))[0] < UNSOUND_P_VALUE
    assert compared(counted(doubled, known_to=DAYS * DAY_MS - HOUR_MS)) == (
        1.0,
        "1600 of 1600 counted decisions are stored",
        "",
    )


def test_only_days_of_the_window_are_compared() -> None:
    missing = {key: 0 if key.day == 0 else n for key, n in cells().items()}
    assert compared(counted(missing, days=range(1, DAYS)))[0] == 1.0
