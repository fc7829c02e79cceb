"""Summarizes a set of examples independently of their order: their number, sums of rewards and a checksum."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import NamedTuple


class ExampleFacts(NamedTuple):
    """The content of an example that is checked; `outcomes` has (count, reward) of each objective in file order."""

    request_id: str
    arm: int
    propensity: float
    embedding_length: int
    history_length: int
    outcomes: tuple[tuple[float, float], ...]


@dataclass
class ExampleTally:
    """Equal for two sets of examples with the same facts, in any order."""

    examples: int = 0
    rewards: list[float] = field(default_factory=list)
    checksum: int = 0

    def add(self, facts: ExampleFacts) -> None:
        """Add one example."""
        self.examples += 1
        self.checksum += zlib.crc32(repr(tuple(facts)).encode())
        self.rewards = self.rewards or [0.0] * len(facts.outcomes)
        for index, (_, reward) in enumerate(facts.outcomes):
            self.rewards[index] += reward
