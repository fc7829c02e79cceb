"""The background thread that keeps a node's snapshot current; it is not on the request path.

It polls the store every `serving.poll`, because notifications can get lost, and at once when the updates stream reports
a change. While Redis is down the last good snapshot keeps serving; at a start without Redis it is read from disk.
"""

import os
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import structlog

from event_schemas.errors import ComponentUnreachable, TrimtabError
from event_schemas.experiment import Experiment
from event_schemas.instant import wall_clock_ms
from event_schemas.process_fork import renew_in_children
from event_schemas.section_digests import section_digests
from monitoring.metrics import ServingMetrics
from policy_store.backends import MAX_BLOCK_MS, PolicyStore
from policy_store.decisions import TrustRule
from policy_store.records import Channel, ReaderMemory
from producers.delivery import log_safely
from serving_agent.decide.fallback_reason import FallbackReason
from serving_agent.decide.online_experiments import TOLD_AHEAD_MS, told_log_rates
from serving_agent.decide.policy_graph import PolicyGraph
from serving_agent.decide.recent_traffic import RecentTraffic
from serving_agent.decide.snapshot import ServingSnapshot, SnapshotHolder
from serving_agent.pickup.arm_pickup import ArmPickup
from serving_agent.pickup.channel_state import ChannelState
from serving_agent.pickup.channel_watch import ChannelWatch
from serving_agent.pickup.checkpoint_pickup import CheckpointPickup
from serving_agent.pickup.experiment_watch import ExperimentWatch
from serving_agent.pickup.fleet_share import FleetShare
from serving_agent.pickup.kill_watch import KillWatch
from serving_agent.pickup.node_heartbeat import NodeHeartbeat, new_instance
from serving_agent.pickup.node_report import (
    NodeReport,
    SnapshotMetrics,
    channel_report,
    log_arm,
    log_pickup,
    refusal_detail,
)
from serving_agent.pickup.preference_watch import PreferenceWatch
from serving_agent.pickup.rebase_watch import RebaseWatch
from serving_agent.pickup.snapshot_disk import SnapshotDisk
from serving_agent.pickup.snapshot_keeping import SnapshotKeeper, Watches

RETRY_SECONDS = 1.0
AUDIT_ACTION = "refuse checkpoint"
NOT_ASKED = "not asked yet"
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RefresherOptions:
    """The node's id, the name of this run of it, and what the refresher gets from outside; `clock` gives epoch ms.

    Without an `instance` each refresher draws its own. A forked child always does.
    """

    node_id: str = "node"
    instance: str = ""
    disk: SnapshotDisk | None = None
    metrics: ServingMetrics | None = None
    share: FleetShare | None = None
    clock: Callable[[], int] = wall_clock_ms
    decisions: Callable[[], dict[str, int]] = field(default=dict)
    kill_file: Callable[[], bool] = field(default=lambda: False)
    delivery_fault: Callable[[], str | None] = field(default=lambda: None)
    spool_fault: Callable[[], str | None] = field(default=lambda: None)
    raise_log_rates: Callable[[Collection[float]], None] = field(default=lambda _: None)
    """Called at each swap with the log rates of the experiments that run or soon will."""


class SnapshotRefresher:
    """Owns the snapshot: reads the store, checks new records, swaps, saves, reports.

    A forked child starts to follow the store itself when it first reads `current`. That call waits, at most as long as
    a decision may wait for a policy, until the store has been read; before that no policy serves (FALLBACK `forked`).
    The child sends heartbeats under its own name, `<node id>.<pid>`.
    """

    def __init__(
        self,
        experiment: Experiment,
        store: PolicyStore,
        rule: TrustRule,
        pickup: CheckpointPickup,
        recent: RecentTraffic,
        options: RefresherOptions,
    ) -> None:
        self._serving, self._digests = experiment.serving, section_digests(experiment)
        self._store = store
        self._options = options
        self._memory = ReaderMemory()
        self._kills = KillWatch(rule)
        self._rebases = RebaseWatch(rule, self._memory)
        self._preference = PreferenceWatch(experiment, rule, self._memory)
        evidence = experiment.serving.min_drift_samples
        self._watches = {
            channel: ChannelWatch(channel, rule, pickup, recent, evidence, self._memory) for channel in Channel
        }
        arms = ArmPickup(rule, pickup, recent, evidence)
        self._experiments = ExperimentWatch(experiment, rule, arms, self._memory)
        self._keeper = SnapshotKeeper(
            options.disk, Watches(self._memory, self._kills, self._preference, self._watches, self._experiments)
        )
        self.holder = SnapshotHolder(ServingSnapshot(self._preference.preference))
        self.store_state = NOT_ASKED
        self._shown = SnapshotMetrics(options.metrics)
        self._node_id, self._instance = options.node_id, options.instance or new_instance()
        self._started_at = options.clock()
        self._heartbeat = NodeHeartbeat(store, experiment.serving.heartbeat, options.metrics, options.share)
        self._last_update, self._asleep = "0", False
        self._looked: threading.Event | None = None
        """In a child that has just started to follow: set once the store has been read."""
        self._waking = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        renew_in_children(self)

    @property
    def current(self) -> ServingSnapshot:
        """The snapshot in force."""
        if self._asleep:
            self._wake()
        if (looked := self._looked) is not None:
            looked.wait(self._serving.budget_ms / 1_000.0)
        return self.holder.current

    def start(self) -> None:
        """Loads the last good snapshot from disk, then reads the store, then follows it.

        If the store does not answer, the snapshot from disk serves. The disk is always read first: it has the highest
        revisions this node has seen, so that old data of a restored store is not taken for new.
        """
        self._asleep = False
        if self._keeper.restore():
            self._swap()
        self.poll()
        self._start_thread(self._follow)

    def close(self) -> None:
        """Stops following; the snapshot in force stays."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=10.0)
        self._heartbeat.leave(self._heartbeat_content)

    def after_fork(self) -> None:
        """Leaves the thread that follows the store to the parent."""
        following = self._thread is not None or self._asleep
        self._asleep = following and not self._stop.is_set()
        self._waking, self._stop, self._thread = threading.Lock(), threading.Event(), None
        self._looked = None
        self._node_id = f"{self._options.node_id}.{os.getpid()}"
        self._instance = new_instance()
        self._heartbeat.begin_anew()

    def _wake(self) -> None:
        """In a forked child: follows the store again, and serves no policy until the store has been read."""
        with self._waking:
            if not self._asleep:
                return
            self._started_at = self._options.clock()
            # The shadow is left out: its network is still the parent's.
            self.holder.swap(replace(self.holder.current, withheld=FallbackReason.FORKED, shadow=None))
            self._looked = threading.Event()
            try:
                self._start_thread(self._follow_in_child)
                self._asleep = False
            except RuntimeError:  # no more threads now; the next decision tries again
                self._looked = None

    def _start_thread(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name="trimtab-refresher", daemon=True)
        thread.start()
        self._thread = thread

    def _follow_in_child(self) -> None:
        served = [watch.state.policy for watch in self._watches.values()]
        for policy in (*served, *self._experiments.policies()):
            if policy is not None and isinstance(policy.network, PolicyGraph):
                with suppress(TrimtabError):  # decisions try it again, and fall back if it fails
                    policy.network.load()
        with suppress(Exception):  # as in _follow
            self.poll()
        self._follow()

    def poll(self) -> bool:
        """Reads the whole store; False after any fault, and then what was accepted before keeps serving."""
        # Kills come first, so that no fault of another record can keep them from working.
        looks: list[Callable[[], bool]] = [
            self._follow_updates,
            self._look_at_kills,
            self._look_at_rebases,
            self._look_at_preference,
            *(partial(self._look_at, watch) for watch in self._watches.values()),
            self._look_at_experiments,
        ]
        changed, reached, state = False, True, "ok"
        for look in looks:
            try:
                changed = look() or changed
            except ComponentUnreachable as fault:
                reached, state = False, str(fault)
                break
            except Exception as fault:  # an unforeseen record must not stop the others, nor the thread
                state = str(fault) or repr(fault)
        self._swap()
        self._store_is(state)
        self._keeper.unsaved |= changed
        self._keeper.save_news()
        self._heartbeat.beat(self._heartbeat_content, self._options.clock(), at_once=changed, reachable=reached)
        return state == "ok"

    def _follow_updates(self) -> bool:
        """Notes the newest notification, before the records are read; only later ones are waited for.

        It is read again at each poll: in a store restored from old data, the last one seen may be later than new ones.
        """
        self._last_update = self._store.newest_update()
        return False

    def _look_at_kills(self) -> bool:
        before = self._kills.fault
        changed = self._kills.poll(self._store)
        # A kill must not wait until a checkpoint has been fetched and checked, nor for a log that cannot be written.
        self._keeper.unsaved |= changed
        self._swap(seen_all=False)
        self._tell_fault("kill switch", before, self._kills.fault)
        return changed

    def _look_at_rebases(self) -> bool:
        before = self._rebases.fault
        applied = self._rebases.poll(self._store)
        self._keeper.unsaved |= applied
        for watch in self._watches.values() if applied else ():
            watch.rebased()
        self._tell_fault("re-base", before, self._rebases.fault)
        if applied:
            log.info("re-base applied", node=self._options.node_id, epoch=self._memory.epoch)
        return applied

    def _look_at_preference(self) -> bool:
        before = self._preference.fault
        changed = self._preference.poll(self._store, self._options.clock())
        self._tell_fault("preference", before, self._preference.fault)
        return changed

    def _look_at_experiments(self) -> bool:
        before = self._experiments.fault
        changed = self._experiments.poll(self._store, self._options.clock())
        self._tell_fault("experiments", before, self._experiments.fault)
        while self._experiments.news:
            version, verdict = self._experiments.news.pop(0)
            self._tell(log_arm(self._node_id, version, verdict))
        return changed

    def _tell_fault(self, what: str, before: str | None, now: str | None) -> None:
        if now != before:
            log.info(what, node=self._options.node_id, state=now or "ok")

    def _look_at(self, watch: ChannelWatch) -> bool:
        changed = watch.poll(self._store, self._options.clock())
        if changed:
            self._announce(watch)
        return changed

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                self._await_update()
                if not self._stop.is_set():
                    self.poll()
            except Exception:  # not even a log that cannot be written may end this thread: it also receives kills
                self._stop.wait(RETRY_SECONDS)

    def _await_update(self) -> None:
        """Returns at the next notification, at the latest when the next poll is due."""
        due = time.monotonic() + self._serving.poll / 1_000.0
        while not self._stop.is_set() and time.monotonic() < due:
            left_ms = max(int((due - time.monotonic()) * 1_000), 1)
            try:
                updates = self._store.updates_since(self._last_update, min(left_ms, MAX_BLOCK_MS))
            except Exception as fault:  # whatever it is, polling continues without notifications
                self._store_is(str(fault) or repr(fault))
                self._stop.wait(min(RETRY_SECONDS, left_ms / 1_000.0))
                continue
            if updates:
                self._last_update = updates[-1].update_id
                return

    def _swap(self, *, seen_all: bool = True) -> None:
        """Step 5: puts what was accepted in force at once; no policy in a forked child that has not `seen_all`."""
        forked = self._looked is not None and not seen_all
        stable, canary = self._watches[Channel.STABLE].state, self._watches[Channel.CANARY].state
        # A newer decision about stable ends an older canary, whether it was promoted or not, waits or serves.
        superseded = canary.accepted < stable.accepted
        judged = (stable,) if canary.seen < stable.accepted else (stable, canary)
        tested, now = None if superseded else canary.policy, self._options.clock()
        experiments = self._experiments.running(now, tested, canary.revision)
        snapshot = ServingSnapshot(
            preference=self._preference.preference,
            stable=stable.policy,
            canary=tested,
            shadow=None if forked else self._watches[Channel.SHADOW].state.policy,
            killed=self._kills.killed,
            withheld=FallbackReason.FORKED if forked else self._withheld(*judged),
            experiments=experiments,
        )
        self._options.raise_log_rates(told_log_rates(experiments, now, TOLD_AHEAD_MS + self._serving.poll))
        self.holder.swap(snapshot)
        if (looked := self._looked) is not None and seen_all:
            self._looked = None
            looked.set()
        self._shown.show(snapshot, now)

    def _withheld(self, *serving: ChannelState) -> FallbackReason | None:
        if any(state.drifted for state in serving):
            return FallbackReason.DRIFT
        if self._serving.on_stale == "fallback" and any(state.stale for state in serving):
            return FallbackReason.STALE
        return None

    def _announce(self, watch: ChannelWatch) -> None:
        """Reports how a pick-up ended to metrics, log and audit; if the store cannot be written, only logs that."""
        self._shown.count_pickup(watch.channel, watch.state)
        log_pickup(self._node_id, watch.channel, watch.state)
        self._tell(refusal_detail(self._node_id, watch.channel, watch.state))

    def _tell(self, detail: dict[str, Any] | None) -> None:
        """Adds a refusal to the audit; None is none."""
        if detail is None:
            return
        try:
            self._store.append_audit(f"node {self._node_id}", AUDIT_ACTION, detail)
        except TrimtabError as fault:
            log.warning("audit not written", what=fault.what, fix=fault.fix)

    def _store_is(self, state: str) -> None:
        # Logged only when the state changes between ok and faulty, not for every new wording of a fault.
        before, self.store_state = self.store_state, state
        if (state == "ok") != (before == "ok") or before == NOT_ASKED:
            log_safely(log.info if state == "ok" else log.warning, "policy store", node=self._node_id, state=state)

    def report(self) -> NodeReport:
        """The node's current report."""
        return self._report(self.current)

    def _heartbeat_content(self) -> dict[str, Any]:
        return self._report(self.holder.current).as_dict()

    def _report(self, snapshot: ServingSnapshot) -> NodeReport:
        return NodeReport(
            node_id=self._node_id,
            instance=self._instance,
            at=self._options.clock(),
            started_at=self._started_at,
            snapshot=snapshot,
            channels={watch.channel.value: channel_report(watch.state) for watch in self._watches.values()},
            digests=self._digests,
            since=self._shown.since,
            decisions=self._options.decisions(),
            store=self.store_state,
            disk=self._keeper.state,
            delivery=self._options.delivery_fault() or "ok",
            spool=self._options.spool_fault() or "ok",
            name=self._heartbeat.name_state,
            preference_fault=self._faults(),
            experiments=self._experiments.told(),
            kill_file=self._options.kill_file(),
            epoch=self._memory.epoch,
            revisions=dict(self._memory.highest),
            open_kills=self._kills.open_kills,
        )

    def _faults(self) -> str | None:
        """The faults of the records that people sign for the whole fleet."""
        faults = (self._kills.fault, self._rebases.fault, self._preference.fault, self._experiments.fault)
        return "; ".join(fault for fault in faults if fault is not None) or None
