"""A run of a named world without producers or a join: its examples, written to Parquet files many rows at a time.

The same plan gives the examples that the real agent, loggers and join would give, apart from where the log holds them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from event_schemas.directory_sync import publish
from event_schemas.errors import SettingError
from event_schemas.experiment import Experiment
from event_schemas.units import HOUR_MS
from feature_contract import RequestColumns
from learner.examples import request_columns
from policy_store.records import ObjectiveWeights
from serving_agent.decide import ServingSnapshot
from simulator.example_columns import ExampleColumns, RankedRequests, RequestTexts
from simulator.homefeed_world import RunPlan, build_world
from simulator.traffic import TrafficPlan
from simulator.vector_agent import SLICES, UserArms, VectorAgent, VectorDecisions, VectorRequests
from simulator.visible_features import request_names
from simulator.world_stage import WorldStage
from simulator.worlds.engagements import Engaged
from simulator.worlds.user_log import COHORTS
from simulator.worlds.world_shape import KINDS

ROWS_PER_FILE = 100_000
FEATURES = ("event_time", "user_embedding", "context", "history", "previous")
"""The fields of a request that features are made of."""


@dataclass
class VectorReport:
    """What was written: decisions by slice, logged ones, their mean rewards by objective, and the files."""

    world: str
    decisions: int
    logged: int
    slices: dict[str, int]
    mean_reward: dict[str, float]
    files: list[str]

    def as_dict(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return dict(self.__dict__)


class VectorRun:
    """One pass over a plan in a named world; raises SettingError for `easy`, which has no vectorised form.

    With `arms` it is an online experiment whose arms differ in their preference, on the users who are in one of them.
    """

    def __init__(
        self,
        experiment: Experiment,
        plan: RunPlan,
        snapshot: ServingSnapshot | None = None,
        arms: UserArms | None = None,
    ) -> None:
        stage, traffic = build_world(experiment, plan)
        self._arms = arms
        self._traffic = traffic if arms is None else traffic.take(arms.requests_of(traffic.user))
        if not isinstance(stage, WorldStage):
            raise SettingError(
                "the world 'easy' writes no examples by itself", fix="choose another world, for example homefeed"
            )
        self._experiment = experiment
        self._stage = stage
        self._agent = VectorAgent(experiment, snapshot or ServingSnapshot(ObjectiveWeights.in_force(experiment)))
        self._columns = ExampleColumns(experiment, self._agent, stage.run, stage.ranker_version)
        self.slices: Counter[str] = Counter()

    def frames(self) -> Iterator[pl.DataFrame]:
        """The examples, hour by hour."""
        for part in hours(self._traffic):
            yield self._hour(part)

    def _hour(self, part: TrafficPlan) -> pl.DataFrame:
        run, space = self._stage.run, self._experiment.action_space
        seen = run.features(part)
        ids, sessions = zip(*(request_names(part, row, self._stage.unit) for row in range(len(part))), strict=True)
        request = self._columns.request_columns(RequestTexts(ids, sessions), part, seen)

        def columns(rows: NDArray[np.int64]) -> RequestColumns:
            return request_columns(pl.DataFrame({f"request_{name}": request[name] for name in FEATURES})[rows])

        users, cohorts = request["user_id"].to_pylist(), [COHORTS[each] for each in seen.cohort.tolist()]
        preferences = None if self._arms is None else self._arms.of_users(part.user)
        decided = self._agent.decide(VectorRequests(ids, users, cohorts, columns, preferences))
        served = run.rank(part, space.weights[decided.arm])
        counts = self._counts(part, run.react(part, served))
        ranked = RankedRequests(run.summaries(part), served.places.item_numbers(run.world.shape.candidates))
        self._note(decided)
        return self._columns.frame(request, ranked, decided, counts)

    def _counts(self, part: TrafficPlan, engaged: Engaged) -> NDArray[np.float64]:
        """How many engagements inside its window each request has for each objective, [n, counted]."""
        delay = engaged.done.time - part.time[engaged.row]
        found = []
        for objective in self._experiment.counted:
            kinds = [number for number, kind in enumerate(KINDS) if kind in objective.kinds]
            counts = np.isin(engaged.done.kind, kinds) & (delay <= objective.attribution) & (engaged.copies > 0)
            found.append(np.bincount(engaged.row[counts], minlength=len(part)))
        return np.column_stack(found).astype(np.float64)

    def _note(self, decided: VectorDecisions) -> None:
        counts = np.bincount(decided.slice, minlength=len(SLICES)).tolist()
        self.slices.update({each.value: count for each, count in zip(SLICES, counts, strict=True) if count})


def hours(plan: TrafficPlan) -> Iterator[TrafficPlan]:
    """The requests of each full hour."""
    bounds = np.flatnonzero(np.diff(plan.time // HOUR_MS)) + 1
    for start, stop in zip([0, *bounds.tolist()], [*bounds.tolist(), len(plan)], strict=True):
        yield plan.part(start, stop)


def write_examples(
    experiment: Experiment,
    plan: RunPlan,
    into: Path,
    *,
    snapshot: ServingSnapshot | None = None,
    progress: Callable[[int], None] | None = None,
    rows_per_file: int = ROWS_PER_FILE,
) -> VectorReport:
    """Writes the plan's examples into `into` as `examples-<number>.parquet`, an empty or new folder.

    `progress` is called with the number of decisions so far. Raises SettingError if the folder holds anything.
    """
    run = VectorRun(experiment, plan, snapshot)
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise SettingError(f"--into {into} is not an empty folder", fix="name a folder that does not exist yet")
    into.mkdir(parents=True, exist_ok=True)
    files, waiting, sums = list[str](), list[pl.DataFrame](), Counter[str]()

    def write() -> None:
        path = into / f"examples-{len(files):06d}.parquet"
        beside = path.with_suffix(".tmp")
        rows = pl.concat(waiting)
        rows.write_parquet(beside, compression="zstd")
        publish(beside, path)
        files.append(path.name)
        sums.update(_sums(rows))
        waiting.clear()

    for frame in run.frames():
        waiting.append(frame)
        if sum(each.height for each in waiting) >= rows_per_file:
            write()
        if progress is not None:
            progress(run.slices.total())
    if waiting:
        write()
    logged = sums.pop("", 0)
    means = {name: total / max(logged, 1) for name, total in sums.items()}
    return VectorReport(plan.world.label, run.slices.total(), logged, dict(run.slices), means, files)


def _sums(rows: pl.DataFrame) -> dict[str, Any]:
    """The sum of rewards by objective, and under an empty name the number of rows."""
    rewards = rows.select(pl.col("outcome_objectives").explode().struct.unnest())
    sums = rewards.group_by("objective", maintain_order=True).agg(pl.col("reward").sum())
    return {"": rows.height, **dict(sums.iter_rows())}
