"""The verdict on a log: drawn as logged, explored at its rates, complete by counts, and of many users."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import polars as pl

from event_schemas.experiment import Experiment
from event_schemas.units import DAY_MS
from learner.examples.heavy_units import HeavyUnit
from learner.examples.learning_rows import LearningRows
from learner.examples.stored_counts import StoredCounts
from learner.examples.tally_shelf import KeptTallies
from learner.judgement.completeness import CountedLog
from learner.judgement.design_effect import design_effect
from learner.judgement.exploration_rates import Exploration, rate_parts, settings_part
from learner.judgement.log_soundness import LogSoundness, propensity_parts

SLACK_SHARE = 4
"""The first and the last stored decision may lie a quarter of the join's window inside the tallied span of a day: the
tallies of live traffic are a whole window ahead of the examples, but for the seconds between two tallies."""


@dataclass(frozen=True, eq=False)
class ExploredLog:
    """What a verdict on a log is about.

    judged    the rows that estimates are made from
    explored  further explored rows of the same window, without the judged ones
    control   its CONTROL decisions, with the columns of examples
    heavy     the units that are left out of the rows because they have too many
    stored    the counts of all stored decisions
    """

    judged: LearningRows
    explored: tuple[LearningRows, ...]
    control: pl.DataFrame
    heavy: tuple[HeavyUnit, ...]
    stored: StoredCounts

    @property
    def parts(self) -> tuple[LearningRows, ...]:
        """All rows, in the order of time."""
        return tuple(part for part in (*self.explored, self.judged) if part.count)


def judge_log(log: ExploredLog, experiment: Experiment, kept: KeptTallies) -> LogSoundness:
    """The verdict on the log; without tallies its completeness is unverified, and only its draws are tested."""
    parts = propensity_parts(log.judged, experiment, log.control)
    if not log.parts:
        return LogSoundness.of(log.judged.count, parts, "no explored decision is stored", log.heavy)
    exploration, days = _exploration(log, experiment), _days(log)
    slack = experiment.window_ms // SLACK_SHARE
    judged = Counter((log.judged.event_times // DAY_MS).tolist())
    counted = CountedLog(kept.tallies, log.stored, judged, days, slack, kept.ended_before(log.stored.last))
    complete = counted.compared(exploration.design_effect, experiment.action_space.arm_names)
    of_settings = settings_part(kept.tallies, log.stored, complete.whole, exploration)
    parts += rate_parts(kept.tallies, days, exploration)
    parts += [part for part in (of_settings, complete.part) if part is not None]
    return LogSoundness.of(log.judged.count, parts, complete.doubt, log.heavy)


def _exploration(log: ExploredLog, experiment: Experiment) -> Exploration:
    """How the log's decisions explore.

    A cap lowers ε_t once many sessions explore, and these sessions then explore less: fewer than Σ ε_t in all. A
    request has a coin of its own, which no ε_t of the past depends on.
    """
    rates = experiment.experiment
    known = [each.exploration_rate for part in log.parts for each in part.settings.settings]
    logged = [float(np.fmax.reduce(part.frame["propensity_slice_probability"].to_numpy())) for part in log.parts]
    may_be_fewer = rates.exploration_unit != "request" and rates.exploration_cap is not None
    request_ids = (name for part in log.parts for name in part.frame["request_request_id"])
    clustering = design_effect(request_ids, rates.exploration_unit)
    return Exploration(min(1.0, max([*known, *logged])), clustering, may_be_fewer)


def _days(log: ExploredLog) -> range:
    """The UTC days of the window."""
    times = [int(time) for part in log.parts for time in (part.event_times[0], part.event_times[-1])]
    return range(min(times) // DAY_MS, max(times) // DAY_MS + 1)
