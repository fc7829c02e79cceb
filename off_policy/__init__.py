"""Off-policy evaluation: what a policy would have earned on the explored log of another one.

Reads arrays (logged arms, propensities, rewards, model predictions); no topic, file or store.
Writes nothing; returns estimates, paired lifts, frontiers and charts.
Guarantees that an interval is stated only where it is valid: a biased estimator, too few matched
rows or too few positives give no interval but the reason for its absence, and every result
survives a round trip through JSON.
"""
