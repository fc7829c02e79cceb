"""Loggers that serving calls to record decisions, engagements and heartbeats.

Reads nothing.
Writes Request, Action, Propensity, Ranking, Engagement and Heartbeat events, tallies and exploration settings,
through a sender.
Guarantees that encoding happens off the caller's thread and that every event handed in is counted.
Fails without raising to the caller: an event that cannot be encoded or finds the queue full is counted as dropped.
"""

from producers.loggers.applied_decision import AppliedDecision
from producers.loggers.decision_logger import DecisionLogger, TallyPlan
from producers.loggers.engagement_logger import EngagementLogger
from producers.loggers.engagement_record import InvalidEngagement
from producers.loggers.exploration_notice import RAISED_EVERY_MS, ExplorationPlan
from producers.loggers.heartbeats import send_heartbeats

__all__ = [
    "AppliedDecision",
    "DecisionLogger",
    "EngagementLogger",
    "ExplorationPlan",
    "InvalidEngagement",
    "RAISED_EVERY_MS",
    "TallyPlan",
    "send_heartbeats",
]
