"""Finding 7: three controls that must come out the other way.

- Without heterogeneity one arm is the best for every request, so a learned policy gains nothing over the static arm of
  its own average weights. (It still gains over its own marginal: it errs less for users who engage more.)
- Where only the context (device and hour) decides what users want, a learner that is given the context alone misses
  less than one that is given the user alone; in the homefeed it is the other way round (A.4).
- With propensities logged wrong for one cohort, the log check stops the log; the estimates from it, shown all the same,
  are biased, and those from the sound log are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.learner_regret import algorithm_of
from benchmarks.learner_worlds import LearnerLog, learner_log
from benchmarks.paper.lift_points import over_seeds
from benchmarks.paper.paper_sizes import PaperSizes
from benchmarks.paper.personalisation import rival_values
from benchmarks.paper.replication import KnownRequests
from event_schemas.experiment import Experiment
from feature_contract import FeatureContract, ModelInput
from learner.examples.learning_rows import LearningRows
from learner.judgement.log_soundness import LogSoundness, propensity_parts
from off_policy.intervals import EvidenceRequirements
from off_policy.policy_evaluation import evaluate_policies
from off_policy.target_policies import constant_policy
from simulator.worlds import world
from simulator.worlds.named_worlds import HOMEFEED, NamedWorld
from simulator.worlds.world_shape import LeanShape

ALPHA = 0.5
GROUPS = {"user": ("user_embedding",), "history": ("history_",), "context": ("context_",)}
"""Groups of features, by the beginnings of their arrays' names."""
TESTED = 4_000
RIVALS = ("nearest", "marginal", "best", "production")
"""What the learned policy is compared with: see `personalisation`, and the best static arm by exact values."""
WRONG_COHORT, FACTOR = "CORE", 0.5
"""In the corrupted log the propensities of this cohort are this much of what they were."""
CONTEXT_WORLD = NamedWorld(
    "context_lean",
    1,
    replace(
        HOMEFEED,
        lean=LeanShape(trait=0.0, intent=0.0, crossed=0.0, paired=0.0, topic=0.0, device=4.0, evening=1.5),
        rates=(0.2, 0.2, 0.01),
        rate_spread=(0.0, 0.0, 0.0),
        collector_share=0.0,
        catchy_spread=0.0,
        mix=0.95,
        gain=2.0,
    ),
    "Users are alike, items matter much, and what a request leans to follows from its device and hour alone.",
)


def controls(seed: int, sizes: PaperSizes) -> dict[str, Any]:
    """All controls of one seed."""
    alike = learner_log(seed, sizes.controls, TESTED, world("no_heterogeneity"))
    homefeed = learner_log(seed, sizes.controls, TESTED)
    in_context = learner_log(seed, sizes.controls, TESTED, CONTEXT_WORLD)
    return {
        "alike": personalisation_gain(alike, sizes.learner, seed),
        "homefeed": personalisation_gain(homefeed, sizes.learner, seed),
        "regret": {
            "homefeed": group_regrets(homefeed, sizes.learner, seed),
            CONTEXT_WORLD.name: group_regrets(in_context, sizes.learner, seed),
        },
        "corrupted": corruption(homefeed),
    }


def personalisation_gain(log: LearnerLog, learner: str, seed: int) -> dict[str, float]:
    """At ALPHA, in percent of production's utility: what the learned policy gains over static rivals of its own average
    weights, over the best static arm, and over production."""
    algorithm = algorithm_of(learner, log, seed)
    algorithm.fit(log.training, lambda _: None)
    weights = np.array([1.0 - ALPHA, ALPHA])
    arms = (algorithm.score(log.tested.inputs) @ weights).argmax(axis=1)
    space = log.experiment.action_space
    known = KnownRequests(np.array([], dtype=object), arms[None], log.values, space.production_arm)
    utility = {name: float(each.mean(axis=0) @ weights) for name, each in rival_values(known, arms, space).items()}
    base = float(log.values[:, space.production_arm].mean(axis=0) @ weights)
    rivals = {**utility, "best": float((log.values.mean(axis=0) @ weights).max()), "production": base}
    return {name: 100.0 * (utility["learned"] - rivals[name]) / base for name in RIVALS}


def group_regrets(log: LearnerLog, learner: str, seed: int) -> dict[str, float]:
    """The regret at ALPHA of the learner that is given one group of features alone, the others being 0."""
    found = {}
    for name, kept in GROUPS.items():
        algorithm = algorithm_of(learner, log, seed)
        algorithm.fit(replace(log.training, inputs=isolated(log.training.inputs, kept)), lambda _: None)
        found[name] = log.regret(algorithm.score(isolated(log.tested.inputs, kept)), ALPHA)
    return found


def isolated(inputs: ModelInput, kept: Sequence[str]) -> ModelInput:
    """The same arrays with zeros in all but those whose names begin with one of `kept`."""
    arrays = {name: array if name.startswith(tuple(kept)) else np.zeros_like(array) for name, array in inputs.items()}
    return ModelInput(arrays, inputs.rows)


def corruption(log: LearnerLog) -> dict[str, Any]:
    """What the log check says of the sound log and of the corrupted one, and what both would say of production."""
    experiment = log.experiment
    wrong = corrupted(log.training, experiment)
    return {
        "true": log.values[:, experiment.action_space.production_arm].mean(axis=0).tolist(),
        "sound": {
            "verdict": verdict(log.training, experiment),
            "production": production_values(log.training, experiment),
        },
        "corrupted": {"verdict": verdict(wrong, experiment), "production": production_values(wrong, experiment)},
    }


def corrupted(rows: LearningRows, experiment: Experiment) -> LearningRows:
    """The rows with the propensities of WRONG_COHORT logged as FACTOR of what they were."""
    lowered = pl.when(pl.col("request_cohort") == WRONG_COHORT).then(FACTOR).otherwise(1.0)
    frame = rows.frame.with_columns(pl.col("propensity_propensity") * lowered)
    return LearningRows.of(frame, experiment, FeatureContract.from_experiment(experiment))


def verdict(rows: LearningRows, experiment: Experiment) -> str:
    """What the log check says of the draws; the simulated log is complete, so nothing is asked of its counts."""
    return LogSoundness.of(rows.count, propensity_parts(rows, experiment), doubt="").verdict.value


def production_values(rows: LearningRows, experiment: Experiment) -> list[float]:
    """The estimated value of production for each objective (SNIPS)."""
    base = constant_policy("production", experiment.action_space.production_arm, rows.count)
    report = evaluate_policies(rows.logged_bandit(experiment), [], base, None, EvidenceRequirements())
    return [each.estimates["snips"].value for each in report.baseline.objectives.values()]


def summary(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Over seeds: gains, regrets, and errors of production's values in percent of the true ones."""
    gains = {
        name: {each: over_seeds([run[name][each] for run in runs]) for each in RIVALS} for name in ("alike", "homefeed")
    }
    regrets: dict[str, Any] = {}
    for name in ("homefeed", CONTEXT_WORLD.name):
        own = [run["regret"][name] for run in runs]
        regrets[name] = {group: over_seeds([each[group] for each in own]) for group in GROUPS}
        regrets[name]["context - user"] = over_seeds([each["context"] - each["user"] for each in own])
    logs = {
        name: {
            "stopped": sum(run["corrupted"][name]["verdict"] == "unsound" for run in runs),
            "error": [over_seeds([_error(run["corrupted"], name)[place] for run in runs]) for place in range(2)],
        }
        for name in ("sound", "corrupted")
    }
    return {"gains": gains, "regret": regrets, "logs": logs, "seeds": len(runs)}


def _error(run: dict[str, Any], name: str) -> NDArray[np.float64]:
    """By how many percent the estimates of production are off."""
    error: NDArray[np.float64] = 100.0 * (np.array(run[name]["production"]) / np.array(run["true"]) - 1.0)
    return error
