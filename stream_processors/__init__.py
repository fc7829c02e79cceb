"""The join: events become examples with clipped rewards, and everything else becomes a dead letter.

Reads `events` and, to replay dead letters and to reconcile, `dead-letters` and `examples`.
Writes `examples` (Example), `dead-letters` (DeadLetter) and, under a live clock, Heartbeats to `events`.
Guarantees that every event ends in exactly one fate and every complete decision in exactly one example, whatever is
shuffled, repeated, late or broken, and however often a worker is killed: records may be written twice with the same
bytes, and readers keep the first copy.

`rule.reference_join` is the readable definition of the rule: one event at a time, no speed. `partition` does the same
fast and in bounded memory, `columns` validates its input many records at a time, `worker` carries records to it from
Kafka and its outputs back, and `audit` checks the outputs against the reference. Only `worker` and `audit` know Kafka.
"""
