"""Topics of the company's own, record by record into engagements.

Reads the topics that the `[[bridge]]` sections of the experiment file name.
Writes `events` (Engagement) and `dead-letters` for records that cannot be engagements.
Guarantees that a source record is committed only after what it led to is stored, with ids that make a second copy
harmless.
Fails with SourceUnreadable, SourceSchemaError or TopicUnidentified when the source is not what was declared; a single
bad record is a dead letter.
"""
