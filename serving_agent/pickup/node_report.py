"""What a node reports: metrics for Prometheus, a heartbeat for people, audit entries for refusals."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import structlog

from event_schemas.section_digests import SECTION_DIGESTS
from monitoring.metrics import ServingMetrics
from policy_store.records import Channel, SignedRecord
from serving_agent.decide.snapshot import ServingSnapshot
from serving_agent.pickup.channel_state import ChannelState
from serving_agent.pickup.checkpoint_pickup import PickupResult, PickupVerdict

MILLISECONDS = 1_000.0
UNREADABLE = "a record that cannot be read"
EXPERIMENT = "experiment"
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class NodeReport:
    """One heartbeat; times are in epoch ms. Each of `store`, `disk`, `delivery`, `spool`, `name` is `ok` or a fault.

    digests      of the node's experiment file, by section
    since        when what a channel serves was put in force, by channel
    instance     one run of a process; `name` tells of another one that uses the same node id
    epoch        the epoch of the last re-base applied; 0 before the first
    revisions    the highest revision the node remembers, by slot
    open_kills   the kills that hold for this node, by hash
    experiments  the revision of the online experiments in force, and how the pick-up of their checkpoints ended
    """

    node_id: str
    at: int
    started_at: int
    snapshot: ServingSnapshot
    channels: Mapping[str, Mapping[str, Any]]
    digests: Mapping[str, str] = field(default_factory=dict)
    since: Mapping[str, int] = field(default_factory=dict)
    decisions: Mapping[str, int] = field(default_factory=dict)
    store: str = "ok"
    disk: str = "ok"
    delivery: str = "ok"
    spool: str = "ok"
    name: str = "ok"
    preference_fault: str | None = None
    kill_file: bool = False
    epoch: int = 0
    revisions: Mapping[str, int] = field(default_factory=dict)
    open_kills: Mapping[str, SignedRecord] = field(default_factory=dict)
    instance: str = ""
    experiments: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values, as stored under `nodes:<id>`."""
        withheld = self.snapshot.withheld
        return {
            "node_id": self.node_id,
            "instance": self.instance,
            "at": self.at,
            "started_at": self.started_at,
            SECTION_DIGESTS: dict(self.digests),
            "versions": self.snapshot.versions(),
            "since": dict(self.since),
            "config_revision": self.snapshot.preference.revision,
            "killed": self.snapshot.killed or self.kill_file,
            "withheld": None if withheld is None else withheld.value,
            "channels": {name: dict(state) for name, state in self.channels.items()},
            "experiments": dict(self.experiments),
            "decisions": dict(self.decisions),
            "store": self.store,
            "disk": self.disk,
            "delivery": self.delivery,
            "spool": self.spool,
            "name": self.name,
            "preference_fault": self.preference_fault,
            "epoch": self.epoch,
            "revisions": dict(self.revisions),
            "open_kills": {name: signed.as_item() for name, signed in self.open_kills.items()},
        }


def channel_report(state: ChannelState) -> dict[str, Any]:
    """One channel's part of a heartbeat."""
    verdict, judged = state.verdict, None if state.told is None else state.told.judged
    return {
        "version": None if state.policy is None else state.policy.version,
        "revision": state.revision,
        "stale": state.stale,
        "result": None if verdict is None else verdict.result.value,
        "notes": [] if verdict is None else list(verdict.notes),
        "judged": None if judged is None else asdict(judged),
    }


def log_pickup(node_id: str, channel: Channel, state: ChannelState) -> None:
    """Logs the channel's last verdict; `version` is what it serves. A refusal is a warning, and names what it is of."""
    if state.told is None:
        return
    report, judged = channel_report(state), state.told.judged
    told = {name: report[name] for name in ("version", "revision", "stale", "result")}
    told |= {"node": node_id, "channel": channel.value, "why": "; ".join(report["notes"])}
    if state.told.verdict.result is PickupResult.ACCEPTED:
        log.info("pick-up", **told)
    else:
        log.warning("pick-up", **told, refused=UNREADABLE if judged is None else judged.version)


def log_arm(node_id: str, version: str, verdict: PickupVerdict) -> dict[str, Any] | None:
    """Logs the pick-up of a checkpoint that arms name; the audit entry's detail if it was refused."""
    told = {"node": node_id, "version": version, "result": verdict.result.value, "notes": list(verdict.notes)}
    if verdict.policy is not None:
        log.info("pick-up for an experiment", **told)
        return None
    log.warning("pick-up for an experiment", **told)
    return {"channel": EXPERIMENT, **told}


def refusal_detail(node_id: str, channel: Channel, state: ChannelState) -> dict[str, Any] | None:
    """The audit entry's detail for the channel's last verdict; None when nothing was refused."""
    verdict = state.verdict
    if verdict is None or verdict.result is PickupResult.ACCEPTED:
        return None
    return {"node": node_id, "channel": channel.value, **channel_report(state)}


class SnapshotMetrics:
    """Mirrors the snapshot in force into the serving metrics, and knows how long its versions have been in force.

    since   by channel, when its version was put in force (epoch ms)
    """

    def __init__(self, metrics: ServingMetrics | None) -> None:
        self._metrics = metrics
        self._shown: set[tuple[str, str]] = set()
        self.since: dict[str, int] = {}
        self._versions: dict[str, str] = {}

    def show(self, snapshot: ServingSnapshot, now_ms: int) -> None:
        """Sets one `policy_info` series per checkpoint in use, and the age of the stable one since its creation."""
        before, self._versions = self._versions, snapshot.versions()
        self.since = {
            channel: self.since[channel] if before.get(channel) == version else now_ms
            for channel, version in self._versions.items()
        }
        if self._metrics is None:
            return
        versions = {(version, channel) for channel, version in snapshot.versions().items()}
        for version, channel in self._shown - versions:
            self._metrics.policy_info.remove(version, channel)
        for version, channel in versions:
            self._metrics.policy_info.labels(version=version, channel=channel).set(1)
        self._shown = versions
        self._metrics.config_revision.set(snapshot.preference.revision)
        if snapshot.stable is not None:
            self._metrics.policy_age.set(max(now_ms - snapshot.stable.created_at, 0) / MILLISECONDS)

    def count_pickup(self, channel: Channel, state: ChannelState) -> None:
        """Counts the channel's last verdict."""
        if self._metrics is not None and state.verdict is not None:
            self._metrics.pickups.labels(channel=channel.value, result=state.verdict.result.value).inc()
