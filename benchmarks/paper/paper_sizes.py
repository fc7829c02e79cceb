"""How much of each study is run: a reduced one for half an hour of two cores, and the full one for a night."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PaperSizes:
    """What one replication draws.

    learner         what is trained on the explored rows
    seeds           replications
    plans           runs of 21 days of the same users, each with `requests` requests; about 44 % are in the last 7 days
    training_plans  the first runs, whose first 14 days are trained on
    users           of the explored runs; as many others take part online
    known           requests whose exact values under every arm are computed
    online_plans    runs of 7 days with the online arms, each with `online` requests
    controls        explored rows of each log of the controls
    """

    learner: str
    seeds: int
    plans: int
    training_plans: int
    requests: int
    users: int
    known: int
    online_plans: int
    online: int
    controls: int

    @property
    def most_plans(self) -> int:
        """How many runs a replication has numbers for, of each kind."""
        return max(self.plans, self.online_plans)


REDUCED = PaperSizes(
    learner="linear",
    seeds=5,
    plans=1,
    training_plans=1,
    requests=150_000,
    users=5_400,
    known=5_000,
    online_plans=1,
    online=120_000,
    controls=20_000,
)
FULL = PaperSizes(
    learner="q_network",
    seeds=20,
    plans=5,
    training_plans=2,
    requests=1_000_000,
    users=60_000,
    known=20_000,
    online_plans=6,
    online=500_000,
    controls=200_000,
)
