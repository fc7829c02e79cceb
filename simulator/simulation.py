"""One simulation from plan to closed log: runs the world, waits for delivery and closes the windows with heartbeats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from event_schemas.codec import Codec
from event_schemas.errors import TrimtabError
from event_schemas.experiment import Experiment
from event_schemas.records import PROPENSITY
from event_schemas.units import HOUR_MS
from producers.delivery import DeliveryCounts, EventSender, fault_of
from producers.loggers import send_heartbeats
from producers.replay import Pacer
from simulator.decision_port import DecisionPort, logged_by
from simulator.homefeed_world import RunPlan, build_world
from simulator.live_run import LiveRun, LiveRunReport
from simulator.local_serving import FLUSH_SECONDS, LocalServing, SideTopics, local_serving
from simulator.sidecar_port import SidecarPort

# Engagements after their window come late: one in 10^8 of them comes more than this after its request.
LAST_ENGAGEMENT_MS = 6 * HOUR_MS


class SimulationIncomplete(TrimtabError):
    """Some events were not acknowledged, so the log must not be closed."""


@dataclass(frozen=True)
class EventOutlet:
    """Where events go: a sender with acknowledgements, the events topic and its number of partitions.

    `beside` are the topics that an agent in this process writes besides; None: it writes none.
    """

    codec: Codec
    sender: EventSender
    topic: str
    partitions: int
    pacer: Pacer | None = None
    beside: SideTopics | None = None


@dataclass(frozen=True)
class SimulationReport:
    """The result of a simulation.

    `world` is name and version; `sidecar_events` counts the acknowledged events of the sidecars by record.
    """

    live: LiveRunReport
    world: str
    exploration_rate: float
    closed_at: int
    delivery: DeliveryCounts
    sidecar_events: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return {
            **self.live.as_dict(),
            "world": self.world,
            "exploration_rate": self.exploration_rate,
            "closed_at": self.closed_at,
            "handed_in": self.delivery.handed_in,
            "spooled": self.delivery.spooled,
            "dropped": self.delivery.dropped,
            "sidecar_events": self.sidecar_events,
        }


def latest_end(experiment: Experiment, now_ms: int) -> int:
    """The latest `end_ms` of a plan such that its closing heartbeats are not in the future of `now_ms`.

    The heartbeats lie one window after the last engagement, and the join refuses events from the future.
    """
    return now_ms - LAST_ENGAGEMENT_MS - experiment.window_ms - 1


def run_simulation(
    experiment: Experiment,
    plan: RunPlan,
    outlet: EventOutlet,
    sidecars: Sequence[str] = (),
    progress: Callable[[int], None] | None = None,
) -> SimulationReport:
    """Runs the plan through `sidecars` (URLs; none: an agent in this process) and closes the log.

    `progress` is called with the number of decisions so far. Raises SimulationIncomplete if not every event was
    acknowledged; no heartbeat is written then.
    """
    world, traffic = build_world(experiment, plan)
    serving = local_serving(experiment, outlet.codec, outlet.sender, outlet.topic, lambda: plan.end_ms, outlet.beside)
    remote = [SidecarPort(url, logged_by(experiment)) for url in sidecars]
    before = [port.events() for port in remote]
    ports: Sequence[DecisionPort] = remote or [serving.agent]

    def settle(decided: int) -> None:
        for port, earlier in zip(remote, before, strict=True):
            port.await_logged(earlier[PROPENSITY, "acknowledged"])
        _settle(serving, outlet)
        if progress is not None:
            progress(decided)

    live = LiveRun(experiment, world, ports, serving.engagements, settle).run(traffic)
    delivered = _delivered_by(remote, before)
    _expect_complete(serving.close(), fault_of(outlet.sender))
    closed_at = live.last_event_time + experiment.window_ms + 1
    send_heartbeats(outlet.sender, outlet.codec, outlet.topic, outlet.partitions, closed_at)
    delivery = outlet.sender.flush(FLUSH_SECONDS)
    _expect_complete(delivery, fault_of(outlet.sender))
    rate = experiment.experiment.exploration_rate
    return SimulationReport(live, plan.world.label, rate, closed_at, delivery, delivered)


def _settle(serving: LocalServing, outlet: EventOutlet) -> None:
    """Waits for acknowledgements and readers; raises SimulationIncomplete at once if Kafka refuses events."""
    delivery = serving.flush()
    if fault_of(outlet.sender) is not None:
        _expect_complete(delivery, fault_of(outlet.sender))
    if outlet.pacer is not None:
        outlet.pacer.wait(serving.sender.bytes, serving.sender.events)


def _delivered_by(sidecars: Sequence[SidecarPort], before: Sequence[Counter[tuple[str, str]]]) -> dict[str, int]:
    """Waits until the sidecars' events are delivered; returns the acknowledged events of this run by record."""
    total: Counter[str] = Counter()
    for port, earlier in zip(sidecars, before, strict=True):
        for (record, fate), count in port.settled_events().items():
            if fate == "acknowledged":
                total[record] += count - earlier[record, fate]
        port.close()
    return dict(total)


def _expect_complete(delivery: DeliveryCounts, fault: str | None) -> None:
    if delivery.acknowledged != delivery.handed_in:
        raise SimulationIncomplete(
            f"{delivery.handed_in - delivery.acknowledged} of {delivery.handed_in} events were not acknowledged"
            f"{f': {fault}' if fault else ''}",
            fix="check the broker and this user's rights, then run it again: the same --seed and --ending send the "
            "same events",
        )
