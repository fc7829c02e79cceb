"""The registry file and the `.avsc` files behind it, and the promise that schemas only evolve backward compatibly."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from event_schemas.codec import Codec
from event_schemas.errors import UnknownSchema
from event_schemas.registry import Registry, SchemaEntry, without_logical_types
from event_schemas.topics import TOPICS
from tests.record_samples import SAMPLES

ROOT = Path(__file__).parents[2] / "event_schemas"


def test_every_record_of_the_contract_is_registered() -> None:
    assert {entry.name for entry in Registry.bundled().entries()} == {
        record for topic in TOPICS for record in topic.records
    }


def test_every_schema_file_is_registered_once() -> None:
    table = json.loads((ROOT / "registry.json").read_text())
    files = [row["file"] for row in table.values()]
    assert sorted(files) == sorted(f"avsc/{path.name}" for path in (ROOT / "avsc").glob("*.avsc"))
    assert len(set(files)) == len(files)


@pytest.mark.parametrize("entry", Registry.bundled().entries(), ids=lambda e: f"{e.name}.v{e.version}")
def test_every_past_version_can_be_read_as_the_newest(entry: object) -> None:
    registry = Registry.bundled()
    past = registry.entry(entry.schema_id)  # type: ignore[attr-defined]
    writer = Codec(Registry([past]))
    decoded = Codec(registry).decode(writer.encode(past.name, SAMPLES[past.name]))
    assert decoded.record == SAMPLES[past.name]


def test_the_parts_of_an_example_are_the_records_themselves() -> None:
    """An Example's bytes are its parts' bytes only while their schemas agree."""
    registry = Registry.bundled()
    parts = {
        field["name"]: field["type"] for field in without_logical_types(registry.newest("Example").schema)["fields"]
    }
    for part in ("request", "action", "propensity"):
        alone = without_logical_types(registry.newest(part.capitalize()).schema)
        assert parts[part]["fields"] == alone["fields"]
    assert parts["ranking"][1]["fields"] == without_logical_types(registry.newest("Ranking").schema)["fields"]


def test_times_are_declared_as_milliseconds() -> None:
    declared = {f["name"]: f["type"] for f in Registry.bundled().newest("Engagement").schema["fields"]}
    assert declared["event_time"] == {"type": "long", "logicalType": "timestamp-millis"}


def test_an_unknown_record_is_named() -> None:
    with pytest.raises(UnknownSchema, match="Surprise"):
        Registry.bundled().schema_id("Surprise")


TIME = "timestamp-millis"
CONTRACT = {
    "Request": f"request_id string, event_time {TIME}, user_id null/string, session_id null/string, "
    "cohort null/string, user_embedding array<float>, context array<ContextFeature{name string, value string}>, "
    f"history array<HistoryItem{{item_id string, action_type string, event_time {TIME}, embedding array<float>}}>",
    "Action": f"request_id string, event_time {TIME}, slice EXPLORE/CONTROL/POLICY/FALLBACK, arm int, "
    "shadow_arm null/int, eligible array<int>, weights array<double>, action_space string, policy_version string, "
    "config_revision long, experiment_arm null/string, fallback_reason null/string",
    "Propensity": f"request_id string, event_time {TIME}, propensity double, slice_probability double, "
    "sampling_rate double, probabilities array<double>",
    "Ranking": f"request_id string, event_time {TIME}, ranker_version string, heads array<HeadSummary{{head string, "
    "count long, mean float, p10 float, p50 float, p90 float}>, served array<string>",
    "Engagement": f"engagement_id string, request_id string, event_time {TIME}, kind string, item_id null/string, "
    "value double = 1.0",
    "Heartbeat": f"event_time {TIME}",
    "Tally": f"event_time {TIME}, source string, counts array<SliceCount{{slice string, count long}}>",
    "Exploration": f"event_time {TIME}, digest string, settings string",
    "DeadLetter": "reason string, detail string, topic string, partition int, offset long, key null/bytes, "
    "value null/bytes, event_time null/long, request_id null/string",
    "Outcome": "objectives array<ObjectiveOutcome{objective string, count double, reward double, observed boolean}>, "
    f"closed_early boolean, window_closed_at {TIME}, partition int, offset long",
}
CONTRACT["Example"] = ", ".join(
    f"{part.lower()} {'null/' if part == 'Ranking' else ''}{part}{{{CONTRACT[part]}}}"
    for part in ("Request", "Action", "Propensity", "Ranking", "Outcome")
)


def spelled(kind: Any) -> str:
    """An Avro type in the contract's shorthand."""
    if isinstance(kind, list):
        return "/".join(map(spelled, kind))
    if not isinstance(kind, dict):
        return str(kind)
    if kind["type"] == "record":
        return f"{kind['name']}{{{fields_of(kind)}}}"
    if kind["type"] == "array":
        return f"array<{spelled(kind['items'])}>"
    return "/".join(kind["symbols"]) if kind["type"] == "enum" else str(kind["logicalType"])


def fields_of(record: Mapping[str, Any]) -> str:
    shown = {None: "", 1.0: " = 1.0"}
    return ", ".join(f"{f['name']} {spelled(f['type'])}{shown[f.get('default')]}" for f in record["fields"])


@pytest.mark.parametrize("name", [record for topic in TOPICS for record in topic.records])
def test_the_first_version_of_a_record_is_the_contract_s(name: str) -> None:
    first = next(e for e in Registry.bundled().entries() if e.name == name and e.version == 1)
    assert fields_of(first.schema) == CONTRACT[name]


def parts_of(kind: Any) -> Iterator[Any]:
    """A type and every type inside it."""
    yield kind
    inner = kind if isinstance(kind, list) else []
    if isinstance(kind, dict):
        inner = [field["type"] for field in kind.get("fields", ())] + ([kind["items"]] if "items" in kind else [])
    for part in inner:
        yield from parts_of(part)


@pytest.mark.parametrize("entry", Registry.bundled().entries(), ids=lambda e: f"{e.name}.v{e.version}")
def test_strict_readers_of_avro_can_parse_it(entry: SchemaEntry) -> None:
    """What Java insists on: names defined once, a null default only where null comes first, one namespace."""
    named = [part for part in parts_of(entry.schema) if isinstance(part, dict) and "name" in part]
    assert len({part["name"] for part in named}) == len(named)
    assert [part.get("namespace") for part in named] == ["trimtab"] + [None] * (len(named) - 1)
    assert entry.subject == f"trimtab.{entry.name}"
    for record in (part for part in named if part["type"] == "record"):
        for field in record["fields"]:
            nullable = isinstance(field["type"], list)
            assert ("default" in field and field["default"] is None) == nullable, field["name"]
            assert not nullable or field["type"][0] == "null", field["name"]


def test_the_shipped_versions_of_a_record_go_from_the_oldest_to_the_newest() -> None:
    bundled = Registry.bundled()
    newest, oldest = bundled.versions("Request")[-1], bundled.versions("Request")[0]
    registry = Registry([newest, oldest], [bundled.newest("Tally")])
    assert registry.versions("Request") == (oldest, newest)
    assert registry.newest("Request") is newest
    assert registry.versions("Tally") == (), "a version of someone else is not shipped"
