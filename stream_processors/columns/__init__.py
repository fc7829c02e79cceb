"""Records of the log in columns, and what validation says of each record.

Reads log records as they came from Kafka or a file.
Writes nothing: `ChunkValidator` returns `ValidatedRecords`.
Guarantees the same verdicts on many records at once as on each alone.
Never fails because of a record: one that cannot be an event is a MalformedEvent with its reason.
"""
