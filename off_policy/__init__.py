"""Off-policy evaluation: what a policy would have earned on the explored log of another policy.

Also compares the arms of an online experiment, in which each policy served users of its own.

Reads arrays (logged arms, propensities, rewards, model predictions); no topic, file or store.
Writes nothing; returns estimates, paired lifts, frontiers and charts.
Guarantees that an interval is given only if it is valid: a biased estimator, too few matched rows
or too few positives give the reason instead of an interval. Every result survives a round trip
through JSON.
"""
