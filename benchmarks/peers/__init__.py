"""Minimal versions of the join in other stream processors, each in its fastest correct variant.

Each reads a topic of events, writes Examples to its own topic, at least once, and writes start and end times to files.
Guarantees the examples of the contract for a log in which nothing is late; no dead letters, no cap on open decisions.
"""
