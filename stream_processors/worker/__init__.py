"""The process around the join: Faust, the Kafka transport, the writer of outputs, health and gauges.

Reads `events` in the consumer group `<prefix>join`.
Writes `examples`, `dead-letters`, its commits, and under a live clock Heartbeats to `events`.
Guarantees that a position is committed only after every output before it is confirmed.
Fails by ending the process with a named error when its log was replaced or cut, or when what it wrote is not confirmed
in time; a supervisor starts it again. Broker outages are waited out.
"""
