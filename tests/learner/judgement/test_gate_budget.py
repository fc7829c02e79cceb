"""When a look is due, what it may spend, and that nothing resets what was spent."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from event_schemas.experiment import Experiment
from event_schemas.units import DAY_MS
from learner.judgement.gate_budget import RENEWAL_MS, GateBudget, Look, PastLook, accrual, gate_settings

B = 0.05
SETTINGS = {"margin": 0.01, "error_budget": B, "min_matched_rows": 1000.0, "holdout_window": 7.0 * DAY_MS}


def looked(budget: GateBudget, day: float, window: float = 7.0) -> tuple[GateBudget, Look | None]:
    """The budget after a run whose hold-out of `window` days ends at `day`, and its look."""
    end = round(day * DAY_MS)
    look = budget.look_at(end - round(window * DAY_MS), end)
    return (budget, None) if look is None else (budget.after(look, end, "inconclusive", {}), look)


def shares(days: np.ndarray, window: float) -> list[tuple[float, float]]:
    """(day, share) of the looks of runs at these days."""
    budget, found = GateBudget(SETTINGS), []
    for day in days:
        budget, look = looked(budget, float(day), window)
        if look is not None:
            found.append((float(day), look.share))
    return found


def test_the_first_look_spends_half_and_the_others_what_accrues() -> None:
    found = shares(np.arange(0.0, 120.0), 7.0)
    assert [day for day, _ in found] == list(range(0, 120, 7)), "a row is judged once"
    assert found[0][1] == B / 2
    assert found[1][1] == pytest.approx(B / 2 * 7 / 90)
    assert found[-1][1] == pytest.approx(B * 7 / 90), "after 90 days at the full rate"


@pytest.mark.parametrize("window", [0.25, 1.0, 7.0, 14.0, 40.0])
@pytest.mark.parametrize("every", [0.04, 1.0, 9.7, 61.0])
def test_in_t_days_at_most_t_over_90_budgets_are_spent(window: float, every: float) -> None:
    found = shares(np.arange(0.0, 400.0, every), window)
    spent = np.cumsum([share for _, share in found])
    days = np.array([day for day, _ in found])
    assert (spent <= B * np.maximum(1.0, days / 90.0) * (1 + 1e-9)).all()
    assert max(share for _, share in found) <= B / 2


def test_accrual_counts_both_rates() -> None:
    assert accrual(0, 0, RENEWAL_MS) == pytest.approx(0.5)
    assert accrual(0, RENEWAL_MS, 2 * RENEWAL_MS) == pytest.approx(1.0)
    assert accrual(0, RENEWAL_MS // 2, RENEWAL_MS + RENEWAL_MS // 2) == pytest.approx(0.75)


def test_a_clock_or_log_that_goes_back_gets_no_look() -> None:
    budget, _ = looked(GateBudget(SETTINGS), 20)
    assert looked(budget, 12)[1] is None


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("margin", 0.05, "margin 0.01 → 0.05 (looser)"),
        ("margin", 0.005, "margin 0.01 → 0.005 (tighter)"),
        ("error_budget", 0.1, "error_budget 0.05 → 0.1 (looser)"),
        ("min_matched_rows", 10.0, "min_matched_rows 1000 → 10 (looser)"),
        ("holdout_window", 14.0 * DAY_MS, "holdout_window 1w → 2w"),
    ],
)
def test_other_settings_start_a_declared_budget_and_no_look(setting: str, value: float, said: str) -> None:
    budget, first = looked(GateBudget(SETTINGS), 10)
    assert first is not None
    changed = budget.under(SETTINGS | {setting: value})
    assert (changed.number, changed.changes, changed.spent, changed.spent_before) == (2, (said,), 0.0, B / 2)
    assert changed.look_at(4 * DAY_MS, 11 * DAY_MS) is None, "the rows are no newer for it"
    later = changed.look_at(11 * DAY_MS, 18 * DAY_MS)
    assert later is not None
    assert later.share == pytest.approx(float(changed.settings["error_budget"]) / 2 * 8 / 90), "no second half at once"
    again = changed.under(SETTINGS)
    assert (again.number, again.settings) == (3, SETTINGS)


def test_the_same_settings_and_those_before_the_first_look_change_nothing() -> None:
    fresh = GateBudget(SETTINGS).under(SETTINGS | {"margin": 0.05})
    assert (fresh.number, fresh.changes) == (1, ())
    budget, _ = looked(fresh, 10)
    assert budget.under(dict(fresh.settings)) == budget


def test_it_survives_a_manifest_which_names_the_checkpoint_of_the_look() -> None:
    budget, look = looked(GateBudget(SETTINGS), 10)
    assert look is not None
    budget = budget.after(look, 10 * DAY_MS, "pass", {"repin": [0.1, 0.05, 0.15]})
    read = GateBudget.from_dict(json.loads(json.dumps(budget.as_dict(), allow_nan=False)), "v7")
    assert read.last == replace(budget.last or PastLook(0, 0, 0, "", {}), version="v7")
    assert replace(read, last=None) == replace(budget, last=None)
    assert GateBudget.from_dict(json.loads(json.dumps(read.as_dict())), "v8").last == read.last, "the next run keeps it"


@pytest.mark.parametrize("damage", [{"settings": []}, {"number": "x"}, {"last": {}}, {"spent": None}])
def test_a_damaged_one_is_an_error(damage: dict[str, object]) -> None:
    with pytest.raises((AttributeError, KeyError, TypeError, ValueError)):
        GateBudget.from_dict(GateBudget(SETTINGS).as_dict() | damage, "v")


def test_levels_are_two_sided_and_divided_among_checks() -> None:
    look = Look(3, 0.01)
    assert look.level == pytest.approx(0.98)
    assert look.level_of_each(4) == pytest.approx(0.995)
    assert look.level_of_each(0) == look.level


def test_the_settings_are_those_of_the_file(experiment: Experiment) -> None:
    settings = gate_settings(experiment)
    assert settings["margin"] == 0.1
    assert settings["holdout_window"] == 6 * 3_600_000
    assert set(settings) == {
        *("margin", "error_budget", "min_matched_rows", "min_positives", "max_drift"),
        *("holdout_window", "train_window"),
        *("objective repin", "objective p2p", "cohort CORE", "cohort REST"),
    }


REPIN = {"name": "repin", "kinds": ["repin"], "attribution": "5m"}
P2P = {"name": "p2p", "kinds": ["p2p"], "attribution": "5m"}
HIDE = {"name": "hide", "kinds": ["hide"], "attribution": "5m", "role": "guardrail"}
CORE, REST = {"name": "CORE"}, {"name": "REST"}


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"objectives": [REPIN, P2P, HIDE]}, ("guardrail hide added (tighter)",)),
        ({"guardrails": [{"name": "hide", "kinds": ["hide"]}]}, ("guardrail hide added (tighter)",)),
        ({"objectives": [REPIN], "preference": {}}, ("objective p2p removed (looser)",)),
        ({"cohorts": [CORE]}, ("cohort REST removed (looser)",)),
        ({"cohorts": [REST, CORE]}, ()),
        ({"objectives": [P2P, REPIN]}, ()),
        ({"objectives": [REPIN, P2P, HIDE | {"role": "signal"}]}, ()),
        (
            {"objectives": [REPIN, P2P | {"kinds": ["p2p", "like"], "clip": 2.0}]},
            ("objective p2p: p2p, at most 1, within 5m → like or p2p, at most 2, within 5m",),
        ),
        (
            {"objectives": [REPIN, P2P | {"role": "guardrail"}], "preference": {}},
            ("guardrail p2p added (tighter)", "objective p2p removed (looser)"),
        ),
    ],
)
def test_what_is_judged_is_a_setting_and_gets_no_second_first_look(
    sections: dict[str, Any], said: tuple[str, ...], experiment: Experiment, make_experiment: Callable[..., Experiment]
) -> None:
    budget, _ = looked(GateBudget(gate_settings(experiment)), 10, 0.25)
    changed = budget.under(gate_settings(make_experiment(**sections)))
    assert changed.changes == said
    assert (changed.number, changed.spent_before) == ((2, B / 2) if said else (1, 0.0))
    later = changed.look_at(11 * DAY_MS, 12 * DAY_MS)
    assert later is not None and later.share == pytest.approx(B / 2 * 2 / 90)
    assert GateBudget.from_dict(json.loads(json.dumps(changed.as_dict())), "v").settings == changed.settings


def test_a_manifest_that_does_not_say_what_was_judged_changes_nothing(experiment: Experiment) -> None:
    settings = gate_settings(experiment)
    old = {name: value for name, value in settings.items() if not isinstance(value, str)}
    budget, _ = looked(GateBudget(old), 10)
    assert budget.under(settings) == replace(budget, settings=settings)


def test_of_two_accounts_the_one_that_spent_more_counts_with_the_later_look() -> None:
    first, _ = looked(GateBudget(SETTINGS), 10)
    second, _ = looked(first, 17)
    for joined in (first.joined(second), second.joined(first), GateBudget(SETTINGS).joined(second)):
        assert joined == second
    assert GateBudget(SETTINGS).joined(GateBudget(SETTINGS)) == GateBudget(SETTINGS)
    changed = first.under(SETTINGS | {"margin": 0.05})
    assert first.joined(changed) == changed, "nothing was spent since, and it says what changed"
    other, _ = looked(GateBudget(SETTINGS), 30)
    for forked in (second.joined(other), other.joined(second)):
        assert forked.spent == second.spent + other.spent, "both have spent"
        assert forked.last is not None and (forked.last.holdout_to, forked.last.number) == (30 * DAY_MS, 3)
        for again in (forked.joined(second), other.joined(forked)):
            assert again == forked, "once"
        assert forked.first_look == 30 * DAY_MS, "what accrues is what accrues after the later one"
