"""Events out of serving, and out of logs that exist already.

Reads nothing from the system's topics; `replay` reads Parquet, CSV and JSON-lines logs, and the join's
committed position for its pace.
Writes `events` (Request, Action, Propensity, Ranking, Engagement, Heartbeat), `tallies` (Tally) and, for log
rows that cannot be events, `dead-letters` (DeadLetter).
Guarantees that a caller never waits for the broker, and that acknowledged + spooled + dropped = handed in.
"""
