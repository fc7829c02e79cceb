"""Measured claims: the join beside its peers on a real Kafka broker of this machine.

Reads nothing but its own experiment files, and writes a broker's topics of its own and `benchmarks/results/`.
Guarantees that every peer reads the same bytes and that its output is checked against the generator's reference.
"""
