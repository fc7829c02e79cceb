"""Steps that both acts share: start joins and wait for them, reconcile, and read results from nodes and the store."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from event_schemas.topics import EVENTS, join_group, topic_name
from policy_store.backends import RedisStore
from policy_store.records import EVALUATION_BLOB, SignedCheckpoint
from producers.replay import KafkaReaderLag
from producers.topics import touch_topics
from trimtab.demo.act_outcome import Funnel, NodeOutcome
from trimtab.demo.job_runner import Job, JobResult, JobRunner, Tick
from trimtab.demo.joined_examples import JoinedExamples
from trimtab.demo.live_screen import LiveScreen, Step
from trimtab.demo.serving_nodes import NodeProcess, await_nodes
from trimtab.demo.topic_counts import DEMO_PARTITIONS, TopicCounts
from trimtab.demo.workspace import DemoExperiment

CATCH_UP_SECONDS = 120.0
# Each half ends two of the four partitions at offset 0, so it covers only the other two.
HALVES: tuple[tuple[str, ...], ...] = (("--to", "0=0,1=0"), ("--to", "2=0,3=0"))
COUNTS = ("inputs", "pending", "lost", "duplicated")


@dataclass(frozen=True)
class ActStage:
    """One act's processes, screen and experiments."""

    runner: JobRunner
    screen: LiveScreen
    counts: TopicCounts
    experiments: Sequence[DemoExperiment]

    def ticking(self, step: Step) -> Tick:
        """A tick that shows how many records the topics contain."""
        return lambda: step.show(self.counts.sentence())

    def quiet(self) -> None:
        """A tick that shows nothing."""

    def start_joins(self) -> None:
        """Creates the topics and starts one join worker per experiment."""
        for experiment in self.experiments:
            touch_topics(client_config(experiment), experiment.topic_prefix)
        self.runner.start(*(experiment.job("join") for experiment in self.experiments))

    def run(self, name: str, jobs: Sequence[Job]) -> list[JobResult]:
        """Runs jobs in parallel, shown as one step on the screen."""
        with self.screen.step(name) as step:
            return self.runner.run(jobs, self.ticking(step))

    def await_joins(self) -> None:
        """Waits until the joins have processed and committed everything in the log."""
        with self.screen.step("the join catches up") as step:
            for experiment in self.experiments:
                topic = topic_name(experiment.topic_prefix, EVENTS)
                group = join_group(experiment.topic_prefix)
                with closing(KafkaReaderLag(client_config(experiment), group, topic, DEMO_PARTITIONS)) as lag:
                    self.runner.wait_until(
                        lambda lag=lag: lag.unread() == 0,  # type: ignore[misc]  # bound at once, called at once
                        f"the join of {experiment.name} caught up",
                        CATCH_UP_SECONDS,
                        self.ticking(step),
                    )
            step.show(self.counts.sentence())

    def await_pickup(self, nodes: list[NodeProcess], channel: str, versions: dict[str, str]) -> None:
        """Waits until each node has accepted its experiment's checkpoint from `channel`."""
        with self.screen.step(f"{len(nodes)} serving nodes pick up the checkpoint from `{channel}`") as step:
            await_nodes(
                self.runner,
                nodes,
                lambda node: node.channel(channel).get("version") == versions[node.experiment.name],
                f"every node picked up its checkpoint from {channel}",
                self.quiet,
            )
            step.show("verified, contract and drift checked")

    def reconcile(self) -> list[dict[str, Any]]:
        """The reports of the independent reference join, by experiment; a difference does not end the demo.

        A single experiment is checked by two processes, each of which covers half of the partitions.
        """
        shares = HALVES if len(self.experiments) == 1 else ((),)
        jobs = [
            replace(experiment.job("reconcile", *share, "--json", label=f"reconcile-{part}"), accept=(0, 1))
            for experiment in self.experiments
            for part, share in enumerate(shares)
        ]
        with self.screen.step("reconcile against the slow reference join") as step:
            parts = [result.json() for result in self.runner.run(jobs, self.quiet)]
            count = len(shares)
            reports = [merged_reports(parts[start : start + count]) for start in range(0, len(parts), count)]
            lost, twice = sum(r["lost"] for r in reports), sum(r["duplicated"] for r in reports)
            step.show(f"{lost} lost, {twice} duplicated")
        return reports

    def stop(self, nodes: Sequence[NodeProcess]) -> None:
        """Stops nodes and joins."""
        names = [*(node.job_name for node in nodes), *(f"{each.name}-join" for each in self.experiments)]
        self.runner.stop(*names)


def client_config(experiment: DemoExperiment) -> dict[str, str]:
    """This process's Kafka client settings."""
    return {"bootstrap.servers": experiment.runtime.kafka_bootstrap, "log_level": "2"}


def merged_reports(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Merges reports on disjoint partitions: counts are added, and the result is ok when every report is."""
    fates: Counter[str] = Counter()
    for part in parts:
        fates.update(part["fates"])
    totals = {name: sum(part[name] for part in parts) for name in COUNTS}
    return {**totals, "fates": dict(fates), "ok": all(part["ok"] for part in parts)}


def funnel_of(decisions: int, reconciled: dict[str, Any], joined: JoinedExamples) -> Funnel:
    """The funnel of one experiment; `decisions` is the number acknowledged to the producers."""
    return Funnel(
        decisions=decisions,
        examples=joined.count,
        lost=reconciled["lost"],
        duplicated=reconciled["duplicated"],
        pending=reconciled["pending"],
        events=reconciled["inputs"],
        fates=reconciled["fates"],
        rewarded=joined.rewarded(),
        slices=joined.by_slice(),
        reconciled=reconciled["ok"],
    )


def node_outcome(node: NodeProcess, channel: str, decisions: int) -> NodeOutcome:
    """The state that a node reports at the end."""
    state = node.channel(channel)
    return NodeOutcome(
        node=f"{node.experiment.name}/node-{node.number}",
        channel=channel,
        version=str(state.get("version")),
        result=str(state.get("result")),
        notes=tuple(state.get("notes", ())),
        decisions=decisions,
        drift=node.drift(),
    )


def published_checkpoint(experiment: DemoExperiment, version: str) -> SignedCheckpoint:
    """A checkpoint from the store."""
    store = RedisStore(experiment.runtime.redis_url, experiment.name)
    try:
        return store.get_checkpoint(version)
    finally:
        store.close()


def published_evaluation(checkpoint: SignedCheckpoint) -> dict[str, Any]:
    """The checkpoint's evaluation."""
    content: dict[str, Any] = json.loads(checkpoint.blobs[EVALUATION_BLOB])
    return content
