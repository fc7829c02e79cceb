"""The experiment file `trimtab.toml`: what is tuned, for which objectives, and within which bounds."""

from __future__ import annotations

import csv
import math
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from event_schemas.action_space import (
    ActionSpace,
    Axis,
    Bounds,
    box_action_space,
    catalogue_action_space,
    grid_action_space,
    moving_axes,
)
from event_schemas.bridge_section import BridgeSpec
from event_schemas.errors import ExperimentError
from event_schemas.experiment_sections import (
    AS_WRITTEN,
    CatalogueSpec,
    CohortSpec,
    ExperimentSpec,
    FeatureSpec,
    GateSpec,
    GuardrailSpec,
    JoinSpec,
    LearnerSpec,
    ObjectiveSpec,
    Per,
    Section,
    WeightSpec,
)
from event_schemas.exploration import ExplorationSettings
from event_schemas.exploration_units import LogUnit
from event_schemas.field_faults import FieldFault, field_faults, fields, told
from event_schemas.number_bounds import LARGEST_FLOAT
from event_schemas.preference_section import PreferenceSpec
from event_schemas.serving_section import ServingSpec
from event_schemas.shown_text import shown

GRID_PRODUCTION_SHARE = 0.125
MAX_GRID = 100_000
"""Most arms that a grid may have: the policy scores all of them for every request."""
LOG_UNITS: Mapping[Per, tuple[LogUnit, ...]] = {
    "request": ("request", "session", "user"),
    "session": ("session", "user"),
    "user-day": ("user",),
}
"""By what an outcome is counted per, the units of the coin `log` that keep it together in the log."""
WHOLE_LIST = "the list of `trimtab config check --offline`"
"""Where every fault of a file can be seen."""


class Experiment(Section):
    """One experiment: one action space, one topic prefix, one set of objectives."""

    experiment: ExperimentSpec = Field(description="Name, salt and rates.")
    weights: tuple[WeightSpec, ...] = Field(default=(), description="Tuned weights: a Cartesian grid, production last.")
    catalogue: CatalogueSpec | None = Field(
        default=None,
        description="Instead of a grid: arms with feature vectors, listed here or in `arms_file`, a CSV whose path is"
        " relative to the experiment file.",
    )
    objectives: tuple[ObjectiveSpec, ...] = Field(
        min_length=1, description="Outcomes to count; at least one that is optimised."
    )
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
        if self.catalogue is not None and self.experiment.production_share:
            raise ValueError("experiment.production_share is for weights; a catalogue explores its arms uniformly")
        if not self.optimised:
            raise ValueError("no [[objectives]] has the role optimise: a policy needs at least one to learn")
        double = sorted({each.name for each in self.objectives} & {each.name for each in self.guardrails})
        if double:
            raise ValueError(f"[[objectives]] and [[guardrails]] share the names {double}: rename the guardrails")
        for table in ("weights", "objectives", "cohorts", "guardrails"):
            names = [row.name for row in getattr(self, table)]
            if len(names) != len(set(names)):
                raise ValueError(f"[[{table}]] names must be unique, not {names}")
        target = self.preference.alpha_objective
        if target is not None and target not in self.objective_names:
            raise ValueError(
                f"preference.alpha_objective {target!r} is not one of the objectives {self.objective_names}"
            )
        if len(self.optimised) == 2 and target is None:
            raise ValueError(
                "preference.alpha_objective is missing: with two objectives, name the one that alpha multiplies"
            )
        return self

    @model_validator(mode="after")
    def _weights_are_one_space(self) -> Self:
        without = [weight.name for weight in self.weights if weight.steps is None]
        if without and len(without) < len(self.weights):
            raise ValueError(
                f"the weights {without} have no steps, but others do: give steps to all (a grid) or to none (a box)"
            )
        points = math.prod(members[0].steps for members in moving_axes(self._axes))
        if points > MAX_GRID:
            raise ValueError(f"the [[weights]] span a grid of {points} arms, more than {MAX_GRID}: reduce their steps")
        normal = self.experiment.exploration_kind == "normal"
        if normal and not without:
            raise ValueError(
                "experiment.exploration_kind = 'normal' is for a box: declare [[weights]], all of them without steps"
            )
        odd = [weight.name for weight in self.weights if (weight.sd is None) == normal]
        if odd and normal:
            raise ValueError(f"the weights {odd} have no sd, which experiment.exploration_kind = 'normal' needs")
        if odd:
            raise ValueError(f"the weights {odd} have an sd: set experiment.exploration_kind = 'normal', or remove sd")
        return self

    @model_validator(mode="after")
    def _arms_can_be_used(self) -> Self:
        for axis in self._axes:
            label, count = Counter(map(axis.label, axis.values)).most_common(1)[0]
            if count > 1:
                raise ValueError(
                    f"{count} of the {axis.steps} values of the weight {axis.name!r} share the name {label!r}:"
                    " names show six digits; reduce steps, or widen low to high"
                )
            if abs(axis.normalised(axis.production)) > LARGEST_FLOAT:
                raise ValueError(
                    f"production {axis.production:g} of the weight {axis.name!r} is too far from its grid of"
                    f" {axis.low:g} to {axis.high:g}: as a feature of its arm it would be infinite"
                )
        return self

    @model_validator(mode="after")
    def _logs_keep_together_what_is_counted_together(self) -> Self:
        sampled_by = self.experiment.sampled_by
        for table in ("objectives", "guardrails"):
            for row in getattr(self, table):
                if sampled_by not in LOG_UNITS[row.per]:
                    needed = " or ".join(repr(unit) for unit in LOG_UNITS[row.per])
                    raise ValueError(
                        f"{table}[{row.name}] has per = {row.per!r}, but POLICY and FALLBACK are logged by"
                        f" {sampled_by}: set experiment.log_unit = {needed}, or the log has only pieces of each"
                        f" {row.per}"
                    )
        return self

    @model_validator(mode="after")
    def _weights_can_be_remembered(self) -> Self:
        if self.features.previous_length and self.catalogue is not None:
            raise ValueError("features.previous_length is for weights, which a catalogue does not have; leave it out")
        if self.serving.remember_previous and not self.features.previous_length:
            raise ValueError(
                "serving.remember_previous needs features.previous_length, the number of decisions to remember"
            )
        return self

    @model_validator(mode="after")
    def _bridges_count_for_something(self) -> Self:
        topics = [source.topic for source in self.bridge]
        if len(topics) != len(set(topics)):
            raise ValueError(f"[[bridge]] topics must be unique, not {topics}")
        for source in self.bridge:
            lost = sorted(set(source.named_kinds) - self.kinds)
            if lost:
                raise ValueError(
                    f"bridge.kinds of {source.topic!r} maps to {lost}, which no objective or guardrail counts"
                    f" (counted: {sorted(self.kinds)})"
                )
            if source.sampled and source.fields.user_id is None and self.experiment.sampled_by == "user":
                raise ValueError(
                    f"bridge.fields.user_id of {source.topic!r} is missing, which experiment.log_unit = 'user' needs to"
                    " tell whose requests are logged: map it, or set bridge.sampled = false"
                )
        return self

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return self.experiment.name

    @property
    def objective_names(self) -> tuple[str, ...]:
        """The names of the objectives that are optimised, in file order."""
        return tuple(objective.name for objective in self.optimised)

    @property
    def optimised(self) -> tuple[ObjectiveSpec, ...]:
        """The objectives that policies learn and preferences weigh, in file order."""
        return tuple(objective for objective in self.objectives if objective.role == "optimise")

    @property
    def counted(self) -> tuple[ObjectiveSpec, ...]:
        """Everything that the join counts: the objectives in file order, then the guardrails that have kinds."""
        longest = max(objective.attribution for objective in self.objectives)
        guardrails = (
            ObjectiveSpec(
                name=each.name,
                kinds=each.kinds,
                clip=each.clip,
                attribution=longest if each.attribution is None else each.attribution,
                role="guardrail",
                per=each.per,
            )
            for each in self.guardrails
            if each.kinds
        )
        return (*self.objectives, *guardrails)

    @property
    def judged_online(self) -> tuple[str, ...]:
        """The names of what is counted per session or user-day, in the order of `counted`.

        Such an outcome cannot be attributed to one explored request, so only online experiments judge it.
        """
        return tuple(each.name for each in self.counted if each.per != "request")

    @property
    def guardrail_names(self) -> tuple[str, ...]:
        """The names of all guardrails that the join counts, whatever they are counted per."""
        return tuple(each.name for each in self.counted if each.role == "guardrail")

    @property
    def kinds(self) -> frozenset[str]:
        """The engagement kinds that are counted."""
        return frozenset(kind for each in self.counted for kind in each.kinds)

    @property
    def max_ahead_ms(self) -> int | None:
        """How far ahead of the clock an event may be; None in an experiment that replays a log."""
        return self.join.max_future_skew if self.join.clock == "live" else None

    @property
    def longest_attribution_ms(self) -> int:
        """The longest attribution window of everything that is counted."""
        return max(objective.attribution for objective in self.counted)

    @property
    def window_ms(self) -> int:
        """Longest attribution + allowed lateness: how long a decision stays open, and the learner's embargo."""
        return self.longest_attribution_ms + self.join.allowed_lateness

    @property
    def production_share(self) -> float:
        """P(production arm | EXPLORE): for weights the declared value, else 0.125; 0 for a catalogue."""
        if self.catalogue is not None:
            return 0.0
        declared = self.experiment.production_share
        return GRID_PRODUCTION_SHARE if declared is None else declared

    @property
    def _axes(self) -> list[Axis]:
        """The axes of a grid; none for other action spaces."""
        with_steps = [(weight, weight.steps) for weight in self.weights if weight.steps is not None]
        return [Axis(w.name, w.production, w.low, w.high, steps, w.group) for w, steps in with_steps]

    @cached_property
    def action_space(self) -> ActionSpace:
        """The arms, built from the weights or the catalogue."""
        if self.catalogue is not None:
            arms = {arm.name: arm.features for arm in self.catalogue.arms}
            return catalogue_action_space(self.catalogue.production, self.catalogue.features, arms)
        axes = self._axes
        if axes:
            return grid_action_space(axes)
        return box_action_space([Bounds(w.name, w.production, w.low, w.high) for w in self.weights])

    @property
    def exploration(self) -> ExplorationSettings:
        """What decisions are drawn with. Not cached: a copy with other rates would keep the settings of the first."""
        rates = self.experiment
        return ExplorationSettings(
            action_space=self.action_space.digest,
            kind=rates.exploration_kind,
            unit=rates.exploration_unit,
            salt=rates.salt,
            exploration_rate=rates.exploration_rate,
            control_rate=rates.control_rate,
            log_rate=rates.log_rate,
            production_share=self.production_share,
            sd=tuple(weight.sd for weight in self.weights if weight.sd is not None),
            log_unit=None if rates.log_unit == rates.exploration_unit else rates.log_unit,
        )


def load_experiment(path: str | Path) -> Experiment:
    """The validated experiment in `path`; raises ExperimentError naming file, field, value and fix."""
    file = Path(path)
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as fault:
        raise ExperimentError(
            f"{file}: cannot be read: {fault.strerror}", fix="set TRIMTAB_EXPERIMENT to an existing trimtab.toml"
        ) from fault
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise ExperimentError(f"{file}: is not TOML: {fault}", fix="fix the syntax at that line") from fault
    return parse_experiment(document, file)


def parse_experiment(document: Mapping[str, Any], file: Path) -> Experiment:
    """The validated experiment in a TOML document that was read from `file`; paths inside it are relative to `file`."""
    whole = _with_arms_file(document, file)
    try:
        return Experiment.model_validate(whole, context=AS_WRITTEN)
    except ValidationError as fault:
        raise BrokenFields(file, field_faults(fault.errors(), whole)) from fault


class BrokenFields(ExperimentError):
    """Fields of an experiment file are missing, unknown or have unusable values; `faults` has an error for each."""

    def __init__(self, file: Path, faults: Sequence[FieldFault]) -> None:
        super().__init__(f"{file}: {told(faults, WHOLE_LIST)}", fix=_fix(faults))
        self.faults = tuple(ExperimentError(f"{file}: {each}", fix=_fix([each])) for each in faults)


def _fix(faults: Sequence[FieldFault]) -> str:
    return f"fix {fields(faults, 'the file')}; docs/reference/experiment.md lists every field"


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
        named = shown(ragged[0]) + (f" and {len(ragged) - 1} others" if len(ragged) > 1 else "")
        raise ExperimentError(f"{field}: arm {named} has more cells than the header", fix=fix)
    arms = [{"name": row["name"], "features": [row[column] for column in columns[1:]]} for row in rows]
    return {**document, "catalogue": {**{k: v for k, v in catalogue.items() if k != "arms_file"}, "arms": arms}}
