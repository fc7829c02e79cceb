"""Logs of a named world in memory, with the exact value of every arm for their explored requests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from event_schemas.experiment import Experiment
from event_schemas.slices import Slice
from event_schemas.units import DAY_MS
from simulator.homefeed_world import RunPlan, build_world
from simulator.vector_run import VectorRun
from simulator.visible_features import request_names
from simulator.world_stage import WorldStage
from simulator.worlds import world
from simulator.worlds.engagements import attributions, inside_share
from simulator.worlds.world_shape import KINDS

START = 1_763_942_400_000
REQUESTS_PER_USER = 5
"""With fewer users the most active ones would be too much of a short log."""


@dataclass(frozen=True, eq=False)
class KnownLog:
    """The explored examples, and E[reward | request, arm] of those asked for, [n, arms, objectives]."""

    frame: pl.DataFrame
    experiment: Experiment
    plan: RunPlan

    def values(self, request_ids: pl.Series) -> NDArray[np.float64]:
        """The exact values of these requests, in their order; raises KeyError for a request of another plan."""
        experiment = self.experiment
        stage, traffic = build_world(experiment, self.plan)
        assert isinstance(stage, WorldStage)
        unit = experiment.exploration.id_unit
        place = {request_names(traffic, row, unit)[0]: row for row in range(len(traffic))}
        asked = traffic.take(np.array([place[each] for each in request_ids]))
        inside = inside_share(attributions(experiment))
        values = stage.run.world.arm_values(stage.run.states(asked), experiment.action_space.weights, inside)
        columns = [KINDS.index(name) for name in experiment.objective_names]
        return np.asarray(values[..., columns])


def known_log(experiment: Experiment, name: str, requests: int, days: int, seed: int) -> KnownLog:
    """A log of `requests` requests in `days` days of the world `name`; seeds give other traffic of the same users."""
    users = requests // REQUESTS_PER_USER
    plan = RunPlan(seed, requests, START, START + days * DAY_MS, users, world(name))
    explored = pl.col("action_slice") == Slice.EXPLORE.value
    frames = [frame.filter(explored) for frame in VectorRun(experiment, plan).frames()]
    return KnownLog(pl.concat(frames), experiment, plan)
