"""Sessions and days of users in stored examples, and that their sums over a sampled log are unbiased."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from event_schemas.experiment_sections import ObjectiveSpec, Per
from event_schemas.exploration import ExplorationDraws, ExplorationSettings
from event_schemas.exploration_units import LogUnit, unit_of
from event_schemas.slices import Slice
from event_schemas.units import DAY_MS
from event_schemas.user_ids import person
from learner.examples.counting_units import LEFT_OUT, CountingUnits, counting_units
from learner.examples.row_settings import RowSettings
from tests.box_samples import box_experiment

START = 1_764_000_000_000 // DAY_MS * DAY_MS
VISITS = ObjectiveSpec(name="visits", kinds=("visit",), attribution=60_000, clip=2.0, role="guardrail")
BOX = box_experiment()
PLAIN = BOX.exploration


def logged(unit: LogUnit, rate: float = 1.0) -> ExplorationSettings:
    """Settings with this log unit; sessions explore together."""
    return replace(PLAIN, log_unit=None if unit == PLAIN.unit else unit, log_rate=rate)


def row(
    request_id: str,
    user_id: str | None = "u",
    session_id: str | None = None,
    *,
    at: int = 0,
    count: float = 1.0,
    by: ExplorationSettings | None = None,
    **fields: Any,
) -> dict[str, Any]:
    by = logged("user") if by is None else by
    visits = {"objective": "visits", "count": count, "reward": min(count, VISITS.clip), "observed": True}
    return {
        "request_request_id": request_id,
        "request_user_id": user_id,
        "request_session_id": session_id,
        "request_event_time": START + at,
        "action_slice": "POLICY",
        "propensity_sampling_rate": by.log_rate,
        "propensity_exploration": by.digest,
        "outcome_objectives": [visits],
        "by": by,
    } | fields


def units_of(rows: list[dict[str, Any]], per: Per) -> tuple[pl.DataFrame, CountingUnits]:
    kept = {each["by"].digest: each["by"] for each in rows}
    text = dict.fromkeys(("request_user_id", "request_session_id", "propensity_exploration"), pl.String)
    frame = pl.DataFrame([{k: v for k, v in each.items() if k != "by"} for each in rows], schema_overrides=text)
    return frame, counting_units(frame, per, RowSettings.of(frame, BOX, kept))


def numbers(rows: list[dict[str, Any]], per: Per) -> list[int]:
    found: list[int] = units_of(rows, per)[1].numbers.tolist()
    return found


def test_every_request_is_a_unit_whatever_it_was_logged_by() -> None:
    frame, units = units_of([row("a"), row("b", by=logged("request", 0.1)), row("c", "null")], "request")
    assert units.numbers.tolist() == [0, 1, 2]
    assert units.rates.tolist() == [1.0, 0.1, 1.0]
    assert units.outcomes(frame, VISITS)[0].tolist() == [1.0, 1.0, 1.0]


def test_a_session_logged_by_session_is_what_the_id_names() -> None:
    by = logged("session")
    rows = [
        row("s~1", by=by),
        row("s~2", "v", by=by),
        row("s~3", None, by=by),
        row("t~1", by=by),
        row("x", "u", "s", by=by),
        row("null~1", "u", "s", by=by),
    ]
    assert numbers(rows, "session") == [0, 0, 0, 1, 2, 3], "a session_id that no id names has no coin of its own"


def test_a_session_logged_by_user_is_one_user_s() -> None:
    rows = [
        row("s~1"),
        row("s~2"),
        row("s~3", "v"),
        row("x", session_id="s"),
        row("y", session_id="t"),
        row("z", session_id="t"),
        row("w", "v", "t"),
        row("alone"),
        row("also", session_id="null"),
    ]
    assert numbers(rows, "session") == [0, 0, 1, 0, 2, 2, 3, 4, 5]


@pytest.mark.parametrize(("unit", "expected"), [("request", [0, 1, 2]), ("session", [0, 0, 1])])
def test_without_a_user_a_session_is_what_explores_together(unit: Any, expected: list[int]) -> None:
    by = replace(PLAIN, unit=unit, log_unit="user", log_rate=1.0)
    rows = [row("s~1", None, "s", by=by), row("s~2", "null", "s", by=by), row("x", None, "s", by=by)]
    assert numbers(rows, "session") == expected


def test_a_user_s_day_is_a_utc_day_of_the_request() -> None:
    rows = [
        row("a"),
        row("b", at=DAY_MS - 1),
        row("c", at=DAY_MS),
        row("d", "v"),
        row("e", None),
        row("f", "unknown"),
        row("g", at=-1),
    ]
    assert numbers(rows, "user-day") == [0, 0, 1, 2, LEFT_OUT, LEFT_OUT, 3]


@pytest.mark.parametrize("per", ["session", "user-day"])
def test_rows_that_the_log_does_not_keep_together_are_left_out(per: Per) -> None:
    lost = row("s~2") | {"propensity_exploration": "nobody kept it"}
    assert numbers([row("s~1", by=logged("request")), lost, row("s~3")], per) == [LEFT_OUT, LEFT_OUT, 0]
    by_session = numbers([row("s~1", by=logged("session"))], per)
    assert by_session == [0 if per == "session" else LEFT_OUT]


def test_what_is_always_logged_counts_only_where_the_coin_logs_the_rest() -> None:
    by = logged("user", 0.3)
    draws = ExplorationDraws(BOX.action_space, by)
    users = [f"u{number}" for number in range(200)]
    whole = [draws.sampling("r", "POLICY", user).logged for user in users]  # type: ignore[arg-type]
    rows = [row(f"r{user}", user, by=by, action_slice="EXPLORE", propensity_sampling_rate=1.0) for user in users]
    rows += [row(f"p{user}", user, by=by) for user, kept in zip(users, whole, strict=True) if kept]
    frame, units = units_of(rows, "user-day")
    assert (units.numbers[:200] != LEFT_OUT).tolist() == whole
    assert len(units) == sum(whole) and set(units.rates.tolist()) == {0.3}
    assert set(units.outcomes(frame, VISITS)[0].tolist()) == {2.0}


def test_outcomes_are_sums_up_to_the_clip_and_unobserved_if_any_row_is() -> None:
    unknown = {"objective": "visits", "count": 1.0, "reward": 1.0, "observed": False}
    rows = [
        row("a", count=0.5),
        row("b", count=0.7),
        row("c", "v", count=1.5),
        row("d", "v", count=9.0),
        row("e", "w"),
        row("f", "w", outcome_objectives=[unknown]),
        row("g", "x", count=float("nan")),
        row("h", "y", count=-1.0),
        row("i", "z", outcome_objectives=[{**unknown, "objective": "other"}]),
        row("j", None, count=5.0),
    ]
    frame, units = units_of(rows, "user-day")
    outcomes, observed = units.outcomes(frame, VISITS)
    assert outcomes.tolist() == [1.2, 2.0, 0.0, 0.0, 0.0, 0.0]
    assert observed.tolist() == [True, True, False, False, False, False]


def test_where_the_log_rate_changed_the_requests_at_the_highest_rate_count() -> None:
    by = logged("user", 0.5)
    raised = by.with_log_rate(0.8)
    days = [row("a", by=raised), row("b", by=by), row("c", "early", by=by), row("d", by=raised)]
    frame, units = units_of(days, "user-day")
    assert units.numbers.tolist() == [0, LEFT_OUT, 1, 0]
    assert units.rates.tolist() == [0.8, 0.5]
    assert units.outcomes(frame, VISITS)[0].tolist() == [2.0, 1.0]


def test_a_rate_that_is_raised_at_noon_gives_no_day_more_weight_than_another() -> None:
    """500 users with a visit in the morning, logged at 0.05, and one in the afternoon, logged at 1."""
    by = logged("user", 0.05)
    morning, afternoon = (ExplorationDraws(BOX.action_space, each) for each in (by, by.with_log_rate(1.0)))
    rows = []
    for number in range(500):
        user = f"u{number}"
        if morning.sampling(f"m{number}", Slice.POLICY, user).logged:
            rows.append(row(f"m{number}", user, by=by))
        assert afternoon.sampling(f"a{number}", Slice.POLICY, user).logged
        rows.append(row(f"a{number}", user, at=DAY_MS // 2, by=by.with_log_rate(1.0)))
    assert len(rows) > 510
    frame, units = units_of(rows, "user-day")
    assert float((1.0 / units.rates).sum()) == 500.0
    assert float((units.outcomes(frame, VISITS)[0] / units.rates).sum()) == 500.0


ODD = ["null", " NULL\x1c", "\u00a0Undefined\u2003", "0", "", " ", "\u212aim", "s\n", "s~\n", "nu ll"]


def test_columns_follow_the_rules_of_single_ids() -> None:
    ids = [*ODD, *(f"{each}~{end}" for each in ODD for end in ("", "1", "null", "a\n", "~"))]
    by = logged("session")
    named = [unit_of(each, "session") for each in ids]
    places = {name: place for place, name in enumerate(dict.fromkeys(named))}
    assert numbers([row(each, by=by) for each in ids], "session") == [places[name] for name in named]
    people = [person(each) for each in ODD]
    found = numbers([row(f"r{place}", each) for place, each in enumerate(ODD)], "user-day")
    assert [each == LEFT_OUT for each in found] == [each is None for each in people]


def test_no_rows_have_no_units() -> None:
    frame, units = units_of([row("a", None)], "user-day")
    outcomes, observed = units.outcomes(frame, VISITS)
    assert (len(units), outcomes.tolist(), observed.tolist()) == (0, [], [])


def test_sums_over_a_log_by_user_are_unbiased_and_by_request_they_are_not() -> None:
    """The estimate is Σ min(Σ counts, 2) / rate over 2,000 users with 6 visits in a day: 4,000 is true."""
    true, rate, errors = 4_000.0, 0.1, {"user": list[float](), "request": list[float]()}
    for salt in range(20):
        for unit in errors:
            by = replace(logged(unit, rate), salt=f"salt {salt}")  # type: ignore[arg-type]
            draws = ExplorationDraws(BOX.action_space, by)
            sums: dict[str, float] = {}
            for number in range(12_000):
                user = f"u{number % 2_000}"
                if draws.sampling(f"r{number}", "POLICY", user).logged:  # type: ignore[arg-type]
                    sums[user] = sums.get(user, 0.0) + 1.0
            errors[unit].append(sum(min(each, 2.0) for each in sums.values()) / rate / true - 1)
    spread = np.std(errors["user"]) / np.sqrt(20)
    assert abs(np.mean(errors["user"])) < 4 * spread < 0.1
    assert np.mean(errors["request"]) > 1.5, "most days seem to have one visit, and each counts ten times"
