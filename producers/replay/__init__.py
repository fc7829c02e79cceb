"""Logs that exist already, row by row into events.

Reads Parquet, CSV and JSON-lines files, and the join's committed position for its pace.
Writes `events`, and `dead-letters` for rows that cannot be events.
Guarantees that every row is counted once, as events or as a dead letter, and that the same file gives the same events.
Fails with MappingError or LogFileError when a file or its mapping is wrong as a whole, ReplayStalled when the join
does not follow, ReplayIncomplete when events were not confirmed.
"""
