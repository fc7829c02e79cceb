"""A node notices another live process under its id, and takes neither its predecessor nor itself for one."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from monitoring.metrics import ServingMetrics
from policy_store.backends.memory_store import MemoryStore
from policy_store.records.store_errors import StoreRefused
from serving_agent.pickup.node_heartbeat import HEARTBEATS_BEFORE_DEAD, WELL, NodeHeartbeat, new_instance

EVERY_MS = 10_000
LIFETIME_MS = HEARTBEATS_BEFORE_DEAD * EVERY_MS


class World:
    """A store and a clock (ms) that several processes share; all of them are called n1."""

    def __init__(self) -> None:
        self.now = 1_000_000
        self.store = MemoryStore("test", clock=lambda: self.now)
        self.registry = CollectorRegistry()
        self.processes: dict[str, NodeHeartbeat] = {}

    def beat(self, instance: str, *, at_once: bool = True) -> str:
        if instance not in self.processes:
            metrics = ServingMetrics(self.registry) if instance == "a" else None
            self.processes[instance] = NodeHeartbeat(self.store, EVERY_MS, metrics)
        process, content = self.processes[instance], {"node_id": "n1", "instance": instance}
        process.beat(lambda: content | {"name": process.name_state}, self.now, at_once=at_once)
        return process.name_state

    @property
    def shared(self) -> float | None:
        """The metric of process a."""
        return self.registry.get_sample_value("trimtab_serving_node_id_shared")


def test_two_live_processes_notice_each_other_and_say_so_once() -> None:
    world = World()
    with capture_logs() as said:
        for _ in range(5):
            world.beat("a")
            world.beat("b")
            world.now += EVERY_MS
    assert "another live process, b, sends heartbeats under this node id" in world.beat("a")
    assert "another live process, a, " in world.beat("b")
    told = [line["instance"] for line in said if line["event"] == "another live process uses this node id"]
    assert sorted(told) == ["a", "b"]
    assert world.shared == 1
    [node] = world.store.nodes()
    assert node.status["name"] != WELL, "people see it in the heartbeat"


def test_it_is_over_when_the_other_has_ended() -> None:
    world = World()
    for process in "aba":
        world.beat(process)
    for _ in range(HEARTBEATS_BEFORE_DEAD + 1):
        world.now += EVERY_MS
        world.beat("a")
    assert (world.beat("a"), world.shared) == (WELL, 0)


def test_the_one_before_a_restart_is_no_other() -> None:
    world = World()
    world.beat("before")
    for _ in range(5):
        world.now += 100
        assert world.beat("a") == WELL
    assert world.shared == 0


def test_a_node_of_an_earlier_version_is_noticed() -> None:
    world = World()
    world.beat("a")
    world.store.heartbeat("n1", {"node_id": "n1", "versions": {}}, 30.0)
    assert "another live process, of an earlier version" in world.beat("a")


def test_a_forked_child_starts_anew() -> None:
    world = World()
    for process in "aba":
        world.beat(process)
    world.processes["a"].begin_anew()
    assert world.processes["a"].name_state == WELL
    assert world.beat("a") == WELL


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2 * LIFETIME_MS)), max_size=30))
def test_a_process_reports_exactly_who_wrote_between_two_of_its_heartbeats(steps: list[tuple[str, int]]) -> None:
    world, last, seen = World(), dict[str, tuple[str, int]](), dict[str, tuple[str, int]]()
    held: tuple[str, int] | None = None
    for process, later in steps:
        world.now += later
        if held is not None and world.now >= held[1] + LIFETIME_MS:
            held = None  # it expired
        if process in last and held is not None and held[0] != process:
            seen[process] = (held[0], world.now)
        state = world.beat(process)
        other, when = seen.get(process, ("", -10 * LIFETIME_MS))
        assert (f", {other}," in state) == (world.now - when <= LIFETIME_MS), state
        held = last[process] = (process, world.now)


def test_it_beats_when_due_or_at_once_and_survives_a_clock_set_back() -> None:
    world = World()
    sent = []
    for later, at_once in ((0, False), (EVERY_MS - 1, False), (1, False), (1, True), (-50_000, False)):
        world.now += later
        world.store.heartbeat("n1", {}, 30.0)
        world.beat("a", at_once=at_once)
        sent.append(world.store.nodes()[0].status != {})
    assert sent == [True, False, True, True, True]


class ReadOnly(MemoryStore):
    def heartbeat(self, node_id: str, status: Any, ttl_s: float) -> Any:
        raise StoreRefused("NOPERM", fix="check the ACL")


def test_a_store_that_refuses_is_only_logged() -> None:
    heartbeat = NodeHeartbeat(ReadOnly("test"), EVERY_MS)
    with capture_logs() as said:
        heartbeat.beat(lambda: {"node_id": "n1", "instance": "a"}, EVERY_MS)
    assert [(line["event"], line["what"]) for line in said] == [("heartbeat not written", "NOPERM")]


def test_instances_differ() -> None:
    assert len({new_instance() for _ in range(5)}) == 5
