"""Drift detection: has a stream of head predictions left its reference distribution?

Reads numbers and reference sketches; no topic, file or store.
Writes nothing; returns sketches (plain JSON), distances, verdicts and alarms.
Guarantees that a verdict names its reason, that non-finite values are counted and never silently
dropped, and that the sequential test keeps the declared mean time between false alarms on a stream
of independent values.
"""
