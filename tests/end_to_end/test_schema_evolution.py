"""Producers of two generations write side by side while the join runs: every decision becomes one example, in the
newest schema, whatever mixture of versions its parts were written in."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pytest

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.errors import SchemaError
from event_schemas.experiment import load_experiment
from event_schemas.registry import Registry
from event_schemas.schema_registry import load_registry
from learner.examples.example_decoder import ExampleDecoder
from tests.components.homefeed_log import HomefeedLog, SentEvent
from tests.components.join_bench import JoinBench
from tests.components.schema_registry import RegisteredSchemas, schema_registry

DEVICE = {"name": "device", "type": ["null", "string"], "default": None, "doc": "What the user holds."}
REGION = {"name": "region", "type": ["null", "string"], "default": None, "doc": "Where the node runs."}
ADDED = {r.REQUEST: DEVICE, r.ACTION: REGION}
DECISIONS = 1_200
SLICES = 6


@dataclass(frozen=True, slots=True)
class Generations:
    """Codecs of producers before and after the change; both read whatever their registry held at their start."""

    old: Codec
    new: Codec


@pytest.fixture
def generations(monkeypatch: pytest.MonkeyPatch) -> Iterator[Generations]:
    """A registry that holds version 1 of every record, and version 2 of Request, Action and the Example around them."""
    held = RegisteredSchemas()
    with schema_registry(held) as url:
        old = Codec(load_registry(url))
        for name in (*ADDED, r.EXAMPLE):
            held.register(f"trimtab.{name}", _second_version(name))
        monkeypatch.setenv("TRIMTAB_SCHEMA_REGISTRY_URL", url)
        yield Generations(old, Codec(load_registry(url)))


def test_two_generations_of_producers_write_at_once(join_bench: JoinBench, generations: Generations) -> None:
    experiment = load_experiment(join_bench.experiment_file)
    log = HomefeedLog(experiment, generations.old, DECISIONS)
    events = list(_mixed(log.events(), generations))
    left = iter(events)
    join_bench.start_worker()
    for _ in range(SLICES):
        join_bench.send(islice(left, len(events) // SLICES))
    join_bench.send(left)
    join_bench.close_windows(log.heartbeat())
    join_bench.wait_until_processed()
    assert join_bench.stop_workers() == [0], join_bench.log()

    report = json.loads(join_bench.run("reconcile", "--json").stdout)
    assert report["ok"], report["differences"]
    assert report["duplicated"] == report["pending"] == 0
    readable = [decoded for event in events if (decoded := _decoded(generations.new, event)) is not None]
    assert report["fates"]["malformed"] == len(events) - len(readable), "an old version is no fault"

    records = join_bench.records("examples")
    examples = [generations.new.decode(record.value) for record in records]
    assert {example.schema_id for example in examples} == {generations.new.schema_id(r.EXAMPLE)}
    assert len(examples) == report["examples_found"] == report["examples_expected"]
    first = _first_parts(events, generations.new)
    mixtures = Counter(_check_parts(example.record, first) for example in examples)
    assert len(mixtures) == 4, "old and new requests met old and new actions"
    assert min(mixtures.values()) > DECISIONS / 10

    learned = ExampleDecoder(generations.new, experiment.action_space).decode(records)
    assert (learned.bad, learned.frame.height) == ((), len(records))
    devices = {example.record["request"]["request_id"]: example.record["request"]["device"] for example in examples}
    assert dict(learned.frame.select("request_request_id", "request_device").iter_rows()) == devices


def _second_version(name: str) -> dict[str, Any]:
    """The bundled schema with the added field, in the record itself and wherever an Example nests it."""
    schema = Registry.bundled().newest(name).schema
    if name != r.EXAMPLE:
        return _with_field(schema, ADDED[name])
    fields = []
    for field in schema["fields"]:
        added = {"request": DEVICE, "action": REGION}.get(field["name"])
        fields.append(field if added is None else {**field, "type": _with_field(field["type"], added)})
    return {**schema, "fields": fields}


def _with_field(schema: Mapping[str, Any], field: Mapping[str, Any]) -> dict[str, Any]:
    return {**schema, "fields": [*schema["fields"], field]}


def _mixed(events: Iterator[SentEvent], generations: Generations) -> Iterator[SentEvent]:
    """The events, each Request and Action by an old or a new producer; a Request in fifty comes from both."""
    draw = random.Random(5)
    for event in events:
        decoded = _decoded(generations.old, event)
        field = None if decoded is None else ADDED.get(decoded.name)
        if decoded is None or field is None:
            yield event
            continue
        added = {str(field["name"]): draw.choice(["a", "b"])}
        newer = SentEvent(event.time, event.key, generations.new.encode(decoded.name, {**decoded.record, **added}))
        first, second = draw.sample([event, newer], 2)
        yield first
        if draw.random() < 0.02:
            yield second


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
    """The versions of the request and the action that an example was made of; it holds them as they were written."""
    request_id = example["request"]["request_id"]
    request, action = first[r.REQUEST, request_id], first[r.ACTION, request_id]
    assert (example["request"], example["action"]) == (request.record, action.record)
    assert (example["request"]["device"] is None) is (request.version == 1)
    assert (example["action"]["region"] is None) is (action.version == 1)
    return request.version, action.version
