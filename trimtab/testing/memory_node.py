"""A node without Kafka, Redis and files, for the tests of a ranker."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from event_schemas.codec import Codec
from event_schemas.experiment import BrokenFields, Experiment, load_experiment
from event_schemas.field_faults import field_faults
from event_schemas.records import Record
from event_schemas.registry import Registry
from event_schemas.topics import EVENTS, EXPLORATIONS, TALLIES, topic_name
from policy_store.backends import MemoryStore
from policy_store.records import TrustedKeys
from producers.delivery import MemoryLog
from serving_agent.node import NodeConnections, ServingNodeConfig, build_node
from trimtab.node import Node
from trimtab.testing.manual_clock import ManualClock


class MemoryNode(Node):
    """A Node whose log, policy store and clock belong to the test.

    Nothing runs in the background: only `start` and `look` read the store, and only `clock.advance` moves time.
    """

    def __init__(self, experiment: Experiment, trusted: TrustedKeys, clock: ManualClock) -> None:
        self.clock = clock
        self.log = MemoryLog(clock=clock)
        self.store = MemoryStore(experiment.name, clock=clock)
        self._codec = Codec(Registry.bundled())
        config = ServingNodeConfig(experiment, trusted, clock=clock)
        super().__init__(build_node(config, NodeConnections(self.store, self.log, self._codec)))

    def look(self) -> None:
        """Apply what is in the store now: policies, preference, kills."""
        self.serving.refresher.poll()

    def _follow_store(self) -> None:
        self.look()
        self.serving.started = True

    def logged(self, record: str) -> list[Record]:
        """What has been logged of one record type, such as `Action` or `Engagement`, partition by partition."""
        self.serving.decisions.flush()
        self.serving.engagements.flush()
        prefix = self.serving.config.topic_prefix
        topics = [topic_name(prefix, topic) for topic in (EVENTS, TALLIES, EXPLORATIONS)]
        values = [each.value for topic in topics for each in self.log.records(topic)]
        return [datum.record for datum in map(self._codec.decode, values) if datum.name == record]


def memory_node(
    experiment: Experiment | Path | str,
    *,
    exploration_rate: float | None = None,
    trusted: TrustedKeys | None = None,
    clock: ManualClock | None = None,
) -> MemoryNode:
    """A node of an experiment, given as its file or as an object; use it with `with`.

    It logs every decision that is applied, whatever the experiment's `log_rate`, and explores at its rate, without a
    cap, unless `exploration_rate` is given: 1 explores always, 0 never. Without `trusted` keys it accepts no policies
    and serves production weights where it does not explore. Raises ExperimentError.
    """
    found = experiment if isinstance(experiment, Experiment) else load_experiment(experiment)
    document = found.model_dump()
    document["experiment"] |= {"log_rate": 1.0, "exploration_cap": None}
    if exploration_rate is not None:
        document["experiment"]["exploration_rate"] = exploration_rate
    try:
        changed = Experiment.model_validate(document)
    except ValidationError as fault:
        raise BrokenFields(Path("memory_node"), field_faults(fault.errors(), document)) from fault
    return MemoryNode(
        changed,
        TrustedKeys.of() if trusted is None else trusted,
        ManualClock() if clock is None else clock,
    )
