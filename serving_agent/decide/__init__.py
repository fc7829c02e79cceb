"""Decides a request: its slice, its weights, the reason for a fallback, and the records to log.

Reads the current snapshot (policies, preference, kill) and the caller's request.
Writes Request, Action, Propensity, Ranking and tallies through the producers' loggers.
Guarantees an answer within the inference budget, always with a propensity in (0, 1].
Fails with InvalidRequest or InvalidConfirmation for unusable input of the caller; after any other fault the decision is
FALLBACK with its reason.
"""
