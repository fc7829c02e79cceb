"""The plain Python join gives the reference's examples."""

from __future__ import annotations

from benchmarks.example_tally import ExampleFacts, ExampleTally
from benchmarks.peers.open_decisions import OpenDecisions
from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.registry import Registry
from producers.topics.key_partition import partition_of
from tests.benchmarks.test_event_stream import PARTITIONS, stream


def facts(example: r.Record) -> ExampleFacts:
    request, outcomes = example["request"], example["outcome"]["objectives"]
    return ExampleFacts(
        request["request_id"],
        example["action"]["arm"],
        example["propensity"]["propensity"],
        len(request["user_embedding"]),
        len(request["history"]),
        tuple((outcome["count"], outcome["reward"]) for outcome in outcomes),
    )


def test_a_stream_gives_its_reference() -> None:
    source, tally = stream(), ExampleTally()
    partitions = [OpenDecisions(partition) for partition in range(PARTITIONS)]
    for offset, event in enumerate(source.events()):
        partitions[partition_of(event.key, PARTITIONS)].take(event.value, offset)
    for decisions in partitions:
        decisions.take(source.heartbeat(), 0)
        for _, example in decisions.closed():
            tally.add(facts(example))
    assert tally == source.reference


def test_an_engagement_without_a_request_expires() -> None:
    codec, decisions = Codec(Registry.bundled()), OpenDecisions(0)
    engagement = {
        "engagement_id": "e",
        "request_id": "r",
        "event_time": 1,
        "kind": "click",
        "item_id": None,
        "value": 1.0,
    }
    decisions.take(codec.encode(r.ENGAGEMENT, engagement), 0)
    decisions.take(codec.encode(r.HEARTBEAT, {"event_time": 10_000_000}), 1)
    assert list(decisions.closed()) == []
    assert not decisions._open
