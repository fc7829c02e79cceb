"""A fleet's cap on exploration on real Kafka and Redis: ten times the traffic, a newcomer, and Redis gone.

The nodes' clocks run `SPEED` times as fast as time, so that some minutes pass in seconds.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from event_schemas.codec import Codec
from event_schemas.records import Record
from event_schemas.registry import Registry
from event_schemas.slices import coin
from policy_store.backends.redis_store import RedisStore
from policy_store.records.signing import TrustedKeys
from producers.delivery.kafka_delivery import KafkaDelivery
from serving_agent.decide.decision_request import DecisionRequest
from serving_agent.node import NodeConnections, ServingNode, ServingNodeConfig, build_node
from serving_agent.pickup.fleet_share import EXPLORATION_SHARE
from stream_processors.audit.log_reader import LogReader
from tests.components.kafka_broker import KafkaBroker
from tests.components.redis_server import RedisServer
from tests.conftest import TopicFactory
from tests.serving_samples import serving_experiment

SPEED = 12.0
NOW = 1_764_000_000_000
CAP, RATE, CONTROL = 6.0, 0.2, 0.05
MOST_NODES = 6
USUAL, SPIKE = 20.0, 200.0
"""Requests per second of the whole fleet, on the nodes' clocks; they explore 4 and 40 without a cap."""
EXPERIMENT = serving_experiment(
    experiment={"exploration_rate": RATE, "control_rate": CONTROL, "log_rate": 1.0, "exploration_cap": CAP},
    # Nodes wait for the poll in real time; all else is on their clocks.
    serving={"poll": "300ms", "heartbeat": "5s", "most_nodes": MOST_NODES},
    features={"user_embedding_dim": 0},
)


class Fleet:
    """Nodes that share a broker, a Redis and a fast clock, and their traffic, one request after another."""

    def __init__(self, bootstrap: str, redis_url: str, prefix: str) -> None:
        self._began = time.perf_counter()
        self._redis_url, self._prefix = redis_url, prefix
        self._delivery = KafkaDelivery({"bootstrap.servers": bootstrap})
        self._requests = itertools.count(1)
        self.nodes: list[ServingNode] = []
        self.ids: list[str] = []
        self.store = RedisStore(redis_url, EXPERIMENT.name)

    @property
    def seconds(self) -> float:
        return (time.perf_counter() - self._began) * SPEED

    @property
    def now_ms(self) -> int:
        return NOW + int(self.seconds * 1_000)

    def start_node(self) -> None:
        config = ServingNodeConfig(
            EXPERIMENT,
            TrustedKeys.of(),
            node_id=f"n{len(self.nodes)}",
            topic_prefix=self._prefix,
            clock=lambda: self.now_ms,
            timer=lambda: self.seconds,
        )
        store = RedisStore(self._redis_url, EXPERIMENT.name)
        self.nodes.append(build_node(config, NodeConnections(store, self._delivery, Codec(Registry.bundled()))))
        self.nodes[-1].start()

    def serve(self, rate: float, seconds: float) -> None:
        """Traffic at `rate` per second, node by node; a machine that cannot keep up serves less."""
        began = self.seconds
        sent = 0
        while (passed := self.seconds - began) < seconds:
            if sent >= passed * rate:
                time.sleep(0.001)
                continue
            sent = max(sent + 1, int(passed * rate) - 50)
            self.ids.append(f"r{next(self._requests)}")
            node = self.nodes[len(self.ids) % len(self.nodes)]
            assert node.decide(DecisionRequest(self.ids[-1])).applied()

    def claims(self) -> list[float]:
        return [each.status[EXPLORATION_SHARE] for each in self.store.nodes()]

    def close(self) -> None:
        for node in self.nodes:
            node.close()
        assert self._delivery.close().dropped == 0


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


def test_the_fleet_keeps_its_cap_at_ten_times_the_traffic_and_without_redis(
    kafka: KafkaBroker, topics: TopicFactory, redis_server: RedisServer
) -> None:
    prefix = topics()
    fleet = Fleet(kafka.bootstrap, redis_server.url, prefix)
    for _ in range(3):
        fleet.start_node()
    while fleet.claims() != pytest.approx([1 / 3] * 3):
        fleet.serve(USUAL, 5.0)
        assert fleet.seconds < 60.0 * SPEED, f"shares are not settled: {fleet.claims()}"
    fleet.serve(USUAL, 20.0)
    spike = fleet.now_ms
    fleet.start_node()
    fleet.serve(SPIKE, 70.0)
    redis_server.stop()
    gone = fleet.now_ms
    fleet.serve(SPIKE, 70.0)
    end = fleet.now_ms
    fleet.close()

    drawn = _drawn(kafka.bootstrap, prefix)
    assert drawn.keys() == set(fleet.ids), "log_rate is 1"
    explored = sorted(at for at, rate, is_explored in drawn.values() if is_explored)
    assert _busiest(explored, 60.0) <= 1.05 * 60.0 * CAP
    assert _busiest([at for at in explored if at >= spike + 2_000], 10.0) <= CAP * 13.0
    last = [at for at in explored if at >= gone + 20_000]
    assert _busiest(last, 30.0) <= CAP * (4 / MOST_NODES) * 33.0, "each node keeps to 1 / most_nodes"
    assert len(last) > 0.25 * CAP * (4 / MOST_NODES) * (end - gone - 20_000) / 1_000

    for request_id, (_, rate, is_explored) in drawn.items():
        assert 0.0 <= rate <= RATE
        assert is_explored == (coin(EXPERIMENT.experiment.salt, "explore", request_id) < rate), "logged as drawn"
    usual = [rate for at, rate, _ in drawn.values() if spike - 10_000 <= at < spike]
    assert sum(rate == pytest.approx(RATE) for rate in usual) > 0.2 * len(usual), "below the cap nothing is lowered"
    after = [rate for at, rate, _ in drawn.values() if spike + 2_000 <= at < gone]
    assert sum(after) < 0.8 * RATE * len(after), "the spike lowers the rate"


def _drawn(bootstrap: str, prefix: str) -> dict[str, tuple[int, float, bool]]:
    """By request: its event time, the ε_t that its Propensity tells, and whether it explored."""
    codec = Codec(Registry.bundled())
    datums = [
        codec.decode(each.value) for each in LogReader({"bootstrap.servers": bootstrap}, f"{prefix}events").read_all()
    ]
    slices = {each.record["request_id"]: each.record["slice"] for each in datums if each.name == "Action"}
    return {
        each.record["request_id"]: (
            each.record["event_time"],
            _rate(each.record, slices),
            _explored(each.record, slices),
        )
        for each in datums
        if each.name == "Propensity"
    }


def _explored(propensity: Record, slices: dict[str, str]) -> bool:
    return slices[propensity["request_id"]] == "EXPLORE"


def _rate(propensity: Record, slices: dict[str, str]) -> float:
    probability, drawn = propensity["slice_probability"], slices[propensity["request_id"]]
    if drawn == "EXPLORE":
        return float(probability)
    return max(0.0, 1.0 - float(probability) / (CONTROL if drawn == "CONTROL" else 1.0 - CONTROL))


def _busiest(times: list[int], seconds: float) -> int:
    """The most of the ascending times (ms) in any span of so many seconds."""
    most, first = 0, 0
    for last, at in enumerate(times):
        while at - times[first] >= seconds * 1_000:
            first += 1
        most = max(most, last - first + 1)
    return most
