"""The node as a process of its own, over HTTP, for rankers in any language.

Reads requests under `/v1/decisions` and `/v1/engagements`.
Writes what the node in it writes.
Guarantees that one client's bad input is answered with 4xx and what to change, and that unconfirmed decisions are
bounded.
Fails with 404, 413 or 422 and what to change; never with a traceback.
"""
