"""The job that every Python peer runs: where its input is, the wire format, and the example of one decision.

Imports only fastavro and the schemas, because some peers run in another virtual environment.
"""

from __future__ import annotations

import io
import os
import struct
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastavro import schemaless_reader, schemaless_writer

from event_schemas import records as r
from event_schemas.registry import Registry

ATTRIBUTION_MS, LATENESS_MS = 600_000, 30_000
WINDOW_MS = ATTRIBUTION_MS + LATENESS_MS
OBJECTIVES = (("repin", frozenset({"repin"}), 1.0), ("click", frozenset({"click", "long_click"}), 2.0))
"""Name, kinds and clip, as in benchmarks/homefeed.toml."""
PARTITIONS = 4

_registry = Registry.bundled()
_SCHEMAS = {entry.schema_id: entry.physical for entry in _registry.entries()}
NAMES = {entry.schema_id: entry.name for entry in _registry.entries()}
_EXAMPLE = _registry.newest(r.EXAMPLE)
_EXAMPLE_HEADER = struct.pack(">bI", 0, _EXAMPLE.schema_id)


@dataclass(frozen=True, slots=True)
class Job:
    """What the harness passes to a peer in `JOB_*` variables."""

    bootstrap: str
    events_topic: str
    output_topic: str
    group: str
    state_dir: str
    start_file: str
    end_file: str
    event_count: int
    variant: str

    @classmethod
    def from_environment(cls) -> Job:
        names = {field: f"JOB_{field.upper()}" for field in cls.__slots__}
        told = {field: os.environ.get(name, "") for field, name in names.items()}
        return cls(**{**told, "event_count": int(told["event_count"] or 0)})  # type: ignore[arg-type]

    def started(self) -> None:
        """Record the time of the first record, once."""
        if not Path(self.start_file).exists():
            _note_now(self.start_file)

    def ended(self) -> None:
        """Record the time of the last record; for peers without output."""
        _note_now(self.end_file)


def _note_now(path: str) -> None:
    draft = Path(f"{path}.draft")
    draft.write_text(repr(time.time()), encoding="utf-8")
    draft.rename(path)


def decode(value: bytes) -> Any:
    """The record in a framed value; all schema ids fit in the last of their four bytes."""
    return schemaless_reader(io.BytesIO(value[5:]), _SCHEMAS[value[4]])


def encode_example(example: Mapping[str, Any]) -> bytes:
    """Framed bytes of an Example."""
    sink = io.BytesIO()
    sink.write(_EXAMPLE_HEADER)
    schemaless_writer(sink, _EXAMPLE.physical, example)
    return sink.getvalue()


def build_example(
    parts: Mapping[str, r.Record], engagements: Iterable[r.Record], partition: int, offset: int
) -> dict[str, Any]:
    """The Example of one decision; `engagements` must be distinct, `offset` is the request's."""
    request = parts[r.REQUEST]
    start = request["event_time"]
    kinds: dict[str, float] = {}
    for engagement in engagements:
        if 0 <= engagement["event_time"] - start <= ATTRIBUTION_MS:
            kinds[engagement["kind"]] = kinds.get(engagement["kind"], 0.0) + engagement["value"]
    objectives = []
    for name, counted, clip in OBJECTIVES:
        count = sum((total for kind, total in kinds.items() if kind in counted), 0.0)
        objectives.append({"objective": name, "count": count, "reward": min(count, clip), "observed": True})
    outcome = {
        "objectives": objectives,
        "closed_early": False,
        "window_closed_at": start + WINDOW_MS,
        "partition": partition,
        "offset": offset,
    }
    return {
        "request": request,
        "action": parts[r.ACTION],
        "propensity": parts[r.PROPENSITY],
        "ranking": None,
        "outcome": outcome,
    }
