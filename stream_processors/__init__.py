"""The join: events become examples with clipped rewards, and everything else becomes a dead letter.

Reads `events` and, to fix and to reconcile, `dead-letters` and `examples`.
Writes `examples` (Example), `dead-letters` (DeadLetter) and, under a live clock, Heartbeats to `events`.
Guarantees that every event ends in exactly one fate and every complete decision in exactly one example, whatever is
shuffled, repeated, late or broken, and however often a worker is killed: records may be written twice with the same
bytes, and readers keep the first copy.

The rule is in `partition_join` and free of Kafka and Faust; the modules around it carry records to it and away.
"""
