"""`trimtab dead-letters` on a real topic."""

from __future__ import annotations

import json

import pytest
from confluent_kafka import Producer

from event_schemas.codec import Codec
from event_schemas.registry import Registry
from tests.components.join_bench import JoinBench
from tests.components.schema_registry import SchemaRegistry
from tests.record_samples import DEAD_LETTER, ENGAGEMENT

CODEC = Codec(Registry.bundled())


def _fill(bench: JoinBench) -> None:
    wrapped = CODEC.encode("Engagement", ENGAGEMENT)
    letters = [
        {**DEAD_LETTER, "reason": "late", "detail": "too late", "request_id": "r9", "value": wrapped},
        {**DEAD_LETTER, "detail": "3 bytes unread"},
        {**DEAD_LETTER, "detail": "again"},
    ]
    producer = Producer({**bench.client_config, "enable.idempotence": True})
    for letter in letters:
        producer.produce(f"{bench.prefix}dead-letters", CODEC.encode("DeadLetter", letter), partition=2)
    assert producer.flush(20) == 0


def test_list_and_show(join_bench: JoinBench) -> None:
    _fill(join_bench)
    lines = join_bench.run("dead-letters", "list").stdout.splitlines()
    assert lines == [
        "2:0\tlate\tr9\ttoo late",
        "2:1\tmalformed\t-\t3 bytes unread",
        "2:2\tmalformed\t-\tagain",
        "3 dead letters: malformed 2, late 1",
    ]
    some = join_bench.run("dead-letters", "list", "--reason", "malformed", "--limit", "1", "--json").stdout
    assert [json.loads(line)["detail"] for line in some.splitlines()] == ["3 bytes unread"]

    banana = join_bench.run("dead-letters", "list", "--reason", "banana")
    assert (banana.returncode, "'banana'" in banana.stderr) == (1, True)

    shown = json.loads(join_bench.run("dead-letters", "show", "2:0").stdout)
    assert shown["reason"] == "late"
    assert shown["original"]["record"] == "Engagement"
    assert shown["original"]["engagement_id"] == ENGAGEMENT["engagement_id"]
    assert json.loads(join_bench.run("dead-letters", "show", "2:1").stdout)["original"] is None


def test_reading_changes_nothing_at_the_registry(
    join_bench: JoinBench, schema_registry: SchemaRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIMTAB_SCHEMA_REGISTRY_URL", schema_registry.url)
    assert join_bench.run("dead-letters", "list").stdout == "0 dead letters\n"
    assert join_bench.run("reconcile").returncode == 0
    assert join_bench.run("dead-letters", "replay", "--dry-run").returncode == 0
    assert not [name for name in schema_registry.client.get_subjects() if name.startswith("trimtab.")]


def test_places_that_hold_nothing_are_named(join_bench: JoinBench) -> None:
    _fill(join_bench)
    for place, message in (("2:3", "offsets kept: 0 to 2"), ("9:0", "offsets kept: none"), ("x", "is not a place")):
        done = join_bench.run("dead-letters", "show", place)
        assert done.returncode == 1
        assert message in done.stderr
        assert "fix: " in done.stderr
