"""What a run shows: its window, its verdict, and the lifts of its look until the next look."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract
from learner.checkpoints.checkpoint_building import FinishedRun
from learner.examples.stored_files import stored_examples
from learner.examples.training_window import build_window
from learner.run_metrics import show_run
from monitoring.metrics import LearnerMetrics


def test_a_run_is_shown_and_lifts_stay_until_the_next_look(trained: Any, experiment: Experiment) -> None:
    frame = stored_examples(trained.learner.examples_directory)
    window = build_window(frame, experiment, FeatureContract.from_experiment(experiment))
    evaluation, nothing = trained.report.evaluation, None
    unused: Any = nothing
    run = FinishedRun(1, window, unused, unused, b"", evaluation, trained.report.verdict, unused, "")
    registry = CollectorRegistry()
    metrics = LearnerMetrics(registry)
    metrics.lift.labels(objective="gone", part="point").set(1.0)
    show_run(metrics, run, 5_000)
    found = evaluation.evidence.lifts["repin"]
    value = registry.get_sample_value
    assert value("trimtab_learner_lift", {"objective": "repin", "part": "point"}) == found.relative
    assert value("trimtab_learner_lift", {"objective": "repin", "part": "lower"}) == found.relative_interval.lower
    assert value("trimtab_learner_lift", {"objective": "gone", "part": "point"}) is None
    assert value("trimtab_learner_window_examples", {"split": "train"}) == window.training.count
    assert value("trimtab_propensity_check_pvalue") == pytest.approx(evaluation.soundness.p_value)
    assert value("trimtab_learner_last_success_timestamp_seconds") == 5.0
    metrics.lift.labels(objective="repin", part="point").set(9.0)
    quiet = FinishedRun(2, window, unused, unused, b"", evaluation.without_look(), trained.report.verdict, unused, "")
    show_run(metrics, quiet, 6_000)
    assert value("trimtab_learner_lift", {"objective": "repin", "part": "point"}) == 9.0
