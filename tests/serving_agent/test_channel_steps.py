"""A channel in every state, and everything that may happen around it: which state follows."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from policy_store.backends.memory_store import MemoryStore
from policy_store.decisions.governance import keep_fresh
from policy_store.records.channel_record import Channel, ChannelRecord, channel_slot
from policy_store.records.governed_record import SignedRecord
from policy_store.records.revision_rules import ReaderMemory
from policy_store.records.store_errors import RecordMalformed, StoreRefused, StoreUnreachable
from serving_agent.decide.decision_request import DecisionRequest
from serving_agent.decide.recent_traffic import RecentTraffic
from serving_agent.pickup.channel_state import ChannelState, Newest, Service
from serving_agent.pickup.channel_watch import ChannelWatch
from serving_agent.pickup.checkpoint_pickup import CheckpointPickup, PickupResult
from serving_agent.pickup.drift_check import DriftCheck
from serving_agent.pickup.snapshot_disk import SavedSnapshot
from tests.policy_store.control_samples import YEAR_MS, rebase_of
from tests.policy_store.foreign_hands import MemoryHands
from tests.serving_agent.channel_samples import (
    AFTER_EXPIRY,
    BAD,
    EXPERIMENT,
    GRAPH,
    SERVED,
    STATES,
    WAITS,
    broken_between,
    serving,
    state_of,
)
from tests.serving_samples import DAY_MS, GOVERNANCE_KEY, LEARNER_KEY, NOW, StoreDesk, embedded, sketch_of

SLOT = channel_slot(Channel.STABLE)
STEADY = {"ranker_heads": {"repin": sketch_of(np.full(500, 0.2))}}
OTHER_VALUES = {"q_heads": {"repin": sketch_of(np.full(500, 0.99))}}
EVIDENCE = 50


class FaultyStore(MemoryStore):
    """A store whose channels cannot be read while there is a fault."""

    fault: Exception | None = None

    def channel(self, name: str) -> SignedRecord | None:
        if self.fault is not None:
            raise self.fault
        return super().channel(name)


class Bench:
    """A watch in some state, over a store that holds what led there."""

    def __init__(self, state: ChannelState) -> None:
        self.store = FaultyStore(EXPERIMENT.name)
        self.desk = StoreDesk(EXPERIMENT, self.store, now=NOW + 1_000)
        self.hands = MemoryHands(self.store)
        self.recent = RecentTraffic(capacity=100)
        self.memory = ReaderMemory({SLOT: state.seen.revision} if state.seen.revision else {})
        self.watch = self.fresh_watch(self.memory)
        self.watch.state = state
        # Only what serves alone can have been seen to expire.
        self.now = AFTER_EXPIRY if state.stale and state.newest is Newest.OPEN else NOW
        if (held := held_in(state)) is not None:
            self.hands.put(SLOT, held)

    def fresh_watch(self, memory: ReaderMemory) -> ChannelWatch:
        pickup = CheckpointPickup(EXPERIMENT, DriftCheck(EXPERIMENT, self.recent))
        return ChannelWatch(Channel.STABLE, self.desk.rule, pickup, self.recent, EVIDENCE, memory)

    def publish(self, graph: bytes = GRAPH, **manifest: Any) -> None:
        """A new decision, with a clock that fits the node's."""
        self.desk.now = max(self.desk.now, self.now)
        self.desk.publish("v9", graph, **manifest)
        self.desk.point(Channel.STABLE, "v9")

    def heads(self, mean: float) -> None:
        for _ in range(100):
            self.recent.note_heads([{"head": "repin", "count": 9, "mean": mean, "p10": 0, "p50": 0, "p90": 1}])

    def requests(self, count: int = 60) -> None:
        for number in range(count):
            request = DecisionRequest(user_embedding=embedded(0.0)).as_record(f"r{number}", NOW)
            self.recent.note_request(request)


def held_in(state: ChannelState) -> SignedRecord | None:
    """The record that lies in the store while a channel rests in this state."""
    if state.newest in (Newest.REFUSED, Newest.BLOCKED):
        return BAD.record
    if state.newest is Newest.WAITING:
        return WAITS.record
    return None if state.service is Service.EMPTY else SERVED.record


def signed_anew(bench: Bench, **content: Any) -> None:
    """A record of a client of its own, newer than all others unless told otherwise."""
    fields: dict[str, Any] = {"experiment": EXPERIMENT.name, "channel": "stable", "version": "v9", "by": "ada"}
    fields |= {"revision": bench.now + 5_000, "expires_at": bench.now + DAY_MS}
    bench.desk.publish("v9", GRAPH)
    bench.hands.put(SLOT, ChannelRecord.from_content(fields | content).signed_by(GOVERNANCE_KEY))


def looked_at_again(bench: Bench) -> None:
    """Nothing happens."""


def enough_traffic(bench: Bench) -> None:
    bench.requests(EVIDENCE)


def too_little_traffic(bench: Bench) -> None:
    bench.requests(EVIDENCE - 1)


def accepted(bench: Bench) -> None:
    bench.publish()


def live_heads_drift(bench: Bench) -> None:
    bench.heads(0.9)
    bench.publish(reference=STEADY)


def its_values_drift(bench: Bench) -> None:
    bench.requests()
    bench.publish(reference=OTHER_VALUES)


def no_graph(bench: Bench) -> None:
    bench.publish(b"no graph")


def forged(bench: Bench) -> None:
    bench.publish()
    signed = bench.store.channel("stable")
    assert signed is not None
    bench.hands.put(SLOT, replace(signed, signature=bytes(64)))


def signed_by_the_learner(bench: Bench) -> None:
    bench.publish()
    signed = bench.store.channel("stable")
    assert signed is not None
    bench.hands.put(SLOT, ChannelRecord.parse(signed.record).signed_by(LEARNER_KEY))


def of_another_experiment(bench: Bench) -> None:
    signed_anew(bench, experiment="other")


def of_another_action_space(bench: Bench) -> None:
    bench.publish(action_space="0" * 64)


def older_than_remembered(bench: Bench) -> None:
    bench.memory.highest[SLOT] = bench.now + 2_000_000
    bench.publish()


def voided(bench: Bench) -> None:
    bench.publish()
    signed = bench.store.channel("stable")
    assert signed is not None
    bench.memory.voided.add(signed.hash)


def expired(bench: Bench) -> None:
    signed_anew(bench, expires_at=bench.now)


def from_the_future(bench: Bench) -> None:
    signed_anew(bench, revision=bench.now + YEAR_MS)


def without_its_checkpoint(bench: Bench) -> None:
    signed_anew(bench, version="v404")


def cannot_be_read(bench: Bench) -> None:
    bench.store.fault = RecordMalformed("channel:stable lacks its signature", fix="publish a new record")


def emptied(bench: Bench) -> None:
    bench.memory.highest.setdefault(SLOT, NOW)
    bench.hands.empty()


def killed(bench: Bench) -> None:
    bench.desk.kill()


def resumed(bench: Bench) -> None:
    bench.desk.kill()
    bench.desk.resume()


@dataclass(frozen=True)
class Line:
    """What a happening makes of EMPTY, SERVING, STALE and of OPEN, WAITING, REFUSED, BLOCKED, and what it tells."""

    happening: Callable[[Bench], None]
    service: str = "EMPTY SERVING STALE"
    newest: str = "OPEN WAITING REFUSED BLOCKED"
    told: PickupResult | None = None

    def expected(self, state: ChannelState) -> tuple[str, str]:
        """The state that follows."""
        service, newest = self.service.split(), self.newest.split()
        return service[list(Service).index(state.service)], newest[list(Newest).index(state.newest)]


REFUSED = "REFUSED BLOCKED REFUSED BLOCKED"
LINES = [
    Line(looked_at_again),
    Line(too_little_traffic),
    Line(killed),
    Line(resumed),
    Line(accepted, "SERVING SERVING SERVING", "OPEN OPEN OPEN OPEN", PickupResult.ACCEPTED),
    Line(live_heads_drift, newest="WAITING WAITING WAITING WAITING", told=PickupResult.LIVE_DRIFT),
    Line(its_values_drift, newest="WAITING WAITING WAITING WAITING", told=PickupResult.Q_DRIFT),
    Line(no_graph, newest="REFUSED REFUSED REFUSED REFUSED", told=PickupResult.CONTRACT),
    Line(forged, newest=REFUSED, told=PickupResult.UNVERIFIED),
    Line(signed_by_the_learner, newest=REFUSED, told=PickupResult.UNVERIFIED),
    Line(of_another_experiment, newest=REFUSED, told=PickupResult.UNVERIFIED),
    Line(of_another_action_space, newest=REFUSED, told=PickupResult.UNVERIFIED),
    Line(older_than_remembered, newest=REFUSED, told=PickupResult.UNVERIFIED),
    Line(voided, newest=REFUSED, told=PickupResult.UNVERIFIED),
    Line(expired, told=PickupResult.EXPIRED),
    Line(from_the_future, told=PickupResult.FUTURE),
    Line(without_its_checkpoint, told=PickupResult.UNVERIFIED),
    Line(cannot_be_read, told=PickupResult.UNVERIFIED),
    Line(emptied, told=PickupResult.UNVERIFIED),
]
ALL_STATES = pytest.mark.parametrize("state", STATES, ids=lambda state: f"{state.service.name}-{state.newest.name}")


@ALL_STATES
@pytest.mark.parametrize("line", LINES, ids=lambda line: line.happening.__name__)
def test_every_happening_in_every_state(state: ChannelState, line: Line) -> None:
    bench = Bench(state)
    line.happening(bench)
    news = bench.watch.poll(bench.store, bench.now)
    after = bench.watch.state
    assert (after.service.name, after.newest.name) == line.expected(state)
    assert broken_between(state, after, bench.memory.voided) == []
    if line.told is None:
        assert (after, news) == (state, False)
    else:
        assert after.verdict is not None
        assert after.verdict.result is line.told
    if line.told is not PickupResult.ACCEPTED:
        assert after.policy is state.policy


@ALL_STATES
@pytest.mark.parametrize("fault", [StoreUnreachable, StoreRefused])
def test_a_store_that_does_not_answer_leaves_every_state(state: ChannelState, fault: type[StoreUnreachable]) -> None:
    bench = Bench(state)
    bench.store.fault = fault("Redis does not answer", fix="start Redis")
    with pytest.raises(fault):
        bench.watch.poll(bench.store, bench.now)
    assert bench.watch.state is state


@ALL_STATES
def test_only_what_waits_is_judged_again_by_new_traffic(state: ChannelState) -> None:
    bench = Bench(state)
    enough_traffic(bench)
    news = bench.watch.poll(bench.store, bench.now)
    if state.newest is Newest.WAITING:
        assert news
        assert (bench.watch.state.service, bench.watch.state.newest) == (Service.SERVING, Newest.OPEN)
        assert bench.watch.state.saved == serving(WAITS).saved
        assert broken_between(state, bench.watch.state) == []
    else:
        assert (bench.watch.state, news) == (state, False)


@ALL_STATES
def test_a_rebase_forgets_refusals_and_what_is_void(state: ChannelState) -> None:
    for void, waits in ((False, state.waiting), (True, None)):
        bench = Bench(state)
        hashes = (WAITS.record.hash,) if void else ()
        bench.memory.apply(rebase_of(1, NOW).model_copy(update={"voids": hashes}))
        bench.watch.rebased()
        assert bench.watch.state == replace(state, refused=None, waiting=waits)


@ALL_STATES
def test_a_node_that_starts_from_its_disk_begins_anew(state: ChannelState) -> None:
    bench = Bench(state)
    saved = serving(SERVED).saved
    bench.watch.restore(SavedSnapshot())
    assert bench.watch.state is state, "nothing on the disk"
    bench.watch.restore(SavedSnapshot({"stable": saved}, accepted_in={SLOT: 0}))
    after = bench.watch.state
    assert (after.service, after.newest, after.saved) == (Service.SERVING, Newest.OPEN, saved)
    assert after.accepted == after.seen == serving(SERVED).accepted


@ALL_STATES
def test_a_forked_child_goes_on_from_its_own_copy(state: ChannelState) -> None:
    """A fork copies memory; a state is a value, so that neither process can move the other's."""
    bench = Bench(state)
    child = copy.copy(bench.watch)
    child.memory = copy.deepcopy(bench.memory)
    bench.publish()
    assert child.poll(bench.store, bench.now)
    assert (child.state.service, child.state.newest) == (Service.SERVING, Newest.OPEN)
    assert bench.watch.state is state
    assert bench.watch.poll(bench.store, bench.now)
    assert bench.watch.state.saved == child.state.saved


@pytest.mark.parametrize("newest", [Newest.OPEN, Newest.WAITING])
def test_what_serves_grows_stale_and_is_fresh_again(newest: Newest) -> None:
    bench = Bench(state_of(Service.SERVING, Newest.OPEN))
    bench.desk.publish("served", GRAPH)
    polls = [bench.watch.poll(bench.store, AFTER_EXPIRY) for _ in range(2)]
    assert (polls, bench.watch.state.service) == ([True, False], Service.STALE)
    assert bench.watch.poll(bench.store, NOW), "the clock ran ahead and was set right"
    assert bench.watch.state.service is Service.SERVING
    bench.watch.poll(bench.store, AFTER_EXPIRY)
    if newest is Newest.WAITING:
        bench.watch.state = replace(bench.watch.state, waiting=state_of(Service.EMPTY, newest).waiting)
    bench.desk.now, policy = AFTER_EXPIRY, bench.watch.state.policy
    keep_fresh(bench.store, Channel.STABLE, bench.desk.decider(), ttl_ms=DAY_MS)
    assert bench.watch.poll(bench.store, AFTER_EXPIRY)
    assert (bench.watch.state.service, bench.watch.state.newest) == (Service.SERVING, Newest.OPEN)
    assert bench.watch.state.policy is policy, "what is only prolonged is not judged again"


def test_what_waits_is_refused_when_it_fails_its_contract_and_traffic_does_not_change_that() -> None:
    bench = Bench(state_of(Service.SERVING, Newest.WAITING))
    waiting = bench.watch.state.waiting
    assert waiting is not None
    broken = replace(waiting.verified, signed=replace(waiting.verified.signed, blobs={"policy.onnx": b"no graph"}))
    bench.watch.state = replace(bench.watch.state, waiting=replace(waiting, verified=broken))
    enough_traffic(bench)
    assert bench.watch.poll(bench.store, NOW)
    assert (bench.watch.state.newest, bench.watch.state.drifted) == (Newest.REFUSED, False)
    enough_traffic(bench)
    assert not bench.watch.poll(bench.store, NOW)
    assert bench.watch.state.newest is Newest.REFUSED


def test_a_decision_is_judged_by_the_bytes_it_was_recognised_by() -> None:
    """The slot may change between two reads; one record must not be refused for what is wrong with another."""

    class Changing(MemoryStore):
        reads = 0

        def channel(self, name: str) -> SignedRecord | None:
            self.reads += 1
            found = super().channel(name)
            assert found is not None
            return found if self.reads == 1 else replace(found, signature=bytes(64))

    bench = Bench(ChannelState())
    bench.publish()
    changing = Changing(EXPERIMENT.name)
    MemoryHands(changing).restore(bench.hands.backup())
    assert bench.watch.poll(changing, bench.now)
    assert (bench.watch.state.service, changing.reads) == (Service.SERVING, 1)
