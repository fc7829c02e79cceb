"""Any history of a channel: the invariants hold after every step, and what is sound and new serves."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from event_schemas.units import HOUR_MS
from policy_store.decisions.governance import keep_fresh
from policy_store.decisions.rebasing import rebase
from policy_store.records.channel_record import Channel, ChannelRecord
from policy_store.records.governed_record import SignedRecord
from policy_store.records.rebase_record import RebaseRecord
from policy_store.records.revision_rules import READER_TOLERANCE_MS, ReaderMemory
from policy_store.records.store_errors import (
    NothingToRebase,
    RecordMalformed,
    RevisionAhead,
    StoreUnreachable,
    UnknownCheckpoint,
)
from serving_agent.pickup.channel_state import ChannelState, Sight, is_news
from serving_agent.pickup.snapshot_disk import SavedSnapshot
from tests.policy_store.control_samples import YEAR_MS
from tests.serving_agent.channel_samples import EXPERIMENT, GRAPH, broken, broken_between
from tests.serving_agent.test_channel_steps import EVIDENCE, SLOT, STEADY, Bench
from tests.serving_samples import DAY_MS, GOVERNANCE_KEY

SOUND, STEADY_ONLY, NO_GRAPH, OTHER_SPACE = range(4)
LIVES = st.sampled_from([HOUR_MS, DAY_MS])
PASSING = st.sampled_from([60_000, HOUR_MS, DAY_MS])


class ChannelHistories(RuleBasedStateMachine):
    """One node and its channel; every rule that changes the store, the clock or the traffic is followed by a look."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(ChannelState())
        self.kinds: dict[SignedRecord, int] = {}
        self.records: list[SignedRecord] = []
        self.backups: list[Any] = []
        self.count = 0

    @initialize(served=st.booleans(), drift=st.booleans())
    def something_serves_or_waits(self, served: bool, drift: bool) -> None:
        if served:
            self.people_decide(SOUND, DAY_MS)
        if drift:
            self.heads_drift_from_a_new_decision()

    @rule()
    def heads_drift_from_a_new_decision(self) -> None:
        self.bench.heads(0.9)
        self.people_decide(STEADY_ONLY, DAY_MS)

    @property
    def state(self) -> ChannelState:
        """The channel's."""
        return self.bench.watch.state

    def look(self) -> None:
        """Poll, and check the step."""
        bench, before = self.bench, self.state
        due = self.due()
        try:
            news = bench.watch.poll(bench.store, bench.now)
        except StoreUnreachable:
            assert self.state is before
            return
        assert broken_between(before, self.state, bench.memory.voided) == []
        assert news is is_news(before, self.state)
        if self.state.serving is not None and self.state.saved != before.saved:
            assert self.state.serving.expires_at > bench.now
        if due is not None:
            assert self.state.serves(due)
            assert not self.state.stale

    def due(self) -> SignedRecord | None:
        """The record in the store, when it must serve after the next look."""
        bench = self.bench
        if bench.store.fault is not None or (signed := bench.store.channel("stable")) is None:
            return None
        record = ChannelRecord.parse(signed.record)
        in_time = record.expires_at > bench.now and record.revision <= bench.now + HOUR_MS + READER_TOLERANCE_MS
        acceptable = in_time and signed.hash not in bench.memory.voided
        known = record.version in {each.version for each in bench.store.list_checkpoints()}
        new = record.revision >= bench.memory.highest.get(SLOT, 0) and self.state.sight_of(signed, bench.now) in (
            Sight.NEW,
            Sight.IN_SERVICE,
        )
        sound = self.kinds.get(signed) == SOUND
        return signed if sound and acceptable and known and new else None

    @rule(kind=st.sampled_from([SOUND, SOUND, STEADY_ONLY, STEADY_ONLY, NO_GRAPH, OTHER_SPACE]), life=LIVES)
    def people_decide_anew(self, kind: int, life: int) -> None:
        self.people_decide(kind, life)

    def people_decide(self, kind: int, life: int) -> None:
        """Publish a checkpoint of one kind, point to it, and look."""
        self.count += 1
        version, desk = f"v{self.count}", self.bench.desk
        manifest: dict[str, Any] = {"reference": STEADY} if kind == STEADY_ONLY else {}
        manifest |= {"action_space": "0" * 64} if kind == OTHER_SPACE else {}
        desk.publish(version, b"no graph" if kind == NO_GRAPH else GRAPH, **manifest)
        try:
            desk.point(Channel.STABLE, version, ttl_ms=life)
        except RevisionAhead:
            return
        self.remember(kind)
        self.look()

    def remember(self, kind: int) -> None:
        """What lies in the slot now."""
        signed = self.bench.store.channel("stable")
        assert signed is not None
        self.kinds[signed] = kind
        self.records.append(signed)

    @rule(life=LIVES)
    def the_learner_keeps_fresh(self, life: int) -> None:
        try:
            keep_fresh(self.bench.store, Channel.STABLE, self.bench.desk.decider(), ttl_ms=life)
        except (UnknownCheckpoint, RevisionAhead):
            return
        self.look()

    @precondition(lambda self: self.records)
    @rule(data=st.data(), forged=st.booleans())
    def strangers_replay(self, data: st.DataObject, forged: bool) -> None:
        signed = data.draw(st.sampled_from(self.records))
        self.bench.hands.put(SLOT, replace(signed, signature=bytes(64)) if forged else signed)
        self.look()

    @rule()
    def a_clock_ahead_decides(self) -> None:
        self.count += 1
        content: dict[str, Any] = {"experiment": EXPERIMENT.name, "channel": "stable", "by": "ada"}
        ahead = self.bench.desk.now + YEAR_MS
        content |= {"version": f"v{self.count}", "revision": ahead, "expires_at": ahead + YEAR_MS}
        self.bench.desk.publish(f"v{self.count}", GRAPH)
        signed = ChannelRecord.from_content(content).signed_by(GOVERNANCE_KEY)
        self.bench.hands.publish_as_0_1_0(SLOT, signed)
        self.remember(SOUND)
        self.look()

    @rule()
    def people_rebase(self) -> None:
        try:
            rebase(self.bench.store, self.bench.desk.rule, self.bench.desk.decider())
        except NothingToRebase:
            return
        for signed in self.bench.store.known_records("rebase"):
            if self.bench.memory.apply(RebaseRecord.parse(signed.record)):
                self.bench.watch.rebased()
        assert broken(self.state) == []
        self.look()

    @rule()
    def somebody_kills_and_resumes(self) -> None:
        before = self.state
        self.bench.desk.kill()
        self.bench.desk.resume()
        self.bench.watch.poll(self.bench.store, self.bench.now)
        assert self.state == before or broken_between(before, self.state, self.bench.memory.voided) == []

    @rule(mean=st.sampled_from([0.2, 0.9]), requests=st.sampled_from([EVIDENCE, 1]))
    def traffic_comes(self, mean: float, requests: int) -> None:
        self.bench.heads(mean)
        self.bench.requests(requests)
        self.look()

    @rule(passed=PASSING)
    def time_passes(self, passed: int) -> None:
        self.bench.desk.now += passed
        self.bench.now += passed
        self.look()

    @rule(offset=st.sampled_from([0, HOUR_MS // 2, YEAR_MS, -YEAR_MS]))
    def the_nodes_clock_is_set(self, offset: int) -> None:
        self.bench.now = self.bench.desk.now + offset
        self.look()

    @rule(fault=st.sampled_from([StoreUnreachable, RecordMalformed, None]))
    def the_wire_breaks_or_heals(self, fault: type[StoreUnreachable | RecordMalformed] | None) -> None:
        self.bench.store.fault = None if fault is None else fault("no answer", fix="start Redis")
        self.look()
        self.bench.store.fault = None

    @rule()
    def the_store_is_saved(self) -> None:
        self.backups.append(self.bench.hands.backup())

    @rule(data=st.data())
    def the_store_is_emptied_or_restored(self, data: st.DataObject) -> None:
        backup = data.draw(st.sampled_from([None, *range(len(self.backups))]))
        if backup is None:
            self.bench.hands.empty()
        else:
            self.bench.hands.restore(self.backups[backup])
        self.look()

    @rule()
    def the_node_starts_again(self) -> None:
        old, memory = self.state, self.bench.memory
        self.bench.memory = ReaderMemory(dict(memory.highest), memory.epoch, set(memory.voided))
        self.bench.watch = self.bench.fresh_watch(self.bench.memory)
        channels = {} if old.saved is None else {"stable": old.saved}
        self.bench.watch.restore(SavedSnapshot(channels, accepted_in={SLOT: old.accepted.epoch}))
        assert broken(self.state) == []
        assert (self.state.revision, self.state.accepted, self.state.saved) == (old.revision, old.accepted, old.saved)
        self.look()

    @rule()
    def the_node_forks(self) -> None:
        parent, before = self.bench.watch, self.state
        child = copy.copy(parent)
        child.memory = self.bench.memory = copy.deepcopy(parent.memory)
        self.bench.watch = child
        self.look()
        assert parent.state is before


def test_every_history_keeps_the_invariants() -> None:
    quiet = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    options = settings(max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=quiet)
    run_state_machine_as_test(ChannelHistories, settings=options)
