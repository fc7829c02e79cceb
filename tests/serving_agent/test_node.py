"""A whole node on a memory store and a memory log, and on a real Redis that dies under it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from event_schemas.exploration import ExplorationSettings
from event_schemas.slices import Slice
from feature_contract import FeatureContract
from policy_store.backends.memory_store import MemoryStore
from policy_store.backends.redis_store import RedisStore
from policy_store.records.channel_record import Channel
from producers.delivery.memory_log import MemoryLog
from serving_agent.decide.decision_request import DecisionRequest
from serving_agent.decide.fallback_reason import FallbackReason
from serving_agent.node import NodeConnections, ServingNode, ServingNodeConfig, build_node
from tests.components.forking import in_child, outcome_of
from tests.components.redis_server import RedisServer
from tests.serving_samples import (
    TRUSTED,
    StoreDesk,
    codec,
    embedded,
    logged,
    preferring,
    serving_experiment,
)

EXPERIMENT = serving_experiment(experiment={"exploration_rate": 0.0, "control_rate": 0.0, "log_rate": 1.0})
REQUEST = DecisionRequest(user_embedding=embedded(0.0))


def wall_clock() -> int:
    return time.time_ns() // 1_000_000


def wait_for_slice(node: ServingNode, wanted: Slice, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while node.decide(REQUEST).slice is not wanted:
        assert time.monotonic() < deadline, f"no {wanted} decision: {node.report().as_dict()}"
        time.sleep(0.02)


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


def test_decides_before_it_is_started_and_serves_policies_after(tmp_path: Path) -> None:
    desk = StoreDesk(EXPERIMENT, now=wall_clock())
    desk.publish("v1", preferring(EXPERIMENT, repin=2))
    desk.point(Channel.STABLE, "v1")
    log, registry = MemoryLog(), CollectorRegistry()
    config = ServingNodeConfig(EXPERIMENT, TRUSTED, node_id="n1", data_dir=tmp_path)
    node = build_node(config, NodeConnections(desk.store, log, codec()), registry)
    assert node.decide(REQUEST).fallback_reason is FallbackReason.NO_POLICY
    node.start()
    try:
        decision = node.decide(REQUEST)
        assert (decision.slice, decision.arm, decision.policy_version) == (Slice.POLICY, 2, "v1")
        decision.applied()
        node.engagements.log(decision.request_id, "repin", event_time=wall_clock())
    finally:
        node.close()
    assert [record["slice"] for record in logged(log, "Action")] == ["POLICY"]
    assert [record["kind"] for record in logged(log, "Engagement")] == ["repin"]
    [said] = logged(log, "Exploration", "trimtab.explorations")
    assert ExplorationSettings.parse(said["digest"], said["settings"]) == EXPERIMENT.exploration
    assert [record["exploration"] for record in logged(log, "Propensity")] == [said["digest"]]
    [tally] = logged(log, "Tally", "trimtab.tallies")
    # Counts start at zero with each run of a node, which is therefore a source of its own.
    assert tally["source"].startswith("n1.1")
    assert tally["counts"] == [{"slice": "POLICY", "count": 1}]
    assert node.snapshot.versions() == {"stable": "v1"}


def test_a_checkpoint_that_version_0_1_0_trained_serves_on_and_comes_back_from_the_disk(tmp_path: Path) -> None:
    first = FeatureContract.from_experiment(EXPERIMENT, encoding=1)
    desk = StoreDesk(EXPERIMENT, now=wall_clock())
    desk.publish("v1", preferring(EXPERIMENT, repin=2), feature_contract=first.digest)
    desk.publish("v2", preferring(EXPERIMENT, repin=4))
    desk.publish("v3", preferring(EXPERIMENT, repin=6), feature_contract="ab" * 32)
    desk.point(Channel.STABLE, "v1")
    desk.point(Channel.SHADOW, "v2")
    config = ServingNodeConfig(EXPERIMENT, TRUSTED, node_id="n1", data_dir=tmp_path)
    for store in (desk.store, MemoryStore(EXPERIMENT.name)):
        node = build_node(config, NodeConnections(store, MemoryLog(), codec()))
        node.start()
        try:
            assert node.snapshot.versions() == {"stable": "v1", "shadow": "v2"}
            assert (node.decide(REQUEST).arm, node.decide(REQUEST).policy_version) == (2, "v1")
            desk.point(Channel.STABLE, "v3")
            node.refresher.poll()
            assert node.snapshot.versions()["stable"] == "v1", "an encoding nobody knows is not served"
            desk.point(Channel.STABLE, "v1")
        finally:
            node.close()


def test_the_kill_file_stops_a_node_within_a_second(tmp_path: Path) -> None:
    desk = StoreDesk(EXPERIMENT, now=wall_clock())
    desk.publish("v1", preferring(EXPERIMENT, repin=2))
    desk.point(Channel.STABLE, "v1")
    config = ServingNodeConfig(EXPERIMENT, TRUSTED, kill_file=tmp_path / "kill")
    node = build_node(config, NodeConnections(desk.store, MemoryLog(), codec()))
    node.start()
    try:
        assert node.decide(REQUEST).slice is Slice.POLICY
        (tmp_path / "kill").touch()
        wait_for_slice(node, Slice.FALLBACK, seconds=10.0)
        assert node.decide(REQUEST).fallback_reason is FallbackReason.KILLED
        assert node.report().as_dict()["killed"]
        (tmp_path / "kill").unlink()
        wait_for_slice(node, Slice.POLICY, seconds=10.0)
    finally:
        node.close()


def test_requests_are_answered_while_redis_is_killed_and_comes_back(tmp_path: Path, redis_server: RedisServer) -> None:
    store = RedisStore(redis_server.url, EXPERIMENT.name)
    desk = StoreDesk(EXPERIMENT, store, now=wall_clock())
    desk.publish("v1", preferring(EXPERIMENT, repin=2))
    desk.point(Channel.STABLE, "v1")
    log = MemoryLog()
    config = ServingNodeConfig(EXPERIMENT, TRUSTED, node_id="n1", data_dir=tmp_path / "node")
    node = build_node(config, NodeConnections(store, log, codec()))
    node.start()
    stop, outcomes = threading.Event(), Counter[str]()

    def rank() -> None:
        while not stop.is_set():
            outcomes[node.decide(REQUEST).policy_version] += 1

    ranker = threading.Thread(target=rank)
    ranker.start()
    try:
        redis_server.stop()
        before = outcomes.total()
        time.sleep(3.0)
        assert outcomes.total() > before
        assert "does not answer" in node.report().store
        # A node that starts now finds the last good snapshot on its disk.
        second = build_node(config, NodeConnections(store, MemoryLog(), codec()))
        second.start()
        assert second.snapshot.versions() == {"stable": "v1"}
        second.close()
        redis_server.start()
        desk.now = wall_clock()
        desk.publish("v1", preferring(EXPERIMENT, repin=2))
        desk.publish("v2", preferring(EXPERIMENT, repin=3))
        desk.point(Channel.STABLE, "v2")
        deadline = time.monotonic() + 15.0
        while "v2" not in outcomes and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        stop.set()
        ranker.join()
        node.close()
        store.close()
    assert node.snapshot.versions() == {"stable": "v2"}
    # On a busy machine a request may overrun its inference budget; then production serves it.
    assert {"v1", "v2"} <= set(outcomes) <= {"v1", "v2", "production"}


def test_two_nodes_with_one_id_are_noticed_and_tally_as_two_sources() -> None:
    store, log, registry = MemoryStore(EXPERIMENT.name), MemoryLog(), CollectorRegistry()
    now = wall_clock()
    config = ServingNodeConfig(EXPERIMENT, TRUSTED, node_id="n1", clock=lambda: now)
    first = build_node(config, NodeConnections(store, log, codec()), registry)
    second = build_node(config, NodeConnections(store, log, codec()))
    try:
        for node in (first, second, first):
            node.refresher._heartbeat._beaten_at = 0
            node.refresher.poll()
            node.decide(REQUEST).applied()
        report, other = first.report().as_dict(), second.report().as_dict()
        assert f"another live process, {other['instance']}, sends" in report["name"]
        assert other["name"] == "ok"
        assert registry.get_sample_value("trimtab_serving_node_id_shared") == 1
    finally:
        first.close()
        second.close()
    tallies = {tally["source"]: tally["counts"][0]["count"] for tally in logged(log, "Tally", "trimtab.tallies")}
    assert tallies == {f"n1.{now}.{report['instance']}": 2, f"n1.{now}.{other['instance']}": 1}
    assert report["instance"] != other["instance"]


def instances_after_forks() -> list[str]:
    """Of two nodes built from one config, in this process, in a child, and built in two children."""
    config = ServingNodeConfig(EXPERIMENT, TRUSTED, node_id="n1")

    def built() -> ServingNode:
        return build_node(config, NodeConnections(MemoryStore(EXPERIMENT.name), MemoryLog(), codec()))

    nodes = [built(), built()]
    found = [str(node.report().as_dict()["instance"]) for node in nodes]
    found += in_child(lambda: [node.report().as_dict()["instance"] for node in nodes])
    return found + [in_child(lambda: built().report().as_dict()["instance"]) for _ in range(2)]


def test_each_run_of_a_node_has_a_name_of_its_own() -> None:
    found = outcome_of(instances_after_forks)
    assert len(set(found)) == len(found) == 6


CAPPED = serving_experiment(
    experiment={"exploration_rate": 1.0, "control_rate": 0.5, "exploration_cap": 5.0},
    serving={"most_nodes": 10, "heartbeat": "400ms"},
)


class Clocks:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def config(self, node_id: str) -> ServingNodeConfig:
        return ServingNodeConfig(
            CAPPED,
            TRUSTED,
            node_id=node_id,
            clock=lambda: 1_764_000_000_000 + round(self.seconds * 1_000),
            timer=lambda: self.seconds,
        )


def explored_in(node: ServingNode, clocks: Clocks, seconds: int) -> int:
    """Requests that explore among twenty per second, while the node polls the store twice a second."""
    found = 0
    for number in range(20 * seconds):
        clocks.seconds += 0.05
        if number % 10 == 0:
            node.refresher.poll()
        found += node.decide(REQUEST).slice is Slice.EXPLORE
    return found


def test_a_node_claims_its_share_of_the_cap_keeps_to_it_and_gives_it_up() -> None:
    clocks, registry = Clocks(), CollectorRegistry()
    store = MemoryStore(CAPPED.name, clock=lambda: 1_764_000_000_000 + round(clocks.seconds * 1_000))
    node = build_node(clocks.config("n1"), NodeConnections(store, MemoryLog(), codec()), registry)
    other = build_node(clocks.config("n2"), NodeConnections(store, MemoryLog(), codec()))
    assert explored_in(other, clocks, 1) <= 1
    other.close()
    explored_in(node, clocks, 10)
    assert 5 * 30 * 0.9 <= explored_in(node, clocks, 30) <= 5 * 33
    assert registry.get_sample_value("trimtab_serving_exploration_share") == 1.0
    rate = registry.get_sample_value("trimtab_serving_exploration_rate")
    assert rate is not None and rate < 1.0
    claims = {each.node_id: each.status["exploration_share"] for each in store.nodes()}
    assert claims == {"n1": 1.0}
    node.close()
    assert [each.status["exploration_share"] for each in store.nodes()] == [None]
    clocks.seconds += 1.0
    assert {node.decide(REQUEST).slice for _ in range(50)} == {Slice.FALLBACK, Slice.CONTROL}


def explored_by_parent_and_child() -> list[int]:
    """Both use one capped node that was built and has a whole share before the fork."""
    clocks = Clocks()
    store = MemoryStore(CAPPED.name, clock=lambda: 1_764_000_000_000 + round(clocks.seconds * 1_000))
    node = build_node(clocks.config("n1"), NodeConnections(store, MemoryLog(), codec()))
    explored_in(node, clocks, 20)

    def child() -> int:
        before = sum(node.decide(REQUEST).slice is Slice.EXPLORE for _ in range(100))
        clocks.seconds += 0.2
        return before + sum(node.decide(REQUEST).slice is Slice.EXPLORE for _ in range(100))

    return [in_child(child), explored_in(node, clocks, 10)]


def test_a_forked_child_of_a_capped_node_explores_nothing_before_it_has_tried_the_store() -> None:
    in_child_itself, in_parent = outcome_of(explored_by_parent_and_child)
    assert in_child_itself == 0
    assert in_parent >= 40
