"""Decides a request: its slice, its weights, the reason for a fallback, and the records to log.

Reads the current snapshot (policies, preference, kill) and the caller's request.
Writes Request, Action, Propensity, Ranking and tallies through the producers' loggers.
Guarantees an answer within the inference budget, always with a propensity in (0, 1].
Fails with InvalidRequest or InvalidConfirmation for unusable input of the caller; after any other fault the decision is
FALLBACK with its reason.
"""

from serving_agent.decide.decision import Decision
from serving_agent.decide.decision_errors import InvalidConfirmation, InvalidRequest
from serving_agent.decide.decision_records import HeadSummaries
from serving_agent.decide.decision_request import ContextValue, DecisionRequest
from serving_agent.decide.policy_agent import PolicyAgent
from serving_agent.decide.policy_answers import ArmProbabilities, BoxProposals
from serving_agent.decide.previous_weights import ServedWeights
from serving_agent.decide.snapshot import ServingSnapshot, SnapshotHolder

__all__ = [
    "ArmProbabilities",
    "BoxProposals",
    "ContextValue",
    "Decision",
    "DecisionRequest",
    "HeadSummaries",
    "InvalidConfirmation",
    "InvalidRequest",
    "PolicyAgent",
    "ServedWeights",
    "ServingSnapshot",
    "SnapshotHolder",
]
