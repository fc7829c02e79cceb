"""The rule of the join, free of Kafka and Faust: which event counts, for how long, and what it becomes.

`reference_join` is the readable definition of the rule: one event at a time, plain dicts, no speed. Read it first to
learn what the join does; property tests compare the fast join (`stream_processors.partition`) with it.

Reads an experiment's objectives and windows (`JoinRule`) and single events.
Writes nothing: functions return fates, bytes and outcomes.
Guarantees that every event has exactly one `Fate`, and that the same events give the same bytes.
Fails with SchemaError when a schema is not the one the rule was written for. A bad event is no error: it is malformed.
"""

from stream_processors.rule.join_rule import JoinRule

__all__ = [
    "JoinRule",
]
