"""A synthetic homefeed whose true values are known, with traffic that runs through the real stages.

Reads the experiment file and a policy through the serving agent or its sidecar.
Writes decisions and engagements into `events` through the producers' loggers.
Guarantees that a seed determines users, candidates, arrivals and engagements, and that true values are exact.
"""
