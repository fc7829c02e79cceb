"""What serving calls to write down decisions, engagements and heartbeats.

Reads nothing.
Writes Request, Action, Propensity, Ranking, Engagement and Heartbeat events and tallies, through a sender.
Guarantees that encoding happens off the caller's thread and that every event handed in is counted.
Fails never towards the caller: an event that cannot be encoded and one that finds no place are counted and logged.
"""
