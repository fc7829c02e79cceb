"""The ledger's entry has the figures of the comparison."""

from __future__ import annotations

import numpy as np
import pytest

from learner.experiment_look import ExperimentLook
from learner.online_arms import OnlineArms, OnlineComparison
from off_policy.arm_comparison import ArmDesign, ArmSums, compare_arms
from off_policy.arm_guardrails import GuardrailState
from off_policy.arm_results import OutcomeLabel
from off_policy.sequential_reading import ArmReading, ArmState, OutcomeReading, SequentialRule
from off_policy.user_sums import ArmUsers, CountedRows, UserSums
from policy_store.records import OnlineExperiment
from policy_store.records.ledger_record import LedgerRecord
from policy_store.records.store_errors import ExperimentRefused
from tests.policy_store.experiment_samples import plan
from tests.serving_samples import NOW
from trimtab.experiment_entry import ledger_content, require_counted, require_unharmed, require_unharmed_cohorts

PROVENANCE = {"experiment": "homefeed", "revision": 5, "by": "ada"}


def compared(planned: OnlineExperiment, users: int, last: int | None) -> OnlineComparison:
    """Every user has one request; odd users, in the second arm, are positive twice as often."""
    arm, user = np.arange(users) % 2, np.arange(users)
    weight, count = np.full(users, 2.0), (user % 6 < 1 + arm).astype(float)
    rows = CountedRows(user, weight, count, np.ones(users, dtype=bool))
    sums = [
        ArmSums(OutcomeLabel("repin", "optimise", "request", 1.0), UserSums.of(rows, 1.0, users)),
        ArmSums(OutcomeLabel("day", "guardrail", "user-day", 1.0), UserSums.of(rows, 1.0, users)),
    ]
    design = ArmDesign({each.name: each.share for each in planned.arms}, planned.control)
    comparison = compare_arms(design, ArmUsers.of(arm, user, weight, users), sums)
    question = OnlineArms(planned.id, design, planned.start, planned.planned_end)
    return OnlineComparison(question, comparison, {}, None if last is None else (planned.start, last))


def entry(found: OnlineComparison) -> LedgerRecord:
    content = ledger_content(plan(NOW), found, "adopted", "bold")
    return LedgerRecord.from_content(content | PROVENANCE)


def test_an_entry_has_what_was_read() -> None:
    found = compared(plan(NOW), 600, NOW + 90)
    made = entry(found)
    control, bold = made.arms
    assert [(each.name, each.role, each.per) for each in made.outcomes] == [
        ("repin", "optimise", "request"),
        ("day", "guardrail", "user-day"),
    ]
    assert (control.users, bold.users, bold.rows) == (300, 300, 300)
    results = found.comparison.arms
    assert bold.means == tuple(results["bold"].outcomes[each].mean for each in ("repin", "day"))
    assert bold.deltas == tuple(results["bold"].outcomes[each].delta for each in ("repin", "day"))
    assert bold.covariance == results["bold"].covariance
    assert control.deltas == (None, None)
    assert bold.preference == plan(NOW).arms[1].preference
    assert made.sample_ratio_p == found.comparison.sample_ratio_p == pytest.approx(1.0)


@pytest.mark.parametrize(("last", "end"), [(NOW + 90, NOW + 91), (None, NOW)])
def test_its_span_ends_with_what_it_counts(last: int | None, end: int) -> None:
    assert entry(compared(plan(NOW), 60, last)).end == end


def test_nothing_seen_is_null_not_zero() -> None:
    made = entry(compared(plan(NOW), 0, None))
    assert [arm.means for arm in made.arms] == [(None, None)] * 2
    assert made.arms[0].covariance == ((None, None), (None, None))
    assert made.sample_ratio_p is None


@pytest.mark.parametrize("name", ["repin", "day"])
def test_an_arm_that_harms_an_objective_or_a_guardrail_is_not_adopted(name: str) -> None:
    """`repin` is an objective; `day` counts only where the experiment guards it."""

    def look(state: GuardrailState, *guardrails: str) -> ExperimentLook:
        outcomes = {name: OutcomeReading(None, None, superior=False, state=state)}
        reading = ArmReading(ArmState.UNDECIDED, (), outcomes)
        found = compared(plan(NOW), 60, NOW + 90)
        return ExperimentLook(plan(NOW), SequentialRule(guardrails), found, {"bold": reading})

    require_unharmed(look(GuardrailState.HARMED, "day"), "control")
    require_unharmed(look(GuardrailState.UNDECIDED, "day"), "bold")
    with pytest.raises(ExperimentRefused, match=f"arm bold harms {name}"):
        require_unharmed(look(GuardrailState.HARMED, "day"), "bold")
    if name == "day":
        require_unharmed(look(GuardrailState.HARMED), "bold")


def test_a_verdict_needs_something_that_was_counted() -> None:
    nothing = compared(plan(NOW), 0, None)
    require_counted(nothing, "stopped")
    require_counted(compared(plan(NOW), 60, NOW + 90), "adopted")
    with pytest.raises(ExperimentRefused, match="no request of experiment x1, so nothing can be rejected"):
        require_counted(nothing, "rejected")


def test_an_arm_that_harms_a_cohort_is_not_adopted() -> None:
    found = compared(plan(NOW), 60, NOW + 90)
    reading = ArmReading(ArmState.UNDECIDED, (), {}, (("new users", "visits"),))
    look = ExperimentLook(plan(NOW), SequentialRule(), found, {"bold": reading})
    require_unharmed_cohorts(look, "control")
    with pytest.raises(ExperimentRefused, match="arm bold harms visits in cohort new users"):
        require_unharmed_cohorts(look, "bold")
