"""The mapping file: which columns of an existing log hold a decision's request, action, propensity and engagements.

A mapping is TOML. Values are column names unless stated otherwise; *templates* are texts in which `{file}` is
the log file's name without its extension, `{row}` the row's number in the file (from 0) and any other `{name}` a
column.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from event_schemas.errors import TrimtabError
from event_schemas.event_bounds import kind_fault
from event_schemas.experiment import Experiment
from event_schemas.experiment_sections import AS_WRITTEN, milliseconds
from event_schemas.field_faults import field_faults, fields, told

PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
BUILT_IN = frozenset({"file", "row"})


class MappingError(TrimtabError):
    """A mapping file that cannot be read, breaks a rule, or does not fit the experiment."""


Duration = Annotated[int, BeforeValidator(milliseconds), Field(gt=0)]


class Part(BaseModel):
    """A table of the mapping file: immutable; unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SyntheticDelay(Part):
    """`[engagements.synthetic_delay]`: the delay after the request, for engagements that have no time in the log.

    The delay is drawn from an exponential distribution truncated at `cap`, by a hash of the request id: it is
    made up, the same in every replay, and must be called synthetic wherever it is shown.
    """

    mean: Duration = Field(description="Mean of the exponential before truncation.")
    cap: Duration = Field(description="Largest delay; at most the attribution of the objectives it counts for.")


class RequestColumns(Part):
    """`[request]`: who asked, when, and with which features."""

    id: str = Field(min_length=1, description="Template of the request id; must be unique per row.")
    event_time: str = Field(description="When the decision was made.")
    user_id: str | None = Field(default=None, description="User.")
    session_id: str | None = Field(default=None, description="Session.")
    cohort: str | None = Field(default=None, description="User group.")
    user_embedding: str | None = Field(default=None, description="List of floats.")
    context: dict[str, str] = Field(default_factory=dict, description="Feature name = column.")


class ActionColumns(Part):
    """`[action]`: what was chosen."""

    arm: str = Field(description="The chosen arm.")
    arm_is: Literal["name", "index"] = Field(default="name", description="What the column holds.")
    eligible: str | None = Field(default=None, description="List of the arms that could be chosen; absent: all arms.")
    policy_version: str = Field(default="logged-{file}", description="Template: which policy logged the row.")


class PropensityColumns(Part):
    """`[propensity]`: the probability of the choice."""

    propensity: str = Field(description="P(arm | request) under the logging policy, in (0, 1].")


class EngagementColumns(Part):
    """`[[engagements]]`: what the user did afterwards; one event per row whose `count` is above 0."""

    kind: str = Field(min_length=1, description="Engagement kind (literal text, not a column).")
    count: str = Field(description="How often: 0 or false means no engagement; else it is the event's value.")
    item_id: str | None = Field(default=None, description="Item that the user engaged with.")
    event_time: str | None = Field(default=None, description="When it happened; absent only with synthetic_delay.")
    synthetic_delay: SyntheticDelay | None = Field(default=None, description="A made-up time, for logs without one.")

    @model_validator(mode="after")
    def _one_time(self) -> Self:
        if (self.event_time is None) == (self.synthetic_delay is None):
            raise ValueError("give exactly one of event_time (a column) and synthetic_delay")
        return self


class ColumnMapping(Part):
    """A whole mapping file."""

    time_unit: Literal["s", "ms", "us", "ns"] = Field(default="ms", description="Unit of numeric time columns.")
    request: RequestColumns = Field(description="Who asked, when, and with which features.")
    action: ActionColumns = Field(description="What was chosen.")
    propensity: PropensityColumns = Field(description="The probability of the choice.")
    engagements: tuple[EngagementColumns, ...] = Field(default=(), description="What the user did afterwards.")

    def columns(self) -> tuple[str, ...]:
        """Every column the mapping reads, in a fixed order."""
        request, action = self.request, self.action
        named = [
            *placeholders(request.id),
            request.event_time,
            request.user_id,
            request.session_id,
            request.cohort,
        ]
        named += [request.user_embedding, *request.context.values(), action.arm, action.eligible]
        named += [*placeholders(action.policy_version), self.propensity.propensity]
        for engagement in self.engagements:
            named += [engagement.count, engagement.item_id, engagement.event_time]
        return tuple(dict.fromkeys(name for name in named if name is not None))

    def check_against(self, experiment: Experiment) -> None:
        """Raises MappingError when rows mapped this way could never be used by the experiment."""
        if experiment.action_space.kind == "box":  # a row names an arm, but the vector has its weights in each row
            raise MappingError(
                f"mapping: experiment {experiment.name!r} explores a box, and a mapping has no columns for vectors of"
                " weights and their densities",
                fix="replay into a grid or a catalogue, or write Request, Action and Propensity to the events topic"
                " yourself: docs/guides/other_languages.md",
            )
        for feature in experiment.features.context:
            if feature.required and feature.name not in self.request.context:
                raise MappingError(
                    f"mapping: request.context lacks {feature.name!r}, which the experiment requires",
                    fix=f"map {feature.name} to a column, or make it optional in the experiment",
                )
        if experiment.features.user_embedding_dim and self.request.user_embedding is None:
            raise MappingError(
                "mapping: request.user_embedding is missing, but the experiment's requests have an embedding",
                fix="map it to a column, or set features.user_embedding_dim = 0",
            )
        for engagement in self.engagements:
            if (fault := kind_fault(engagement.kind, experiment.kinds)) is not None:
                raise MappingError(f"mapping: engagements.{fault.what}", fix=fault.fix)
            _check_delay(engagement, experiment)


def placeholders(template: str) -> tuple[str, ...]:
    """The columns a template reads."""
    return tuple(name for name in PLACEHOLDER.findall(template) if name not in BUILT_IN)


def fill(template: str, file: str, row: int, values: dict[str, Any]) -> str:
    """The template with its placeholders replaced; raises ValueError when a column's value is null."""

    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        value = {"file": file, "row": row}.get(name) if name in BUILT_IN else values.get(name)
        if value is None:
            raise ValueError(f"{name} is missing")
        return str(value)

    return PLACEHOLDER.sub(replace, template)


def load_mapping(path: str | Path) -> ColumnMapping:
    """The validated mapping in `path`; raises a MappingError that names file, field, value and fix."""
    file = Path(path)
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as fault:
        raise MappingError(
            f"{file}: cannot be read: {fault.strerror}", fix="give the path of a mapping file with --mapping"
        ) from fault
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise MappingError(f"{file}: is not TOML: {fault}", fix="fix the syntax at that line") from fault
    try:
        return ColumnMapping.model_validate(document, context=AS_WRITTEN)
    except ValidationError as fault:
        faults = field_faults(fault.errors(), document)
        fix = f"fix {fields(faults, 'the tables')} in the mapping"
        raise MappingError(f"{file}: {told(faults)}", fix=fix) from fault


def _check_delay(engagement: EngagementColumns, experiment: Experiment) -> None:
    counted = [objective for objective in experiment.counted if engagement.kind in objective.kinds]
    if not counted or engagement.synthetic_delay is None:
        return
    shortest = min(objective.attribution for objective in counted)
    if engagement.synthetic_delay.cap > shortest:
        raise MappingError(
            f"mapping: engagements.synthetic_delay.cap = {engagement.synthetic_delay.cap} ms is longer than the"
            f" attribution of {engagement.kind!r}, {shortest} ms",
            fix="lower the cap: made-up delays must not push engagements outside their window",
        )
