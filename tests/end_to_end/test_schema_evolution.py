"""Producers of two releases and a stranger write side by side while the join runs.

Every decision of the two becomes one example in the version that the join ships, the stranger's records are dead
letters, and a registry that is away stops nothing.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.errors import SchemaError
from event_schemas.experiment import load_experiment
from event_schemas.registry import Registry, SchemaEntry, schema_entry
from event_schemas.schema_registry import load_registry
from learner.examples.example_decoder import ExampleDecoder
from tests.components.homefeed_log import HomefeedLog, SentEvent
from tests.components.join_bench import JoinBench
from tests.components.schema_registry import SchemaRegistry
from tests.components.tcp_forwarder import TcpForwarder

DEVICE = {"name": "device", "type": ["null", "string"], "default": None, "doc": "What the user holds."}
REGION = {"name": "region", "type": ["null", "string"], "default": None, "doc": "Where the node runs."}
ADDED = {r.REQUEST: DEVICE, r.ACTION: REGION}
DECISIONS = 1_200
SLICES = 6


@dataclass(frozen=True, slots=True)
class Writers:
    """Codecs of our producers, of those of a newer release, and of a stranger; ours knows what the registry held."""

    ours: Codec
    newer: Codec
    stranger: Codec


@pytest.fixture
def front(schema_registry: SchemaRegistry, monkeypatch: pytest.MonkeyPatch) -> Iterator[TcpForwarder]:
    """The registry of every `trimtab` process, under an address where it can be away."""
    forwarder = TcpForwarder()
    forwarder.open(schema_registry.address)
    monkeypatch.setenv("TRIMTAB_SCHEMA_REGISTRY_URL", schema_registry.url_at(forwarder.address))
    yield forwarder
    forwarder.close()


@pytest.fixture
def writers(schema_registry: SchemaRegistry, tmp_path: Path) -> Writers:
    """A registry with version 1 of every record, version 2 of Request and Action, and a stranger's Engagement."""
    first = load_registry(schema_registry.url, tmp_path / "first")
    newer = [_registered(schema_registry, f"trimtab.{name}", _second_version(name)) for name in ADDED]
    engagement = first.newest(r.ENGAGEMENT).schema
    without_kind = {**engagement, "fields": [field for field in engagement["fields"] if field["name"] != "kind"]}
    schema_registry.client.set_compatibility("trimtab.Engagement", "NONE")
    stranger = _registered(schema_registry, "trimtab.Engagement", without_kind)
    ours = load_registry(schema_registry.url, tmp_path / "ours")
    schema_registry.client.set_compatibility("trimtab.Engagement", "NONE")
    return Writers(Codec(ours), Codec(Registry(newer)), Codec(Registry([stranger])))


def test_two_releases_and_a_stranger_write_at_once(
    join_bench: JoinBench, schema_registry: SchemaRegistry, front: TcpForwarder, writers: Writers
) -> None:
    experiment = load_experiment(join_bench.experiment_file)
    log = HomefeedLog(experiment, writers.ours, DECISIONS)
    events = list(_mixed(log.events(), writers))
    left = iter(events)
    join_bench.start_worker()
    for _ in range(SLICES // 2):
        join_bench.send(islice(left, len(events) // SLICES))
    join_bench.wait_until_processed()
    assert join_bench.stop_workers() == [0], join_bench.log()
    assert schema_registry.client.get_compatibility("trimtab.Engagement") == "BACKWARD", "the worker sets it back"
    front.close()
    join_bench.start_worker()
    join_bench.send(left)
    join_bench.close_windows(log.heartbeat())
    join_bench.wait_until_processed()
    assert join_bench.stop_workers() == [0], join_bench.log()
    assert "registered by someone else, is ignored" in join_bench.log()
    assert "the ids of the last start are used" in join_bench.log()

    _check_totals(join_bench, writers, events)
    examples = [writers.ours.decode(record.value) for record in join_bench.records("examples")]
    assert {example.schema_id for example in examples} == {writers.ours.schema_id(r.EXAMPLE)}
    first = _first_parts(events, writers.ours)
    mixtures = Counter(_check_parts(example.record, first) for example in examples)
    assert len(mixtures) == 4, "old and new requests met old and new actions"
    assert min(mixtures.values()) > DECISIONS / 10

    learned = ExampleDecoder(writers.ours, experiment.action_space).decode(join_bench.records("examples"))
    assert (learned.bad, learned.frame.height) == ((), len(examples))


def _check_totals(bench: JoinBench, writers: Writers, events: list[SentEvent]) -> None:
    report = json.loads(bench.run("reconcile", "--json").stdout)
    assert report["ok"], report["differences"]
    assert report["duplicated"] == report["pending"] == 0
    assert report["examples_found"] == report["examples_expected"] > 0
    readable = [event for event in events if _decoded(writers.ours, event) is not None]
    assert report["fates"]["malformed"] == len(events) - len(readable), "another version is no fault if it fits"
    letters = [writers.ours.decode(record.value).record for record in bench.records("dead-letters")]
    foreign = [letter for letter in letters if "does not fit Trimtab's: kind: is missing" in letter["detail"]]
    assert {letter["reason"] for letter in foreign} == {"malformed"}
    assert len(foreign) == sum(_decoded(writers.stranger, event) is not None for event in events) > 0


def _registered(registry: SchemaRegistry, subject: str, schema: Mapping[str, Any]) -> SchemaEntry:
    return schema_entry(registry.register(subject, schema), subject, 2, schema)


def _second_version(name: str) -> dict[str, Any]:
    """The bundled schema with the added field."""
    schema = Registry.bundled().newest(name).schema
    return {**schema, "fields": [*schema["fields"], ADDED[name]]}


def _mixed(events: Iterator[SentEvent], writers: Writers) -> Iterator[SentEvent]:
    """The events: each Request and Action by a producer of ours or a newer one, and one in fifty by both.

    One Engagement in fifty is sent by the stranger too.
    """
    draw = random.Random(5)
    for event in events:
        decoded = _decoded(writers.ours, event)
        twice = draw.random() < 0.02
        if decoded is not None and decoded.name in ADDED:
            added = {str(ADDED[decoded.name]["name"]): draw.choice(["a", "b"])}
            newer = writers.newer.encode(decoded.name, {**decoded.record, **added})
            first, second = draw.sample([event, SentEvent(event.time, event.key, newer)], 2)
            yield from (first, second) if twice else (first,)
        else:
            yield event
            if decoded is not None and decoded.name == r.ENGAGEMENT and twice:
                yield SentEvent(event.time, event.key, writers.stranger.encode(decoded.name, decoded.record))


def _decoded(codec: Codec, event: SentEvent) -> Any:
    try:
        return codec.decode(event.value)
    except SchemaError:
        return None


def _first_parts(events: list[SentEvent], codec: Codec) -> dict[tuple[str, str], Any]:
    first: dict[tuple[str, str], Any] = {}
    for event in events:
        decoded = _decoded(codec, event)
        if decoded is not None and decoded.name in ADDED:
            first.setdefault((decoded.name, decoded.record["request_id"]), decoded)
    return first


def _check_parts(example: Mapping[str, Any], first: Mapping[tuple[str, str], Any]) -> tuple[int, int]:
    """The versions of the request and the action that an example was made of; it holds of them what we know."""
    request_id = example["request"]["request_id"]
    request, action = first[r.REQUEST, request_id], first[r.ACTION, request_id]
    assert (example["request"], example["action"]) == (request.record, action.record)
    return request.version, action.version
