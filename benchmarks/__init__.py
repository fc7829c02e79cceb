"""Benchmarks: measure the join, and compare it with its peers, on a real Kafka broker on this machine.

Reads only its own experiment files; writes topics of a private broker and `benchmarks/results/`.
Guarantees that all peers read the same bytes and that their output is checked against the generator's reference.
"""
