"""The findings of PRL-PUTS on a simulated homefeed whose truth is known: `python -m benchmarks.paper`.

Reads nothing but seeds; every seed draws other requests, explored arms and outcomes.
Writes benchmarks/results/paper.jsonl, a chart beside it, and a section of docs/results.md.
Guarantees that every figure has an interval, over seeds or by users, and that what differs from the paper is said.
"""
