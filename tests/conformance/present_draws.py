"""What Trimtab's own code answers to the vectors about exploration: units, settings, and what is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from event_schemas.action_space import Bounds, box_action_space
from event_schemas.box_draws import BoxDistribution, UniformSide
from event_schemas.experiment import Experiment, parse_experiment
from event_schemas.experiment_coins import arm_label
from event_schemas.exploration import ExplorationDraws, ExplorationSettings, draw_of
from event_schemas.exploration_units import log_unit_of, unit_of
from event_schemas.truncated_normal import TruncatedNormal
from serving_agent.decide.online_experiments import LoadedArm, LoadedExperiment, arm_for
from tests.conformance.draw_vectors import (
    ExperimentExpected,
    ExperimentGiven,
    ExploredExpected,
    ExploredGiven,
    LogUnitExpected,
    LogUnitGiven,
    NormalExpected,
    NormalGiven,
    PolicyArmGiven,
    PolicyVectorExpected,
    PolicyVectorGiven,
    ProposedWeight,
    SettingsExpected,
    SettingsGiven,
    UnitExpected,
    UnitGiven,
)
from tests.conformance.vector_files import ArmExpected


def experiment_of(section: Mapping[str, Any], **rates: Any) -> Experiment:
    """An experiment with this action space."""
    document = {
        "experiment": {"name": "vectors", "salt": "pepper", **rates},
        "objectives": [{"name": "repin", "kinds": ["repin"], "attribution": "30m"}],
        **section,
    }
    return parse_experiment(document, Path("vectors.toml"))


def answer_unit(given: UnitGiven) -> UnitExpected:
    return UnitExpected(unit=unit_of(given.request_id, given.unit))


def answer_log_unit(given: LogUnitGiven) -> LogUnitExpected:
    found = log_unit_of(given.request_id, given.user_id, given.log_unit, given.exploration_unit)
    return LogUnitExpected(log_unit=found)


def answer_experiment(given: ExperimentGiven) -> ExperimentExpected:
    arms = tuple(LoadedArm(arm_label(given.experiment_id, arm.name), arm.share) for arm in given.arms)
    experiment = LoadedExperiment(given.experiment_id, given.share, arms, 0, 1, 1.0, 0)
    arm = arm_for([experiment], given.salt, given.user_id, 0)
    return ExperimentExpected(experiment_arm=None if arm is None else arm.label)


def answer_settings(given: SettingsGiven) -> SettingsExpected:
    settings = ExplorationSettings(**{**given.model_dump(), "sd": tuple(given.sd)})
    if ExplorationSettings.parse(settings.digest, settings.text) != settings:
        raise ValueError("the settings do not survive")
    return SettingsExpected(settings=settings.text, digest=settings.digest)


def answer_normal(given: NormalGiven) -> NormalExpected:
    side = TruncatedNormal(given.mean, given.sd, given.low, given.high)
    return NormalExpected(drawn=side.draw(given.coin), log_density=side.log_density(given.value))


def answer_explored(given: ExploredGiven) -> ExploredExpected:
    experiment = experiment_of(
        {"weights": [weight.model_dump(exclude_none=True) for weight in given.weights]},
        salt=given.salt,
        production_share=given.production_share,
        exploration_kind=given.kind,
    )
    draws = ExplorationDraws(experiment.action_space, experiment.exploration)
    drawn = draws.explore(given.request_id, given.eligible)
    return ExploredExpected(
        arm=drawn.arm,  # type: ignore[arg-type]
        propensity=drawn.propensity,
        weights=list(drawn.weights),
        log_density=drawn.log_density,
    )


def answer_policy_arm(given: PolicyArmGiven) -> ArmExpected:
    drawn = draw_of(given.probabilities, given.draw)
    return ArmExpected(arm=drawn.arm, propensity=drawn.propensity)


def answer_policy_vector(given: PolicyVectorGiven) -> PolicyVectorExpected:
    sides = tuple(map(_side, given.proposal))
    proposal = BoxDistribution(tuple(weight.name for weight in given.proposal), sides)
    space = box_action_space([Bounds(each.name, each.low, each.low, each.high) for each in given.proposal])
    settings = ExplorationSettings(space.digest, "uniform", "request", given.salt, 0.0, 0.0, 0.0, 0.0)
    drawn = ExplorationDraws(space, settings).policy_vector(given.request_id, proposal)
    if drawn.log_density is None:
        raise ValueError("no density")
    return PolicyVectorExpected(weights=list(drawn.weights), log_density=drawn.log_density)


def _side(weight: ProposedWeight) -> TruncatedNormal | UniformSide:
    if weight.mean is None or weight.sd is None:
        return UniformSide(weight.low, weight.high)
    return TruncatedNormal(weight.mean, weight.sd, weight.low, weight.high)
