"""Writes events to the log: from serving, from existing logs, and from the company's own topics.

Reads `explorations` in `bridge`, for raised log rates, and no other topic of the system; `bridge` also reads the topics
that the experiment file's `[[bridge]]` sections name; `replay` reads Parquet, CSV and JSON-lines logs, and the join's
committed position to set its pace.
Writes `events` (Request, Action, Propensity, Ranking, Engagement, Heartbeat), `tallies` (Tally), `explorations`
(Exploration) and, for log rows and source records that cannot be events, `dead-letters` (DeadLetter).
Guarantees that a caller in serving never waits for the broker, that acknowledged + spooled + dropped = handed in,
and that a source record is committed only after its result is stored.
"""
