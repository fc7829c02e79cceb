"""What `trimtab learn --once` prints of a run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from learner.checkpoints.checkpoint import Checkpoint
from learner.judgement.gate import GateVerdict, Reason, Verdict
from learner.learner_run import RunReport
from learner.network.linear_rival import LinearRival
from tests.policy_store.store_samples import BLOBS, manifest
from trimtab.run_lines import run_lines

DAY = 86_400_000
START = 1_714_521_600_000
LIFT = {
    "estimator": "dr",
    "value": 0.01,
    "standard_error": 0.002,
    "interval": {"lower": 0.0, "upper": 0.02, "level": 0.95, "method": "mover"},
    "relative": 0.021,
    "relative_standard_error": 0.01,
    "relative_interval": {"lower": -0.01, "upper": 0.0523, "level": 0.95, "method": "mover"},
    "refusal": None,
    "gateable": True,
    "baseline_value": 0.4,
    "matched_rows": 100,
    "baseline_matched_rows": 100,
    "positives": 30,
    "baseline_positives": 30,
    "expected_positives": 30.0,
}
WINDOW = {
    "train_from": START,
    "train_to": START + 6 * DAY,
    "holdout_from": START + 7 * DAY,
    "holdout_to": START + 14 * DAY,
    "examples": 4000,
    "holdout_examples": 2000,
    "left_out": {"not_explored": 1200, "embargo": 0, "closed_early": 3},
    "start": "cold: requested",
}


@pytest.fixture
def report() -> RunReport:
    evaluation = {
        "lifts": {"repin": LIFT},
        "guardrail_lifts": {"visits": LIFT},
        "baseline": "production",
        "rows": 990,
        "proposal": None,
    }
    made = manifest("homefeed", "v7", window=WINDOW, evaluation=evaluation)
    verdict = GateVerdict(Verdict.PASS, (Reason("harmless", "every lift is above -1.0%"),))
    return RunReport(Checkpoint(made, BLOBS, b""), verdict, None, 3.14, None)


def test_the_window_the_rows_and_why_a_checkpoint_stands(report: RunReport) -> None:
    assert list(run_lines(report)) == [
        ("checkpoint", "v7   cold: requested"),
        ("", "not trained again: no held-out example is newer, so it stands with its verdict"),
        ("window", "trained on 2024-05-01 00:00:00Z to 2024-05-07 00:00:00Z"),
        ("", "held out 2024-05-08 00:00:00Z to 2024-05-15 00:00:00Z"),
        ("rows", "trained on 4,000 explored examples, held out 2,000"),
        ("", "left out: 1,200 not explored, 3 closed early"),
        ("verdict", "pass: harmless"),
        ("", "every lift is above -1.0%"),
        ("lifts", "over production on 990 judged rows, intervals of 0.95"),
        ("", "repin: +2.1% [-1.0%, +5.2%]"),
        ("", "guardrail visits: +2.1% [-1.0%, +5.2%]"),
    ]


def test_without_a_look_there_are_no_lifts(report: RunReport) -> None:
    made = report.checkpoint.manifest
    unseen = made.model_copy(update={"evaluation": made.evaluation | {"lifts": {}, "guardrail_lifts": {}}})
    lines = list(run_lines(replace(report, checkpoint=replace(report.checkpoint, manifest=unseen))))
    assert lines[-1] == ("lifts", "none: the judging half was not looked at")


def test_rows_set_aside_are_told_with_a_linear_fit_that_is_ahead(report: RunReport) -> None:
    rival = LinearRival(rows=400, loss=0.2, linear_loss=0.1, ahead=0.1, standard_error=0.01)
    made = report.checkpoint
    manifest = made.manifest.model_copy(update={"window": made.manifest.window | {"validation_rows": 400}})
    set_aside = replace(report, rival=rival, checkpoint=replace(made, manifest=manifest))
    lines = list(run_lines(set_aside))
    assert ("rows", "trained on 3,600 explored examples, validated on 400, held out 2,000") in lines
    assert rival.sentence is not None and ("", rival.sentence) in lines
    again = list(run_lines(replace(set_aside, evaluation=None, rival=None)))
    assert ("rows", "trained on 3,600 explored examples, validated on 400, held out 2,000") in again, "it stands"
    behind = replace(rival, ahead=-0.1)
    assert behind.sentence is None
    assert ("", rival.sentence) not in run_lines(replace(report, rival=behind))
