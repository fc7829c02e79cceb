"""Decides whether a checkpoint may ship: soundness of the log, off-policy estimates of the candidate, and the gate.

Reads rows of the hold-out window, tallies, and the candidate's predicted values.
Writes nothing; returns an evaluation and a verdict with its reasons.
Guarantees that a verdict depends only on the evidence and stays within the error budget of all looks together.
Fails with TablePolicyError for an unusable policy file. Too little evidence is never an error; the verdict is then
`inconclusive`.
"""

from learner.judgement.reference_sketches import ranker_head_values
from learner.judgement.serving_comparison import ServingComparison
from learner.judgement.table_policy import TableLayout

__all__ = [
    "ServingComparison",
    "TableLayout",
    "ranker_head_values",
]
