"""A clock that is set back between two runs changes no order: on the machine, in the store or on a node."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from event_schemas.codec import Codec
from event_schemas.experiment import Experiment
from event_schemas.units import DAY_MS, MINUTE_MS
from learner.checkpoints.checkpoint import Checkpoint
from learner.checkpoints.publishing import Publisher
from learner.judgement.gate import GateVerdict, Verdict
from learner.learner_run import Learner
from learner.policy_comparison import newest_checkpoint
from policy_store.backends.memory_store import MemoryStore
from policy_store.decisions.rebasing import rebase
from policy_store.decisions.record_places import Decider
from policy_store.decisions.verification import Approval, TrustRule
from policy_store.decisions.version_references import resolve_version
from policy_store.records.objective_weights import ObjectiveWeights
from policy_store.records.signing import Role, SigningKey, TrustedKeys
from policy_store.records.store_errors import RevisionAhead
from producers.delivery.memory_log import MemoryLog
from serving_agent.node import NodeConnections, ServingNodeConfig, build_node
from tests.learner_samples import NOW, tallied, trust_of


@dataclass
class OneHost:
    """A store, a learner and a node that all follow one clock, which can be set back."""

    experiment: Experiment
    now: int = NOW

    def __post_init__(self) -> None:
        self.key, self.people = SigningKey.generate(Role.LEARNER, "m"), SigningKey.generate(Role.GOVERNANCE, "ada")
        self.store = MemoryStore(self.experiment.name, clock=self.clock)
        self.publisher = Publisher(
            self.store, self.key, self.experiment, self.clock, trust_of(self.key, self.experiment)
        )
        self.trusted = TrustedKeys.of(self.key, self.people)
        space = self.experiment.action_space.digest
        self.rule = TrustRule(self.trusted, self.experiment.name, space, Approval.MANUAL)

    def clock(self) -> int:
        return self.now

    def publish_after_set_back(self, checkpoint: Checkpoint, verdict: GateVerdict) -> None:
        """As people do after a RevisionAhead: void the record that the clock left in the future, publish again."""
        with suppress(RevisionAhead):
            self.publisher.publish(checkpoint, verdict)
            return
        rebase(self.store, self.rule, Decider(by="ada", reason="the clock ran ahead", now_ms=self.now, key=self.people))
        self.publisher.publish(checkpoint, verdict)

    def served(self, codec: Codec, folder: Path) -> dict[str, str]:
        """The versions that a new node picks up."""
        config = ServingNodeConfig(self.experiment, self.trusted, "node", "", folder, clock=self.clock)
        node = build_node(config, NodeConnections(self.store, MemoryLog(), codec))
        node.start()
        try:
            return dict(node.snapshot.versions())
        finally:
            node.close()


@pytest.mark.parametrize("set_back", [50 * MINUTE_MS, DAY_MS])
def test_the_second_run_continues_the_first_and_is_the_newest_everywhere(
    set_back: int, trained: Any, tmp_path: Path, experiment: Experiment, codec: Codec, world: Any, ingest: Any
) -> None:
    manual = experiment.model_copy(update={"gate": experiment.gate.model_copy(update={"approval": "manual"})})
    host, first = OneHost(manual), trained.report.checkpoint
    host.publisher.publish(first, trained.report.verdict)
    host.now -= set_back
    later = world.examples(2400, first=6000)
    tallies = tallied(experiment, [*world.examples(6000), *later])
    learner: Learner = replace(trained.copied_to(tmp_path), clock=host.clock, tallies=lambda: tallies)
    ingest(world, later, tmp_path)
    report = learner.run(ObjectiveWeights.in_force(experiment))
    second = report.checkpoint
    assert report.verdict.verdict is Verdict.PASS
    host.publish_after_set_back(second, report.verdict)

    assert second.manifest.created_at == first.manifest.created_at - set_back
    assert (second.manifest.parent, second.manifest.evaluation["look"]) == (first.version, 2)
    assert learner.shelf.versions() == host.store.versions() == [first.version, second.version]
    newest = newest_checkpoint(learner.shelf, experiment)
    assert newest is not None and newest.version == second.version
    assert {resolve_version(host.store, name, host.rule) for name in ("latest", "shadow")} == {second.version}
    assert host.served(codec, tmp_path / "node") == {"shadow": second.version}
