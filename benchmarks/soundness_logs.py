"""Logs of explored decisions with the tallies of their producers: sound ones, and ones with a known fault.

A week of decisions by users whose activity differs, drawn from 51 arms as an experiment explores them. Producers count
every decision, and the explored ones are stored. Rows name no exploration settings, so their draws cannot be
recomputed: what is found is found by counting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from event_schemas.experiment import Experiment
from event_schemas.slices import Slice, exploration_distribution
from event_schemas.units import DAY_MS
from feature_contract import ModelInput
from learner.examples.heavy_units import heavy_units, without_units
from learner.examples.learning_rows import LearningRows
from learner.examples.row_outcomes import RowOutcomes
from learner.examples.row_settings import RowSettings
from learner.examples.slice_tallies import ArmDay, SliceTallies, SpanDay, SpanTotal
from learner.examples.stored_counts import StoredCounts
from learner.examples.tally_shelf import KeptTallies
from learner.judgement.log_judgement import ExploredLog, judge_log
from learner.judgement.log_soundness import LogSoundness

ARMS, DAYS, FIRST_DAY = 51, 7, 20_000
RATE, LOWERED = 0.25, 0.1
MEAN_SESSION = 2.5
USERS, MOST_ACTIVE = 2_000, 20.0
"""Nobody acts more than 20 times as often as the median user: someone with 4 % of all rows is a fault, not a person."""
REWARD_RATE = 0.05
DIGEST = "d" * 64
FOREIGN_ROWS = 60
RARE = 1
"""The arm that only one list of eligible arms in ten has."""
WRONG = 0.2
"""By how much arms, rows or rewards are wrong in a faulty log."""


def soundness_experiment(unit: str) -> Experiment:
    """An experiment with a catalogue of ARMS arms, explored equally often."""
    arms = [{"name": f"a{arm}", "features": [float(arm)]} for arm in range(ARMS)]
    return Experiment.model_validate(
        {
            "experiment": {"name": "soundness", "salt": "s", "exploration_rate": RATE, "exploration_unit": unit},
            "catalogue": {"production": "a0", "features": ["x"], "arms": arms},
            "objectives": [{"name": "click", "kinds": ["click"], "attribution": "30m"}],
        }
    )


@dataclass(frozen=True, slots=True)
class SoundnessWorld:
    """What a log is drawn from: `rows` explored decisions on average, and at most one fault.

    by_session   sessions explore whole, and are lost whole
    loss         share of the decisions that are not stored
    moving       the exploration rate is lowered from RATE to LOWERED on the fifth day, and raised for a day before
    lists        lists of eligible arms, of which the first are asked for most often (Zipf); each is a group of rows
                 with a distribution of its own, and has half of the arms; 0: every arm is always eligible
    fault        its name; "" for a sound log
    """

    name: str
    rows: int = 10_000
    by_session: bool = False
    loss: float = 0.0
    moving: bool = False
    lists: int = 0
    fault: str = ""


@dataclass(frozen=True, eq=False)
class _Decisions:
    """All decisions in the order of time; explored ones have an arm.

    unit      numbers what explores together
    eligible  the eligible arms of each list; one empty list, of all arms, in a world without lists
    listed    the list of each decision
    """

    time: NDArray[np.int64]
    user: NDArray[np.int64]
    unit: NDArray[np.int64]
    rate: NDArray[np.float64]
    explored: NDArray[np.bool_]
    arm: NDArray[np.int64]
    eligible: list[list[int]]
    listed: NDArray[np.int64]


def judged(world: SoundnessWorld, experiment: Experiment, rng: np.random.Generator) -> LogSoundness:
    """The verdict on one log of the world."""
    decisions = _drawn(world, experiment, rng)
    frame = _stored(world, decisions, rng)
    rows = _rows(frame, experiment)
    heavy = heavy_units(rows)
    log = ExploredLog(without_units(rows, heavy), (), frame[:0], heavy, StoredCounts.of(frame))
    return judge_log(log, experiment, KeptTallies(_tallied(decisions)))


def _drawn(world: SoundnessWorld, experiment: Experiment, rng: np.random.Generator) -> _Decisions:
    mean_rate = (RATE * 4 + 2 * RATE + 2 * LOWERED) / DAYS if world.moving else RATE
    count = int(world.rows / mean_rate)
    unit = np.repeat(np.arange(count), rng.geometric(1.0 / MEAN_SESSION, count))[:count]
    if not world.by_session:
        unit = np.arange(count)
    times = np.sort(rng.integers(0, DAYS * DAY_MS, count))
    rate = np.full(count, RATE)
    if world.moving:
        day = times // DAY_MS
        rate = np.select([day == 3, day >= 5], [2 * RATE, LOWERED], RATE)
    firsts = np.flatnonzero(np.diff(unit, prepend=-1))
    explored = rng.random(len(firsts))[unit] < rate
    activity = np.minimum(rng.lognormal(0.0, 1.0, USERS), MOST_ACTIVE)
    users = rng.choice(len(activity), len(firsts), p=activity / activity.sum())[unit]
    eligible = _eligible_lists(world, rng)
    asked = 1.0 / np.arange(1, len(eligible) + 1)
    listed = rng.choice(len(eligible), size=count, p=asked / asked.sum())
    arms = np.zeros(count, dtype=np.int64)
    for number, each in enumerate(eligible):
        rows = np.flatnonzero(listed == number)
        arms[rows] = rng.choice(ARMS, size=len(rows), p=_shares(world, experiment, each))
    return _Decisions(FIRST_DAY * DAY_MS + times, users, unit, rate, explored, arms, eligible, listed)


def _eligible_lists(world: SoundnessWorld, rng: np.random.Generator) -> list[list[int]]:
    """Half of the arms in each list, always with production; RARE in every tenth."""
    if not world.lists:
        return [[]]
    others = [arm for arm in range(ARMS) if arm not in (0, RARE)]
    drawn = [rng.choice(others, ARMS // 2 - 1, replace=False).tolist() for _ in range(world.lists)]
    return [sorted([0, *each, *([RARE] if number % 10 == 9 else [])]) for number, each in enumerate(drawn)]


def _shares(world: SoundnessWorld, experiment: Experiment, eligible: list[int]) -> NDArray[np.float64]:
    """How often arms are really drawn."""
    shares = exploration_distribution(experiment.action_space, eligible, experiment.production_share)
    if world.fault.startswith("half_the_arms"):
        shares = shares * np.where(np.arange(ARMS) % 2, 1.0 + WRONG, 1.0 - WRONG)
    share: NDArray[np.float64] = shares / shares.sum()
    return share


def _stored(world: SoundnessWorld, decisions: _Decisions, rng: np.random.Generator) -> pl.DataFrame:
    """The explored decisions as they are stored."""
    lost = rng.random(int(decisions.unit[-1]) + 1)[decisions.unit] < world.loss
    kept = np.flatnonzero(decisions.explored & ~lost)
    count, arms = len(kept), decisions.arm[kept]
    listed = decisions.listed[kept]
    propensity = np.array([1.0 / (len(each) or ARMS) for each in decisions.eligible])[listed]
    users = np.char.add("u", decisions.user[kept].astype(str))
    ids = np.char.add(np.char.add(np.char.add("s", decisions.unit[kept].astype(str)), "~"), kept.astype(str))
    keep = np.ones(count, dtype=np.bool_)
    match world.fault:
        case "factor_up" | "factor_down":
            propensity *= 1.0 + WRONG if world.fault == "factor_up" else 1.0 - WRONG
        case "half_the_arms_with_foreign":
            propensity[rng.choice(count, FOREIGN_ROWS, replace=False)] *= 1.5
        case "arms_missing":
            keep = (arms % 2 == 0) | (rng.random(count) >= WRONG)
        case "zeros_dropped":
            keep = (rng.random(count) < REWARD_RATE) | (rng.random(count) >= WRONG)
        case "bot":
            users = np.where(rng.random(count) < 0.05, "crawler", users)
    frame = pl.DataFrame(
        {
            "request_request_id": ids,
            "request_user_id": users,
            "request_event_time": decisions.time[kept],
            "action_arm": arms,
            "action_eligible": pl.Series(decisions.eligible, dtype=pl.List(pl.Int64)).gather(listed),
            "propensity_propensity": propensity,
            "propensity_slice_probability": decisions.rate[kept],
            "outcome_partition": kept % 4,
        }
    ).filter(keep)
    if world.fault == "doubled":
        again = frame.filter(rng.random(count) < WRONG)
        frame = pl.concat([frame, again.with_columns(pl.col("request_request_id") + "-again")])
    return frame.sort("request_event_time").with_columns(
        pl.lit(Slice.EXPLORE.value).alias("action_slice"),
        pl.lit([], dtype=pl.List(pl.Float64)).alias("propensity_probabilities"),
        pl.lit(None, dtype=pl.String).alias("propensity_exploration"),
    )


def _rows(frame: pl.DataFrame, experiment: Experiment) -> LearningRows:
    nothing: Any = np.zeros((frame.height, 1))
    return LearningRows(
        inputs=ModelInput({}, frame.height),
        arms=frame["action_arm"].to_numpy(),
        propensities=frame["propensity_propensity"].to_numpy(),
        outcomes=RowOutcomes(("none",), 1, nothing, nothing.astype(np.bool_), np.ones(1)),
        event_times=frame["request_event_time"].to_numpy(),
        frame=frame,
        settings=RowSettings.of(frame, experiment, {}),
    )


def _tallied(decisions: _Decisions) -> SliceTallies:
    """What the producers counted."""
    day = decisions.time // DAY_MS
    explored = decisions.explored
    arms: dict[ArmDay, int] = {}
    cells, counts = np.unique(np.stack([day[explored], decisions.arm[explored]]), axis=1, return_counts=True)
    for (each, arm), number in zip(cells.T.tolist(), counts.tolist(), strict=True):
        arms[ArmDay(each, Slice.EXPLORE, arm)] = number
    spans: dict[SpanDay, SpanTotal] = {}
    for each in np.unique(day).tolist():
        of_day = np.flatnonzero(day == each)
        times, sizes = decisions.time[of_day], np.unique(decisions.unit[of_day], return_counts=True)[1]
        rates, squares = float(decisions.rate[of_day].sum()), float((sizes**2).sum())
        span = SpanTotal(int(times[0]), int(times[-1]), len(of_day), len(sizes), rates, squares)
        spans[SpanDay(DIGEST, each)] = span
        arms[ArmDay(each, Slice.POLICY, 0)] = int((~explored[of_day]).sum())
    total = {Slice.EXPLORE.value: int(explored.sum()), Slice.POLICY.value: int((~explored).sum())}
    return SliceTallies(total, {}, arms, spans)
