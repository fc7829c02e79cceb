"""Shares in use add up to at most 1 while nodes come, close, die and are cut off, and the fleet shares alike again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from policy_store.backends.memory_store import MemoryStore
from policy_store.backends.store import NodeStatus
from policy_store.records.store_errors import StoreRefused
from serving_agent.pickup.fleet_share import EXPLORATION_SHARE, FleetShare, ShareBounds, claimed_share
from serving_agent.pickup.node_heartbeat import NodeHeartbeat, heartbeat_lifetime_ms

HEARTBEAT_MS, POLL_S = 10_000, 5.0
LIFETIME_S = heartbeat_lifetime_ms(HEARTBEAT_MS) / 1_000.0
MOST = 20
ALONE = 1.0 / MOST
ROUNDING = 1e-9


class BusyStore(MemoryStore):
    """A store in which others act between what a node writes and what it then reads."""

    meanwhile: Callable[[], None] | None = None
    readable = True

    def __init__(self, experiment: str, *, clock: Callable[[], int]) -> None:
        super().__init__(experiment, clock=clock)
        self.heard_at = dict[Any, int]()

    def heartbeat(self, node_id: str, status: Mapping[str, Any], ttl_s: float) -> Mapping[str, Any]:
        self.heard_at[status.get("instance")] = self.clock()
        others, self.meanwhile = self.meanwhile, None
        before = super().heartbeat(node_id, status, ttl_s)
        self.meanwhile = others
        return before

    def nodes(self) -> list[NodeStatus]:
        if not self.readable:
            raise StoreRefused("reading the nodes: NOPERM", fix="give this user the right")
        others, self.meanwhile = self.meanwhile, None
        if others is not None:
            others()
        return super().nodes()


class Member:
    """A node that polls the store every `POLL_S`."""

    def __init__(self, fleet: Fleet, name: str, instance: str) -> None:
        self.share = FleetShare(ShareBounds(MOST, fleet.most_shares, LIFETIME_S), lambda: fleet.now)
        self._heartbeat = NodeHeartbeat(fleet.store, HEARTBEAT_MS, share=self.share)
        self._fleet = fleet
        self.instance = instance
        self._content = {"node_id": name, "instance": instance}
        self.reaches = True
        self.due_at = fleet.now + 0.5

    def poll(self) -> None:
        self.due_at = self._fleet.now + POLL_S
        reachable = self.reaches and self._fleet.up
        self._heartbeat.beat(lambda: self._content, self._fleet.store.clock(), reachable=reachable)

    def close(self) -> None:
        self._heartbeat.leave(lambda: self._content)


class Fleet:
    """Nodes on one store and one clock (s)."""

    def __init__(self, most_shares: int = 1_000) -> None:
        self.now, self.up, self.most_shares = 1_000.0, True, most_shares
        self.store = BusyStore("test", clock=lambda: round(self.now * 1_000))
        self.members: dict[str, Member] = {}
        self.started = 0

    def start(self, name: str | None = None) -> Member:
        self.started += 1
        name = name or f"n{self.started}"
        self.members[name] = Member(self, name, f"run-{self.started}")
        return self.members[name]

    def shares(self) -> list[float]:
        return [each.share.in_force() for each in self.members.values()]

    def run(self, seconds: float, *, interleaved: bool = False) -> None:
        """Passes the time; each due node polls, or, if `interleaved`, all others between its write and its read."""
        end = self.now + seconds
        while self.members and (now := min(each.due_at for each in self.members.values())) <= end:
            self.now = max(self.now, now)
            first, *rest = sorted(self.members.values(), key=lambda each: each.due_at)
            if interleaved:
                self.store.meanwhile = partial(self._poll, rest)
            first.poll()
            self.store.meanwhile = None
            self.check()
        self.now = end
        self.check()

    def _poll(self, members: list[Member]) -> None:
        for each in members:
            each.poll()

    def check(self) -> None:
        """At most 1, but for 1 / most nodes of each that has no lease: others need not know it."""
        heard = [self.store.heard_at.get(each.instance, 0) for each in self.members.values()]
        cut_off = sum(self.now * 1_000 - at >= 0.89 * LIFETIME_S * 1_000 for at in heard)
        assert sum(self.shares()) <= 1.0 + cut_off * ALONE + ROUNDING


def settled(fleet: Fleet) -> list[float]:
    fleet.run(4 * LIFETIME_S)
    return fleet.shares()


ACTIONS = st.sampled_from(["start", "start", "close", "die", "restart", "cut", "return", "down", "up", "wait", "wait"])


@settings(max_examples=150)
@given(
    st.lists(st.tuples(ACTIONS, st.integers(0, 50), st.sampled_from([0.5, 3.0, 11.0, 29.0, 65.0])), max_size=25),
    st.booleans(),
)
def test_shares_never_add_up_to_more_than_one(history: list[tuple[str, int, float]], interleaved: bool) -> None:
    fleet = Fleet()
    fleet.start()
    for action, which, seconds in history:
        names = list(fleet.members)
        name = names[which % len(names)] if names else None
        if action == "start" and len(names) < MOST:
            fleet.start()
        elif action == "close" and name is not None:
            fleet.members.pop(name).close()
        elif action == "die" and name is not None:
            del fleet.members[name]
        elif action == "restart" and name is not None:
            fleet.start(name)
        elif action in ("cut", "return") and name is not None:
            fleet.members[name].reaches = action == "return"
        elif action in ("down", "up"):
            fleet.up = action == "up"
        fleet.run(seconds, interleaved=interleaved)
    fleet.up = True
    for each in fleet.members.values():
        each.reaches = True
    shares = settled(fleet)
    assert all(share >= ALONE - ROUNDING for share in shares)
    if shares and not any(action in ("die", "cut", "down") for action, _, _ in history):
        assert shares == pytest.approx([1.0 / len(shares)] * len(shares)), "nothing is kept free"


def test_nodes_share_alike_and_take_over_at_once_from_one_that_closes() -> None:
    fleet = Fleet()
    fleet.start()
    assert settled(fleet) == [1.0]
    fleet.start()
    fleet.start()
    assert settled(fleet) == pytest.approx([1 / 3] * 3)
    fleet.members.pop("n2").close()
    fleet.run(2 * HEARTBEAT_MS / 1_000)
    assert fleet.shares() == pytest.approx([0.5, 0.5])


def test_a_node_explores_nothing_before_it_has_tried_the_store() -> None:
    fleet = Fleet()
    assert fleet.start().share.in_force() == 0.0
    fleet.up = False
    fleet.run(1.0)
    assert fleet.shares() == [ALONE]


def test_a_newcomer_takes_the_share_of_one_that_knows_nothing_until_it_must_have_seen_everyone() -> None:
    fleet = Fleet()
    fleet.start()
    fleet.run(12.0)
    assert fleet.shares() == [ALONE]
    fleet.run(LIFETIME_S + 10.0)
    assert fleet.shares() == [1.0]


def test_without_the_store_each_falls_to_the_share_of_one_that_knows_nothing_and_recovers() -> None:
    fleet = Fleet()
    for _ in range(4):
        fleet.start()
    assert settled(fleet) == pytest.approx([0.25] * 4)
    fleet.up = False
    fleet.run(LIFETIME_S - 15.0)
    assert fleet.shares() == pytest.approx([0.25] * 4), "the lease still holds"
    fleet.run(15.0)
    assert fleet.shares() == [ALONE] * 4
    fleet.up = True
    assert settled(fleet) == pytest.approx([0.25] * 4)


def test_the_lease_ends_although_the_thread_of_the_heartbeats_hangs() -> None:
    fleet = Fleet()
    fleet.start()
    assert settled(fleet) == [1.0]
    fleet.now += LIFETIME_S
    assert fleet.shares() == [ALONE]


def test_the_part_of_a_node_that_is_cut_off_stays_free_for_an_hour() -> None:
    fleet = Fleet()
    for _ in range(3):
        fleet.start()
    settled(fleet)
    fleet.members["n1"].reaches = False
    assert settled(fleet) == pytest.approx([ALONE, (1 - ALONE) / 2, (1 - ALONE) / 2])
    del fleet.members["n1"]
    fleet.run(3_700.0)
    assert fleet.shares() == pytest.approx([0.5, 0.5])


def test_nodes_that_crash_again_and_again_leave_each_live_one_its_part() -> None:
    fleet = Fleet()
    fleet.start("stays")
    for number in range(2 * MOST):
        fleet.start(f"crashes{number}")
        fleet.run(45.0)
        del fleet.members[f"crashes{number}"]
    assert settled(fleet)[0] >= ALONE


def test_a_store_that_lost_its_data_gives_a_newcomer_no_more() -> None:
    fleet = Fleet()
    for _ in range(3):
        fleet.start()
    settled(fleet)
    fleet.run(5.5)
    fleet.store._contents.nodes.clear()
    fleet.start()
    fleet.run(1.0)
    assert fleet.shares() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0.0])
    fleet.run(LIFETIME_S)
    assert sum(fleet.shares()) <= 1.0 + ROUNDING
    assert settled(fleet) == pytest.approx([0.25] * 4)


def test_a_claim_counts_as_long_as_its_lease_although_the_store_has_lost_it() -> None:
    fleet = Fleet()
    fleet.start()
    fleet.start()
    settled(fleet)
    fleet.store._contents.nodes.clear()
    fleet.members["n1"].reaches = False
    fleet.run(LIFETIME_S - 15.0)
    assert fleet.shares() == pytest.approx([0.5, 0.5])
    assert settled(fleet) == pytest.approx([ALONE, 1.0 - ALONE])


def test_what_another_claimed_meanwhile_is_not_used() -> None:
    fleet = Fleet()
    share = fleet.start().share
    fleet.run(LIFETIME_S)
    assert share.in_force() == ALONE
    fleet.store.heartbeat("grown meanwhile", {EXPLORATION_SHARE: 0.9}, 86_000.0)
    fleet.run(11.0)
    assert share.in_force() == pytest.approx(0.1), "it has claimed 1, and reads 0.9"


def test_two_processes_with_one_id_have_the_part_of_one_that_knows_nothing_each() -> None:
    fleet = Fleet()
    fleet.start()
    fleet.start("twin")
    settled(fleet)
    first = fleet.members["twin"]
    fleet.members["other twin"] = Member(fleet, "twin", "another run")
    fleet.run(4 * LIFETIME_S)
    assert first.share.in_force() <= ALONE
    assert fleet.members["other twin"].share.in_force() <= ALONE


def test_a_cap_of_a_few_requests_a_minute_is_split_among_a_few() -> None:
    fleet = Fleet(most_shares=2)
    for _ in range(3):
        fleet.start()
    assert settled(fleet) == pytest.approx([0.5, 0.5, 0.0])
    fleet.members.pop("n1").close()
    assert settled(fleet) == pytest.approx([0.5, 0.5])


def test_nodes_without_a_claim_do_not_count_and_malformed_claims_do_no_harm() -> None:
    fleet = Fleet()
    fleet.start()
    odd: list[Any] = [None, True, "1", [1], {}]
    for number, claim in enumerate(odd):
        fleet.store.heartbeat(f"odd{number}", {EXPLORATION_SHARE: claim}, 86_000.0)
    fleet.store.heartbeat("older", {}, 86_000.0)
    assert settled(fleet) == [1.0]
    assert [claimed_share(each) for each in (0.25, 1, -3, 10**400, float("nan"))] == [0.25, 1.0, 0.0, 1.0, None]


def test_a_node_that_may_not_read_heartbeats_has_the_share_of_one_that_knows_nothing() -> None:
    fleet = Fleet()
    fleet.store.readable = False
    fleet.start()
    with capture_logs() as said:
        fleet.members["n1"].share.settle(fleet.store, "n1", named_alone=True)
    assert fleet.shares() == [ALONE]
    assert [line["event"] for line in said] == ["heartbeats not read"]


def test_more_nodes_than_the_file_says_are_told_once() -> None:
    fleet = Fleet()
    for _ in range(MOST + 1):
        fleet.start()
    with capture_logs() as said:
        settled(fleet)
    told = [line for line in said if "more nodes than serving.most_nodes" in line["event"]]
    assert len(told) == MOST + 1
    assert told[0]["nodes"] == MOST + 1


def test_a_forked_child_starts_anew() -> None:
    fleet = Fleet()
    share = fleet.start().share
    assert settled(fleet) == [1.0]
    share.begin_anew()
    assert share.in_force() == 0.0
    share.missed()
    assert share.in_force() == ALONE
