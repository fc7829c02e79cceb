"""What the gate reads is held against the truth, and learners against each other."""

from typing import Any

import pytest
from scipy.stats import norm

from benchmarks import gate_learners
from benchmarks.gate_learners import JudgedLift, JudgedRun, experiment_of, failures, figures_of, judged_run
from benchmarks.known_logs import known_log

LIFT = JudgedLift(lift=0.2, lower=0.0, upper=0.4, true=0.1, level=0.9)


def test_an_error_is_in_standard_errors_of_the_interval() -> None:
    assert LIFT.half_width == pytest.approx(0.2) and LIFT.covered
    assert LIFT.error == pytest.approx(0.1 / (0.2 / norm.ppf(0.95)))
    assert not JudgedLift(0.2, 0.15, 0.25, 0.1, 0.9).covered


def test_runs_are_counted() -> None:
    wide = JudgedLift(lift=0.0, lower=-0.4, upper=0.4, true=0.5, level=0.9)
    found = figures_of("linear", [JudgedRun((LIFT, wide), "pass", True, 1.0), JudgedRun((LIFT,), "refuse", False, 3.0)])
    assert (found["logs"], found["lifts"], found["covered"], found["wrong"]) == (2, 3, 2, 1)
    assert found["verdicts"] == {"pass": 1, "refuse": 1} and found["half_width"] == pytest.approx(0.2)
    assert found["error_mean"] == pytest.approx((2 * LIFT.error + wide.error) / 3) and found["seconds"] == 2.0


def learner(**changes: Any) -> dict[str, Any]:
    found = {"learner": "a", "logs": 25, "lifts": 50, "level": 0.9, "covered": 45, "wrong": 1}
    return found | {"error_mean": 0.1, "error_spread": 1.0, "half_width": 0.2} | changes


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"error_mean": -0.7}, "off by -0.70 standard errors"),
        ({"covered": 30}, "only 30 of 50 intervals"),
        ({"wrong": 8}, "8 of 25 passes are wrong"),
        ({"error_spread": 2.0}, "spreads of the errors differ: 1.00, 2.00"),
        ({"half_width": 0.26}, "widths differ: 0.200, 0.260"),
    ],
)
def test_missed_bars_are_named(changes: dict[str, Any], words: str) -> None:
    assert list(failures([learner(), learner()])) == []
    [missed] = failures([learner(), learner(**changes)])
    assert words in missed


def test_the_gate_reads_lifts_of_a_trained_learner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_learners, "STEPS", 2)
    log = known_log(experiment_of("linear"), "homefeed", 24_000, 21, 1)
    run = judged_run("linear", log)
    assert len(run.lifts) == 2 and run.verdict in ("pass", "inconclusive", "refuse")
    assert all(lift.lower < lift.lift < lift.upper and abs(lift.error) < 4.0 for lift in run.lifts)
