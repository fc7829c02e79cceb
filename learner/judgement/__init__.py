"""Decides whether a checkpoint may ship: soundness of the log, off-policy estimates of the candidate, and the gate.

Reads rows of the hold-out window, tallies, and the candidate's predicted values.
Writes nothing; returns an evaluation and a verdict with its reasons.
Guarantees that a verdict depends only on the evidence, that each row is judged once, and that all looks together stay
within the error budget, which renews every 90 days.
Fails with TablePolicyError for an unusable policy file. Too little evidence is never an error; the verdict is then
`inconclusive`.
"""

from learner.judgement.evidence_forecast import SCREEN_DAYS, Assumption, Forecast, OutcomeForecast, forecast
from learner.judgement.reference_sketches import ranker_head_values
from learner.judgement.serving_comparison import ServingComparison
from learner.judgement.table_policy import TableLayout

__all__ = [
    "Assumption",
    "Forecast",
    "OutcomeForecast",
    "SCREEN_DAYS",
    "ServingComparison",
    "TableLayout",
    "forecast",
    "ranker_head_values",
]
