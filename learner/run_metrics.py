"""What a run of the learner shows in metrics."""

import math

from learner.checkpoints.checkpoint_building import FinishedRun
from learner.judgement.gate import GateEvidence
from learner.judgement.log_soundness import LogSoundness
from monitoring.metrics import LearnerMetrics


def show_run(metrics: LearnerMetrics, run: FinishedRun, now: int) -> None:
    """The window, the verdict and the log of a run that trained; the lifts of its look; `now` is in epoch ms."""
    metrics.window_examples.labels(split="train").set(run.window.training.count)
    metrics.window_examples.labels(split="holdout").set(run.window.holdout.count)
    for reason, examples in run.window.left_out.items():
        metrics.left_out.labels(reason=reason).set(examples)
    metrics.gate.labels(verdict=run.verdict.verdict.value, reason=run.verdict.reasons[0].code).inc()
    show_log(metrics, run.evaluation.soundness)
    if run.evaluation.judgement is not None:
        _show_lifts(metrics, run.evaluation.evidence)
    metrics.last_success.set(now / 1000)


def show_log(metrics: LearnerMetrics, soundness: LogSoundness) -> None:
    """The p-value of the check of the log, where it could be done."""
    if soundness.p_value is not None:
        metrics.propensity_pvalue.set(soundness.p_value)


def _show_lifts(metrics: LearnerMetrics, evidence: GateEvidence) -> None:
    """The lifts of a look; they stay until the next one, which removes what it does not know."""
    metrics.lift.clear()
    for name, lift in {**evidence.lifts, **evidence.guardrail_lifts}.items():
        interval = lift.relative_interval
        parts = {"point": lift.relative}
        if interval is not None:
            parts |= {"lower": interval.lower, "upper": interval.upper}
        for part, value in parts.items():
            if math.isfinite(value):
                metrics.lift.labels(objective=name, part=part).set(value)
