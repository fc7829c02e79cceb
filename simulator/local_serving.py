"""A serving process without a policy: it explores, and serves production to all other requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from event_schemas.codec import Codec
from event_schemas.experiment import Experiment
from policy_store.records import ObjectiveWeights
from producers.delivery import DeliveryCounts, EventSender, OutgoingEvent, fault_of
from producers.loggers import DecisionLogger, EngagementLogger, ExplorationPlan, TallyPlan
from serving_agent.decide import PolicyAgent, ServingSnapshot, SnapshotHolder

FLUSH_SECONDS = 30.0


class MeasuredSender:
    """Forwards events, and counts those of one topic and their bytes, for pacing by its readers."""

    def __init__(self, sender: EventSender, topic: str) -> None:
        self._sender = sender
        self._topic = topic
        self.events = 0
        self.bytes = 0

    @property
    def fault(self) -> str | None:
        """See FaultTeller."""
        return fault_of(self._sender)

    def send(self, event: OutgoingEvent) -> None:
        """See EventSender."""
        if event.topic == self._topic:
            self.events += 1
            self.bytes += len(event.key or b"") + len(event.value)
        self._sender.send(event)

    def reject(self, record: str) -> None:
        """See EventSender."""
        self._sender.reject(record)

    def counts(self) -> DeliveryCounts:
        """See EventSender."""
        return self._sender.counts()

    def flush(self, timeout_s: float) -> DeliveryCounts:
        """See EventSender."""
        return self._sender.flush(timeout_s)


@dataclass(frozen=True)
class LocalServing:
    """An agent and the loggers that share its sender."""

    agent: PolicyAgent
    decisions: DecisionLogger
    engagements: EngagementLogger
    sender: MeasuredSender

    def flush(self) -> DeliveryCounts:
        """Waits until the events of both loggers are acknowledged, spooled or dropped."""
        self.decisions.flush(FLUSH_SECONDS)
        return self.engagements.flush(FLUSH_SECONDS)

    def close(self) -> DeliveryCounts:
        """Closes the agent and the loggers; the sender stays open."""
        self.agent.close()
        self.decisions.close(FLUSH_SECONDS)
        return self.engagements.close(FLUSH_SECONDS)


@dataclass(frozen=True)
class SideTopics:
    """The topics for the settings that an agent in this process draws with, and for the counts of its decisions.

    `source` names who counts. A run that is repeated must have the same, so that its decisions count once.
    """

    explorations: str
    tallies: str
    source: str


def local_serving(
    experiment: Experiment,
    codec: Codec,
    sender: EventSender,
    topic: str,
    clock: Callable[[], int],
    beside: SideTopics | None = None,
) -> LocalServing:
    """A serving process that writes into the events topic `topic` through `sender`.

    Without topics `beside`, neither settings nor tallies are written. It explores without a cap, which counts seconds
    of a monotonic clock: simulated days pass in a few.
    """
    measured = MeasuredSender(sender, topic)
    tally = None if beside is None else TallyPlan(beside.tallies, beside.source)
    decisions = DecisionLogger(codec, measured, topic, tally=tally, clock=clock)
    if beside is not None:
        decisions.tell_exploration(ExplorationPlan(beside.explorations, experiment.exploration))
    nothing = ServingSnapshot(ObjectiveWeights.in_force(experiment))
    agent = PolicyAgent(_uncapped(experiment), decisions, SnapshotHolder(nothing))
    engagements = EngagementLogger(codec, measured, topic, kinds=experiment.kinds, clock=clock)
    return LocalServing(agent, decisions, engagements, measured)


def _uncapped(experiment: Experiment) -> Experiment:
    rates = experiment.experiment.model_copy(update={"exploration_cap": None})
    return experiment.model_copy(update={"experiment": rates})
