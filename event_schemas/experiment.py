"""The experiment file `trimtab.toml`: what is tuned, for which objectives, and within which bounds."""

from __future__ import annotations

import csv
import math
import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from event_schemas.action_space import ActionSpace, Axis, catalogue_action_space, grid_action_space
from event_schemas.bridge_section import BridgeSpec
from event_schemas.errors import ExperimentError
from event_schemas.experiment_sections import (
    CatalogueSpec,
    CohortSpec,
    ExperimentSpec,
    FeatureSpec,
    GateSpec,
    GuardrailSpec,
    JoinSpec,
    LearnerSpec,
    ObjectiveSpec,
    PreferenceSpec,
    Section,
    ServingSpec,
    WeightSpec,
)

GRID_PRODUCTION_SHARE = 0.125
MAX_GRID = 100_000
"""Most arms that a grid may have: the policy scores all of them for every request."""


class Experiment(Section):
    """One experiment: one action space, one topic prefix, one set of objectives."""

    experiment: ExperimentSpec = Field(description="Name, salt and rates.")
    weights: tuple[WeightSpec, ...] = Field(default=(), description="Tuned weights: a Cartesian grid, production last.")
    catalogue: CatalogueSpec | None = Field(
        default=None,
        description="Instead of a grid: arms with feature vectors, listed here or in `arms_file`, a CSV whose path is"
        " relative to the experiment file.",
    )
    objectives: tuple[ObjectiveSpec, ...] = Field(min_length=1, description="Rewards to count; at least one.")
    cohorts: tuple[CohortSpec, ...] = Field(default=(), description="User groups that may have their own preference.")
    guardrails: tuple[GuardrailSpec, ...] = Field(
        default=(), description="Metrics that are watched but never optimised."
    )
    features: FeatureSpec = Field(default_factory=FeatureSpec, description="Features that a request carries.")
    join: JoinSpec = Field(default_factory=JoinSpec, description="How events become examples.")
    learner: LearnerSpec = Field(default_factory=LearnerSpec, description="Training data, network and optimiser.")
    gate: GateSpec = Field(default_factory=GateSpec, description="Conditions that a policy must meet to ship.")
    preference: PreferenceSpec = Field(default_factory=PreferenceSpec, description="How objectives are weighed.")
    serving: ServingSpec = Field(
        default_factory=ServingSpec, description="Time limits and checkpoint pick-up of a serving node."
    )
    bridge: tuple[BridgeSpec, ...] = Field(
        default=(), description="Your own topics whose records become engagements; see docs/guides/bridge.md."
    )

    @model_validator(mode="after")
    def _sections_fit_together(self) -> Self:
        if bool(self.weights) == (self.catalogue is not None):
            raise ValueError("declare either [[weights]] or [catalogue], exactly one of them")
        points = math.prod(weight.steps for weight in self.weights)
        if points > MAX_GRID:
            raise ValueError(f"the [[weights]] span a grid of {points} arms, more than {MAX_GRID}: reduce their steps")
        if self.catalogue is not None and self.experiment.production_share:
            raise ValueError("experiment.production_share is for weight grids; a catalogue explores its arms uniformly")
        for table in ("weights", "objectives", "cohorts", "guardrails"):
            names = [row.name for row in getattr(self, table)]
            if len(names) != len(set(names)):
                raise ValueError(f"[[{table}]] names must be unique, not {names}")
        target = self.preference.alpha_objective
        if target is not None and target not in self.objective_names:
            raise ValueError(
                f"preference.alpha_objective {target!r} is not one of the objectives {self.objective_names}"
            )
        if len(self.objectives) == 2 and target is None:
            raise ValueError(
                "preference.alpha_objective is missing: with two objectives, name the one that alpha multiplies"
            )
        return self

    @model_validator(mode="after")
    def _bridges_count_for_something(self) -> Self:
        topics = [source.topic for source in self.bridge]
        if len(topics) != len(set(topics)):
            raise ValueError(f"[[bridge]] topics must be unique, not {topics}")
        counted = {kind for objective in self.objectives for kind in objective.kinds}
        counted |= {kind for guardrail in self.guardrails for kind in guardrail.kinds}
        for source in self.bridge:
            lost = sorted(set(source.named_kinds) - counted)
            if lost:
                raise ValueError(
                    f"bridge.kinds of {source.topic!r} maps to {lost}, which no objective or guardrail counts"
                    f" (counted: {sorted(counted)})"
                )
        return self

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return self.experiment.name

    @property
    def objective_names(self) -> tuple[str, ...]:
        """Objective names in file order."""
        return tuple(objective.name for objective in self.objectives)

    @property
    def longest_attribution_ms(self) -> int:
        """The longest attribution window of all objectives."""
        return max(objective.attribution for objective in self.objectives)

    @property
    def window_ms(self) -> int:
        """Longest attribution + allowed lateness: how long a decision stays open, and the learner's embargo."""
        return self.longest_attribution_ms + self.join.allowed_lateness

    @property
    def production_share(self) -> float:
        """P(production arm | EXPLORE): for a grid the declared value, else 0.125; 0 for a catalogue."""
        if self.catalogue is not None:
            return 0.0
        declared = self.experiment.production_share
        return GRID_PRODUCTION_SHARE if declared is None else declared

    @cached_property
    def action_space(self) -> ActionSpace:
        """The arms, built from the weights or the catalogue."""
        if self.catalogue is None:
            return grid_action_space([Axis(w.name, w.production, w.low, w.high, w.steps) for w in self.weights])
        arms = {arm.name: arm.features for arm in self.catalogue.arms}
        return catalogue_action_space(self.catalogue.production, self.catalogue.features, arms)


def load_experiment(path: str | Path) -> Experiment:
    """The validated experiment in `path`; raises ExperimentError naming file, field, value and fix."""
    file = Path(path)
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as fault:
        raise ExperimentError(
            f"{file}: cannot be read: {fault.strerror}", fix="set TRIMTAB_EXPERIMENT to an existing trimtab.toml"
        ) from fault
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise ExperimentError(f"{file}: is not TOML: {fault}", fix="fix the syntax at that line") from fault
    return parse_experiment(document, file)


def parse_experiment(document: Mapping[str, Any], file: Path) -> Experiment:
    """The validated experiment in a TOML document that was read from `file`; paths inside it are relative to `file`."""
    try:
        return Experiment.model_validate(_with_arms_file(document, file))
    except ValidationError as fault:
        first = _field_faults(fault, file)[0]
        more = "" if fault.error_count() == 1 else f" (and {fault.error_count() - 1} more)"
        raise ExperimentError(f"{first.what}{more}", fix=first.fix) from fault


def every_fault(error: ExperimentError, file: Path) -> list[ExperimentError]:
    """The errors of all broken fields of `file`, given the error about the first one; otherwise the error itself."""
    found = error.__cause__
    return _field_faults(found, file) if isinstance(found, ValidationError) else [error]


def _field_faults(fault: ValidationError, file: Path) -> list[ExperimentError]:
    faults = []
    for each in fault.errors():
        field, value = ".".join(str(part) for part in each["loc"]) or "file", each["input"]
        shown = "" if isinstance(value, (dict, list)) else f" = {value!r}"
        fix = f"fix {field}; docs/reference/experiment.md lists every field"
        faults.append(ExperimentError(f"{file}: {field}{shown}: {each['msg']}", fix=fix))
    return faults


def _with_arms_file(document: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """The document with `catalogue.arms_file` (CSV: name, then one column per feature) read into `catalogue.arms`."""
    catalogue = document.get("catalogue")
    if not isinstance(catalogue, Mapping) or "arms_file" not in catalogue:
        return dict(document)
    features = catalogue.get("features")
    columns = ["name", *features] if isinstance(features, list) else ["name"]
    field = f"{file}: catalogue.arms_file = {catalogue['arms_file']!r}"
    fix = f"give a CSV (UTF-8) with the columns {', '.join(map(str, columns))}"
    if "arms" in catalogue:
        raise ExperimentError(f"{field}: [[catalogue.arms]] is set as well", fix="keep one of the two")
    try:
        with (file.parent / str(catalogue["arms_file"])).open(encoding="utf-8-sig", newline="") as handle:
            table = csv.DictReader(handle, strict=True)
            absent = [column for column in columns if column not in (table.fieldnames or ())]
            rows = [] if absent else list(table)
    except OSError as fault:
        raise ExperimentError(f"{field}: cannot be read: {fault.strerror}", fix=fix) from fault
    except (csv.Error, ValueError) as fault:
        raise ExperimentError(f"{field}: is not CSV: {fault}", fix=fix) from fault
    if absent:
        raise ExperimentError(f"{field}: lacks the columns {absent}", fix=fix)
    ragged = [row["name"] for row in rows if None in row]
    if ragged:
        raise ExperimentError(f"{field}: arm {ragged[0]!r} has more cells than the header", fix=fix)
    arms = [{"name": row["name"], "features": [row[column] for column in columns[1:]]} for row in rows]
    return {**document, "catalogue": {**{k: v for k, v in catalogue.items() if k != "arms_file"}, "arms": arms}}
