"""A node for tests of rankers: all of it in memory, and nothing by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

import trimtab.testing
from event_schemas.errors import ExperimentError
from event_schemas.experiment import load_experiment
from event_schemas.slices import Slice
from policy_store.records.channel_record import Channel
from tests.components.started_threads import every_thread_ends
from tests.serving_samples import TRUSTED, StoreDesk, embedded, preferring, serving_experiment
from trimtab.node import NodeClosed
from trimtab.testing import ManualClock, MemoryLog, MemoryStore, memory_node

ROOT = Path(__file__).parents[3]
EXPERIMENTS = [ROOT / "simulator" / "experiments" / "homefeed.toml", *(ROOT / "datasets").rglob("trimtab.toml")]


@pytest.mark.parametrize("file", EXPERIMENTS, ids=lambda file: file.parent.name)
def test_an_experiment_is_as_in_its_file_but_for_the_rates(file: Path) -> None:
    node = memory_node(str(file), exploration_rate=0.25)
    rates = {"log_rate": 1.0, "exploration_rate": 0.25}
    wanted = load_experiment(file)
    section = wanted.experiment.model_copy(update=rates)
    assert node.serving.config.experiment == wanted.model_copy(update={"experiment": section})


def test_everything_that_is_applied_is_logged(experiment_file: Path) -> None:
    clock = ManualClock(5_000)
    with memory_node(experiment_file, exploration_rate=1.0, clock=clock) as node:
        first = node.decide(user_id="u-17")
        first.applied(served=["pin-1"])
        clock.advance(40)
        node.log_engagement(first.request_id, "repin")
        [ranking], [engagement] = node.logged("Ranking"), node.logged("Engagement")
    assert (first.slice, ranking["served"], engagement["event_time"]) == (Slice.EXPLORE, ["pin-1"], 5_040)
    assert node.logged("Exploration")[0]["digest"] == node.serving.config.experiment.exploration.digest
    assert node.logged("Tally")[0]["counts"] == [{"slice": "EXPLORE", "count": 1}]
    assert isinstance(node.log, MemoryLog)
    assert isinstance(node.store, MemoryStore)
    with memory_node(experiment_file, exploration_rate=0.0) as node:
        decisions = [node.decide() for _ in range(50)]
        for decision in decisions:
            decision.applied()
    assert {decision.arm for decision in decisions} == {node.serving.config.experiment.action_space.production_arm}
    assert len(node.logged("Action")) == 50


def test_the_store_is_looked_at_when_the_test_says_so() -> None:
    experiment = serving_experiment(experiment={"control_rate": 0.0})
    with every_thread_ends(), memory_node(experiment, exploration_rate=0.0, trusted=TRUSTED) as node:
        assert node.serving.unready() == []
        desk = StoreDesk(experiment, node.store, now=node.clock())
        desk.publish("v1", preferring(experiment, repin=2))
        desk.point(Channel.STABLE, "v1")
        assert node.decide(user_embedding=embedded(0.0)).fallback_reason == "no_policy"
        node.look()
        assert node.decide(user_embedding=embedded(0.0)).policy_version == "v1"
    with pytest.raises(NodeClosed):
        node.start()


def test_an_impossible_rate_is_named(experiment_file: Path) -> None:
    with pytest.raises(ExperimentError, match=r"experiment\.exploration_rate = 7"):
        memory_node(experiment_file, exploration_rate=7.0)


def test_what_is_exported_is_there() -> None:
    assert {getattr(trimtab.testing, name).__name__ for name in trimtab.testing.__all__} == set(trimtab.testing.__all__)
