"""One request's decision: its slice, its weights, the reason for a fallback, and what is logged of it.

Reads the current snapshot (policies, preference, kill) and the caller's request.
Writes Request, Action, Propensity, Ranking and tallies through the producers' loggers.
Guarantees an answer within the inference budget, always with a propensity in (0, 1].
Fails with InvalidRequest for the caller's own mistakes; everything else is FALLBACK with its reason.
"""
