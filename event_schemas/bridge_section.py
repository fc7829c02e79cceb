"""`[[bridge]]` of the experiment file: one of the company's own topics, whose records become engagements."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from event_schemas.event_bounds import MOST_VALUE
from event_schemas.experiment_sections import EngagementKind, Finite, Section

KEY_FIELD = "$key"
TIMESTAMP_FIELD = "$timestamp"


def _path(value: object) -> object:
    if isinstance(value, str) and value.startswith("$") and value not in (KEY_FIELD, TIMESTAMP_FIELD):
        raise ValueError(
            f"only {KEY_FIELD} and {TIMESTAMP_FIELD} start with $; write the path of a field, such as 'user.id'"
        )
    if isinstance(value, str) and not all(value.split(".")):
        raise ValueError("write the path of a field: names joined by dots, such as 'user.id'")
    return value


Path = Annotated[str, BeforeValidator(_path), Field(min_length=1)]


class BridgeFields(Section):
    """`[bridge.fields]`: which field of a source record fills which field of the Engagement.

    A value is the path of a field (`user.id` is the field `id` inside the field `user`), `$key` (the record's key as
    text) or `$timestamp` (the record's Kafka timestamp).
    """

    request_id: Path = Field(description="Identifier of the decision, as serving returned it.")
    event_time: Path = Field(description="When the user did it: ISO 8601 text, or a number in `time_unit`.")
    kind: Path | None = Field(default=None, description="Kind of engagement; if unset, `defaults.kind` is required.")
    engagement_id: Path | None = Field(
        default=None,
        description="Identifier of the engagement; if unset, it is derived from topic, partition and offset.",
    )
    item_id: Path | None = Field(default=None, description="Item engaged with.")
    value: Path | None = Field(default=None, description="Amount; counts add values.")
    user_id: Path | None = Field(
        default=None,
        description="The user_id that the request had; required for sampled sources with experiment.log_unit = 'user'.",
    )


class BridgeDefaults(Section):
    """`[bridge.defaults]`: values used when a field is not mapped, or is null or missing in the source record."""

    kind: EngagementKind | None = Field(default=None, description="Kind of engagement, as named by the objectives.")
    item_id: str | None = Field(default=None, description="Item engaged with.")
    value: Annotated[Finite, Field(ge=0, le=MOST_VALUE)] = Field(default=1.0, description="Amount.")


class BridgeSpec(Section):
    """`[[bridge]]`: one source topic and how to read its records."""

    topic: str = Field(min_length=1, max_length=249, description="Full name of the source topic, on the same brokers.")
    format: Literal["json", "avro"] = Field(default="json", description="Format of the record values.")
    framing: Literal["confluent", "bare"] | None = Field(
        default=None,
        description='With avro: "confluent" (the default) puts the schema id before the datum, "bare" has none.',
    )
    schema_registry: str | None = Field(
        default=None, description="With confluent framing: URL of the source's registry; if unset, Trimtab's own."
    )
    schema_file: str | None = Field(
        default=None,
        description="With avro and no registry: the `.avsc` that wrote every value; relative to the experiment file.",
    )
    time_unit: Literal["s", "ms", "us", "ns"] = Field(default="ms", description="Unit of numeric times.")
    sampled: bool = Field(
        default=True,
        description="Drop engagements of requests that sampling keeps out of the log; false forwards all of them.",
    )
    fields: BridgeFields = Field(description="Which field of a source record fills which field of the Engagement.")
    kinds: dict[str, EngagementKind] = Field(
        default_factory=dict, description="Table: value of `fields.kind` in the source = engagement kind."
    )
    other_kinds: Literal["dead_letter", "ignore", "keep"] = Field(
        default="dead_letter",
        description="What to do with a kind that is not in `kinds`; if `kinds` is empty, all are kept.",
    )
    defaults: BridgeDefaults = Field(
        default_factory=BridgeDefaults, description="Values used when the source record has none."
    )

    @model_validator(mode="after")
    def _format_fits(self) -> Self:
        if self.format == "json" and (self.framing or self.schema_file or self.schema_registry):
            raise ValueError("framing, schema_file and schema_registry are for format = 'avro'")
        if self.framing == "bare" and self.schema_file is None:
            raise ValueError("bare Avro names no schema: give schema_file")
        if self.schema_file is not None and self.schema_registry is not None:
            raise ValueError("give schema_file or schema_registry, not both")
        return self

    @model_validator(mode="after")
    def _kind_is_known(self) -> Self:
        if self.fields.kind is None and self.defaults.kind is None:
            raise ValueError("map fields.kind, or give defaults.kind")
        if self.kinds and self.fields.kind is None:
            raise ValueError("kinds translates the values of fields.kind: map fields.kind")
        return self

    @property
    def named_kinds(self) -> tuple[str, ...]:
        """The engagement kinds this section names; kinds forwarded unchanged from the source are not included."""
        default = () if self.defaults.kind is None else (self.defaults.kind,)
        return (*self.kinds.values(), *default)
