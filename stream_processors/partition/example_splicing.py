"""Examples made from the bytes of their parts.

A record nested in an Avro record is just its own bytes. So an Example is
`request ‖ action ‖ propensity ‖ ranking ‖ outcome`, and only the outcome needs encoding (`outcome_encoding`). Only
validated datums may be spliced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from event_schemas import records as r
from event_schemas.codec import Codec, frame
from event_schemas.errors import SchemaError
from event_schemas.registry import Registry
from event_schemas.schema_lifting import byte_shape
from stream_processors.partition.complete_decisions import CompleteDecisions
from stream_processors.partition.held_parts import PARTS

PART_FIELDS = {name: name.lower() for name in PARTS}
"""The field of Example that nests each part."""


class ExampleSplicer:
    """Builds framed Examples; raises SchemaError when Example does not nest the newest version of each part."""

    def __init__(self, codec: Codec) -> None:
        entry = codec.registry.newest(r.EXAMPLE)
        _check_layout(codec.registry, entry.schema)
        self._framing = frame(entry.schema_id, b"")

    def splice(self, decisions: CompleteDecisions, outcomes: Sequence[bytes]) -> list[bytes]:
        """The framed Example of each decision, with these outcomes."""
        framing, join = self._framing, b"".join
        return [join((framing, *parts)) for parts in zip(decisions.bodies, outcomes, strict=True)]


def _check_layout(registry: Registry, example: Mapping[str, Any]) -> None:
    fields = [field["name"] for field in example["fields"]]
    expected = [*PART_FIELDS.values(), "outcome"]
    if fields != expected:
        raise SchemaError(
            f"Example has the fields {fields}, not {expected}", fix="keep the order of the parts in Example"
        )
    for field, name in zip(example["fields"], PARTS, strict=False):
        newest = registry.newest(name).schema
        if byte_shape(field["type"]) != byte_shape(["null", newest] if name == r.RANKING else newest):
            raise SchemaError(
                f"Example nests another {name} than the newest registered one",
                fix=f"register a new version of Example that nests the newest {name}",
            )
