"""Worlds whose truth is known exactly: users, items, a ranker, and the value of every weight vector for every request.

Reads nothing but constants and a seed.
Writes nothing; gives requests' features, slates, engagements and exact expected rewards.
Guarantees that equal seeds give equal worlds, that a request is the same alone and among others, and that no true value
is sampled.
Fails with SettingError for a world or a fault that does not exist.
"""

from simulator.worlds.faults import Faults
from simulator.worlds.named_worlds import world
from simulator.worlds.world_truth import world_figures

__all__ = ["Faults", "world", "world_figures"]
