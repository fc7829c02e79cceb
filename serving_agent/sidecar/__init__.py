"""Serves a node over HTTP as a separate process, for rankers in any language.

Reads requests under `/v1/decisions` and `/v1/engagements`.
Writes what its node writes.
Guarantees that bad input is answered with 4xx and a fix, and that the number of unconfirmed decisions is bounded.
Fails with 404, 413 or 422 and a fix, never with a traceback.
"""

from serving_agent.sidecar.sidecar_app import create_app
from serving_agent.sidecar.unconfirmed_decisions import UnconfirmedDecisions

__all__ = [
    "UnconfirmedDecisions",
    "create_app",
]
