"""The worlds by name. The figures are exact, on the requests of `reference_requests`; tests/simulator assert them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

from event_schemas.errors import SettingError
from simulator.worlds.world import World
from simulator.worlds.world_shape import GateShape, WorldShape


@dataclass(frozen=True)
class NamedWorld:
    """A world that is described once and for all; a change of its figures raises its version.

    `summary` says what is true of it. Without a `shape` it is the world that the experiment's salt draws,
    `simulator.homefeed`.
    """

    name: str
    version: int
    shape: WorldShape | None
    summary: str

    @property
    def seed(self) -> int:
        """What its users and items are drawn with."""
        return zlib.crc32(f"{self.name}/{self.version}".encode())

    def populated(self, users: int) -> World:
        """The world with its first `users` users; raises ValueError for the world of the demo."""
        if self.shape is None:
            raise ValueError(f"{self.name} is drawn by simulator.homefeed_world")
        return World.made_of(self.shape, self.seed, users)

    @property
    def label(self) -> str:
        """Name and version, as reports show them."""
        return f"{self.name}/{self.version}"


HOMEFEED = WorldShape()
GATED = replace(HOMEFEED, same_slate=True)
WORLDS = {
    each.name: each
    for each in (
        NamedWorld(
            "homefeed",
            1,
            HOMEFEED,
            "A homefeed that is worth tuning for each request and not otherwise. No static arm raises both objectives."
            " The best arm of each request at α = 0.71 raises both by 4.5 %; without what histories tell it is 3.3 %,"
            " with an arm for each cohort 1.2 %. α = 0 loses 18 % of the P2P and α = 1 loses 19 % of the saves; 15 of"
            " the 25 α make one of them worse. CORE is safe with α from 0.71 to 0.88 and CASUAL from 0.21 to 0.58, so"
            " no α is safe for all.",
        ),
        NamedWorld(
            "null",
            1,
            GATED,
            "Every weight vector serves what production serves: all lifts are exactly 0. What passes the gate here"
            " passed by luck.",
        ),
        NamedWorld(
            "boundary",
            1,
            replace(GATED, gate=GateShape(level=(0.8, 0.8, 0.8), others=(1.2, 0.95, 1.0))),
            "Every arm but production saves 20 % more and sends 5 % less, for every request: a policy that never serves"
            " production is exactly at a margin of 0.05.",
        ),
        NamedWorld(
            "no_heterogeneity",
            1,
            replace(GATED, gate=GateShape(level=(0.8, 0.8, 0.8), height=(0.06, 0.06, 0.0), peak=(1 / 3, 2 / 3))),
            "One static arm, repin 73.3 and p2p 20.3, is the best one for every request and raises both objectives by"
            " exactly 6 %: there is nothing to personalise.",
        ),
        NamedWorld(
            "context_dominant",
            1,
            replace(HOMEFEED, context_spread=1.2, gain=0.15, catchy_spread=0.1, head_noise=2.0),
            "What users do depends on who they are and on a factor that no feature shows; the arms explain at most"
            " 0.1 % of the variance of expected rewards. Even the best arm of each request raises them by 3 % only.",
        ),
        NamedWorld(
            "easy",
            1,
            None,
            "The world of the demo, made so that 30,000 requests are enough to see a lift: the best arm of each request"
            " raises both objectives by 46 to 83 %, and a single static arm by 33 %. Nothing real is this easy.",
        ),
    )
}


def world(name: str) -> NamedWorld:
    """The world of this name; raises SettingError."""
    try:
        return WORLDS[name]
    except KeyError:
        raise SettingError(f"there is no world {name!r}", fix=f"use one of {', '.join(WORLDS)}") from None
