"""The comparison of arms equals a plain loop, and its covariance what leaving out one user at a time gives."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np
import pytest

from off_policy.arm_comparison import ArmDesign, ArmSums, compare_arms
from off_policy.arm_results import ArmComparison, OutcomeLabel
from off_policy.estimates import RefusalCode
from off_policy.logged_bandit import EvaluationError
from off_policy.numeric_arrays import BoolArray, FloatArray, IntArray
from off_policy.user_sums import ArmUsers, CountedRows, UserSums
from tests.off_policy.arm_worlds import CLIPS, LENGTHS, compared, draw_log

SHARES = {"control": 2.0, "a": 1.0, "b": 1.0}


@dataclass(frozen=True, eq=False)
class Log:
    """n rows with K outcomes: their units, counts and masks."""

    arm: IntArray
    user: IntArray
    weight: FloatArray
    units: list[IntArray]
    counts: list[FloatArray]
    observed: list[BoolArray]
    clips: list[float]

    def without(self, user: int) -> Log:
        """The log without one user; the numbers of the others stay."""
        kept = self.user != user
        return replace(
            self,
            arm=self.arm[kept],
            user=self.user[kept],
            weight=self.weight[kept],
            units=[unit[kept] for unit in self.units],
            counts=[count[kept] for count in self.counts],
            observed=[seen[kept] for seen in self.observed],
        )


def random_log(users: int, seed: int) -> Log:
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), rng.integers(1, 12, size=users))
    n = len(user)
    arm = rng.choice(3, p=[0.5, 0.25, 0.25], size=users)[user]
    mood = rng.gamma(2.0, 0.5, size=users)[user]
    session = user * 100 + rng.integers(0, 3, size=n)
    weight = rng.choice([1.0, 10.0], size=users * 100)[session]
    counts = [rng.poisson(mood * rate, size=n).astype(np.float64) for rate in (0.2, 0.5, 1.0)]
    observed = [rng.random(n) < share for share in (0.9, 1.0, 0.95)]
    return Log(arm, user, weight, [np.arange(n), session, session], counts, observed, [1.0, 2.0, 5.0])


def comparison(log: Log, users: int, level: float = 0.95) -> ArmComparison:
    outcomes = []
    for k, clip in enumerate(log.clips):
        rows = CountedRows(log.user, log.weight, log.counts[k], log.observed[k]).by_unit(log.units[k])
        label = OutcomeLabel(f"outcome{k}", "signal", "session", clip)
        outcomes.append(ArmSums(label, UserSums.of(rows, clip, users)))
    everybody = ArmUsers.of(log.arm, log.user, log.weight, users)
    return compare_arms(ArmDesign(SHARES, "control", level, 5), everybody, outcomes)


def looped(log: Log, arm: int) -> tuple[list[float], list[list[float]]]:
    """Means and covariance of one arm, row by row, from the formulas of the module."""
    means, influences = [], []
    for k, clip in enumerate(log.clips):
        units: dict[tuple[int, int], list[tuple[float, float, bool]]] = defaultdict(list)
        for i in range(len(log.user)):
            if log.arm[i] == arm:
                entry = (float(log.counts[k][i]), float(log.weight[i]), bool(log.observed[k][i]))
                units[int(log.user[i]), int(log.units[k][i])].append(entry)
        total: dict[int, float] = defaultdict(float)
        weight: dict[int, float] = defaultdict(float)
        for (user, _), rows in units.items():
            if all(seen for _, _, seen in rows):
                total[user] += rows[0][1] * min(sum(count for count, _, _ in rows), clip)
                weight[user] += rows[0][1]
        mean = math.fsum(total.values()) / math.fsum(weight.values())
        scale = math.sqrt(len(weight) / (len(weight) - 1)) / math.fsum(weight.values())
        means.append(mean)
        influences.append({user: scale * (total[user] - mean * weight[user]) for user in weight})
    covariance = [
        [math.fsum(value * other.get(user, 0.0) for user, value in one.items()) for other in influences]
        for one in influences
    ]
    return means, covariance


def test_it_equals_a_plain_loop() -> None:
    log = random_log(300, seed=4)
    found = comparison(log, 300)
    base, base_covariance = looped(log, 0)
    for arm, name in enumerate(SHARES):
        means, covariance = looped(log, arm)
        result = found.arms[name]
        assert result.users == len(set(log.user[log.arm == arm].tolist()))
        assert result.rows == int((log.arm == arm).sum())
        assert result.requests == pytest.approx(float(log.weight[log.arm == arm].sum()), rel=1e-12)
        expected = np.array(covariance) + (0.0 if name == "control" else np.array(base_covariance))
        np.testing.assert_allclose(result.covariance, expected, rtol=1e-12, atol=1e-17)
        for k, mean in enumerate(means):
            outcome = result.outcomes[f"outcome{k}"]
            assert outcome.mean == pytest.approx(mean, rel=1e-12)
            assert outcome.mean_error == pytest.approx(math.sqrt(covariance[k][k]), rel=1e-12)
            if name != "control":
                assert outcome.delta == pytest.approx(mean - base[k], rel=1e-12, abs=1e-14)
                assert outcome.standard_error == pytest.approx(math.sqrt(expected[k][k]), rel=1e-12)
                assert outcome.lift == pytest.approx(mean / base[k] - 1, rel=1e-12, abs=1e-12)


def test_the_covariance_is_that_of_leaving_out_one_user_at_a_time() -> None:
    """The jackknife over users, of all differences of both arms together: 6 numbers and their 36 covariances."""
    users, log = 400, random_log(400, seed=5)
    found = comparison(log, users)
    arm_of = np.zeros(users, dtype=np.int64)
    arm_of[log.user] = log.arm
    covariance = np.zeros((6, 6))
    for arm in range(3):
        members = np.flatnonzero(arm_of == arm)
        moved = np.array([_differences(comparison(log.without(user), users)) for user in members.tolist()])
        centred = moved - moved.mean(axis=0)
        covariance += centred.T @ centred * (len(members) - 1) / len(members)
    control = np.array(found.arms["control"].covariance)
    a, b = np.array(found.arms["a"].covariance), np.array(found.arms["b"].covariance)
    stated = np.block([[a, control], [control, b]])
    scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    np.testing.assert_allclose(stated / scale, covariance / scale, atol=0.03)
    correlations = (covariance / scale)[:3, :3]
    assert correlations[np.triu_indices(3, 1)].max() > 0.2, "outcomes of one user go together"


def _differences(found: ArmComparison) -> list[float]:
    return [found.arms[name].outcomes[f"outcome{k}"].delta for name in ("a", "b") for k in range(3)]


def test_the_lift_has_the_error_of_a_ratio_of_means() -> None:
    rng = np.random.default_rng(6)
    found = [compared(draw_log(300, "user", 1.0, rng), "request").arms["more"].outcomes["request"] for _ in range(400)]
    spread = float(np.std([each.lift for each in found]))
    assert np.mean([each.lift_error for each in found]) == pytest.approx(spread, rel=0.12)


def test_a_user_in_two_arms_counts_in_none() -> None:
    log = random_log(200, seed=7)
    spoilt = log.arm.copy()
    first = int(np.flatnonzero(np.bincount(log.user) > 1)[0])
    rows = np.flatnonzero(log.user == first)
    spoilt[rows] = np.arange(len(rows)) % 2
    found, expected = comparison(replace(log, arm=spoilt), 200), comparison(log.without(first), 200)
    assert found.as_dict() == expected.as_dict()


def refusal_of(count: FloatArray, observed: BoolArray, users: int) -> tuple[RefusalCode, str]:
    """Of an arm with one row per user; the control has 200 users, half of them with a positive outcome."""
    base = 200
    arm = np.repeat([0, 1], [base, users])
    counts = np.concatenate([np.arange(base) % 2, count]).astype(np.float64)
    seen = np.concatenate([np.ones(base, dtype=np.bool_), observed])
    user, weight = np.arange(base + users), np.ones(base + users)
    sums = UserSums.of(CountedRows(user, weight, counts, seen), 1.0, base + users)
    design = ArmDesign({"control": 1.0, "a": 1.0}, "control")
    outcome = ArmSums(OutcomeLabel("repin", "optimise", "request", 1.0), sums)
    found = compare_arms(design, ArmUsers.of(arm, user, weight, base + users), [outcome])
    json.dumps(found.as_dict(), allow_nan=False)
    result = found.arms["a"].outcomes["repin"]
    assert result.interval is None
    assert result.lift_interval is None
    assert result.refusal is not None
    assert result.refusal.reason.startswith("the arm: ")
    return result.refusal.code, result.refusal.reason


@pytest.mark.parametrize("users", [0, 1, 2, 29])
def test_too_few_users_have_no_interval(users: int) -> None:
    code, _ = refusal_of((np.arange(users) % 2).astype(np.float64), np.ones(users, dtype=np.bool_), users)
    assert code is RefusalCode.TOO_FEW_UNITS


def test_without_positives_there_is_no_interval() -> None:
    assert refusal_of(np.zeros(200), np.ones(200, dtype=np.bool_), 200)[0] is RefusalCode.TOO_FEW_POSITIVES


def test_if_all_are_positive_there_is_no_interval() -> None:
    assert refusal_of(np.full(200, 3.0), np.ones(200, dtype=np.bool_), 200)[0] is RefusalCode.TOO_FEW_NEGATIVES


def test_if_nothing_was_observed_there_is_no_interval() -> None:
    code, reason = refusal_of(np.ones(200), np.zeros(200, dtype=np.bool_), 200)
    assert (code, "nothing was observed" in reason) == (RefusalCode.TOO_FEW_UNITS, True)


def test_a_control_without_evidence_leaves_no_interval_either() -> None:
    log = draw_log(600, "user", 1.0, np.random.default_rng(8))
    quiet = replace(log, count=np.where(log.arm == 0, 0.0, log.count))
    found = compared(quiet, *LENGTHS)
    for per in CLIPS:
        outcome = found.arms["more"].outcomes[per]
        assert (outcome.interval, outcome.lift_interval) == (None, None)
        assert outcome.refusal is not None
        assert outcome.refusal.reason.startswith("the control: ")
    assert found.as_dict()["arms"]["more"]["outcomes"]["request"]["lift"] is None


def test_an_arm_is_not_compared_without_a_control() -> None:
    for shares, control in (({"a": 1.0}, "a"), ({"a": 1.0, "b": 1.0}, "c")):
        with pytest.raises(EvaluationError, match="cannot be compared"):
            ArmDesign(shares, control)


@pytest.mark.parametrize("share", [0.0, -1.0, math.nan, math.inf])
def test_a_share_is_positive(share: float) -> None:
    with pytest.raises(EvaluationError, match="not all positive"):
        ArmDesign({"a": 1.0, "b": share}, "a")


@pytest.mark.parametrize(("level", "positives"), [(0.0, 30), (1.0, 30), (0.95, 0)])
def test_a_level_and_a_minimum_of_positives_are_sensible(level: float, positives: int) -> None:
    with pytest.raises(EvaluationError, match="use a level"):
        ArmDesign({"a": 1.0, "b": 1.0}, "a", level, positives)


def test_sums_of_other_users_are_refused() -> None:
    log = draw_log(50, "user", 1.0, np.random.default_rng(9))
    users = ArmUsers.of(log.arm, log.user, log.weight, 50)
    rows = CountedRows(log.user, log.weight, log.count, np.ones(len(log.user), dtype=np.bool_))
    odd = ArmSums(OutcomeLabel("repin", "optimise", "request", 1.0), UserSums.of(rows, 1.0, 51))
    with pytest.raises(EvaluationError, match="sums of repin"):
        compare_arms(ArmDesign({"a": 1.0, "b": 1.0}, "a"), users, [odd])
