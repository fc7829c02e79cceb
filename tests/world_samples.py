"""What tests of the simulated worlds share: the paper's grid, and short runs that start at midnight."""

from __future__ import annotations

import numpy as np

from event_schemas.action_space import Axis, grid_action_space
from event_schemas.units import DAY_MS, MINUTE_MS
from simulator.traffic import TrafficPlan, plan_traffic
from simulator.worlds.faults import Faults
from simulator.worlds.named_worlds import world
from simulator.worlds.world_run import RunCalendar, WorldRun

SPACE = grid_action_space([Axis("repin", 91.6, 10, 200, 7), Axis("p2p", 9.1, 1, 30, 7)])
START = 1_763_942_400_000
WINDOWS = [30 * MINUTE_MS] * 3


def short_run(
    name: str = "homefeed", requests: int = 600, days: int = 1, users: int = 200, faults: Faults | None = None
) -> tuple[WorldRun, TrafficPlan]:
    """A run of a world and its plan."""
    drawn = world(name).populated(users)
    end = START + days * DAY_MS
    run = WorldRun(drawn, RunCalendar(START, end, requests / users / days), faults)
    return run, plan_traffic(1, drawn.people, requests, start_ms=START, end_ms=end)


def production_of(requests: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Production's tuned weights for so many requests, [n, 2]."""
    return np.tile(SPACE.weights[SPACE.production_arm], (requests, 1))
