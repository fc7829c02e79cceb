"""One object in front of a node: what it assembles, in which order it ends, and the same from an event loop."""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import get_type_hints

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from event_schemas.errors import ExperimentError
from policy_store.backends.memory_store import MemoryStore
from policy_store.records.channel_record import Channel
from producers.delivery.delivery_spool import DeliverySpool
from producers.delivery.memory_log import MemoryLog
from serving_agent.decide.decision_errors import InvalidRequest
from serving_agent.decide.decision_request import DecisionRequest
from serving_agent.decide.fallback_reason import FallbackReason
from serving_agent.node import NodeConnections, ServingNodeConfig, build_node
from tests.components.started_threads import no_thread_starts
from tests.serving_samples import (
    LEARNER_KEY,
    NOW,
    TRUSTED,
    StoreDesk,
    codec,
    embedded,
    logged,
    preferring,
    serving_experiment,
)
from trimtab.node import Node, NodeClosed, RequestFields
from trimtab.settings import Settings

EXPERIMENT = serving_experiment(experiment={"exploration_rate": 0.0, "control_rate": 0.0, "log_rate": 1.0})


class Surroundings:
    """A log and a store in memory, and a clock that can hold up a decision."""

    def __init__(self) -> None:
        self.log, self.store = MemoryLog(), MemoryStore(EXPERIMENT.name, clock=lambda: NOW)
        self.gate = threading.Event()
        self.gate.set()
        self.closed: list[str] = []

    def clock(self) -> int:
        """Asked for by every decision; stands still on a decision's thread until the gate opens."""
        if threading.current_thread().name.startswith("trimtab-decide"):
            assert self.gate.wait(30.0)
        return NOW

    def node(self) -> Node:
        config = ServingNodeConfig(EXPERIMENT, TRUSTED, clock=self.clock)
        opened = ExitStack()
        opened.callback(self.closed.append, "store")
        opened.callback(lambda: self.closed.append(f"log after {len(logged(self.log, 'Action'))} actions"))
        return Node(build_node(config, NodeConnections(self.store, self.log, codec())), opened)


@pytest.fixture
def around() -> Surroundings:
    return Surroundings()


def settings_of(folder: Path, experiment_file: Path) -> Settings:
    """Kafka and Redis are at port 1 of the loopback, where nobody listens."""
    return Settings(
        kafka_bootstrap="127.0.0.1:1",
        redis_url="redis://127.0.0.1:1/0",
        experiment=experiment_file,
        data_dir=folder / "var",
        killed=True,
    )


def test_it_decides_confirms_and_logs_engagements(around: Surroundings) -> None:
    desk = StoreDesk(EXPERIMENT, around.store)
    desk.publish("v1", preferring(EXPERIMENT, repin=2))
    desk.point(Channel.STABLE, "v1")
    with around.node() as node:
        decision = node.decide(user_embedding=embedded(0.0), cohort="CORE")
        assert (decision.policy_version, decision.arm) == ("v1", 2)
        again = node.decide(DecisionRequest("r1", cohort="CORE"), user_embedding=embedded(0.0), cohort=None)
        assert (again.request_id, again.policy_version) == ("r1", "v1")
        assert decision.applied(served=["pin-1"])
        node.log_engagement(decision.request_id, "repin", item_id="pin-1")
        node.log_engagement("r1", "repin", event_time=NOW + 7, value=2.0, engagement_id="e1")
        with pytest.raises(InvalidRequest):
            node.decide(request_id="")
    assert around.closed == ["log after 1 actions", "store"]
    assert {each["request_id"]: each["cohort"] for each in logged(around.log, "Request")} == {
        decision.request_id: "CORE",
        "r1": None,
    }
    engagements = {each["request_id"]: each for each in logged(around.log, "Engagement")}
    assert engagements[decision.request_id]["event_time"] == NOW
    assert engagements["r1"] == {
        "engagement_id": "e1",
        "request_id": "r1",
        "event_time": NOW + 7,
        "kind": "repin",
        "item_id": None,
        "value": 2.0,
    }


def test_keywords_are_the_fields_of_a_request() -> None:
    assert get_type_hints(RequestFields) == get_type_hints(DecisionRequest)


def test_it_starts_once_and_ends_once(around: Surroundings) -> None:
    node = around.node()
    node.start()
    with no_thread_starts():
        node.start()
    with node:
        pass
    node.close()
    assert around.closed == ["log after 0 actions", "store"]
    assert node.decide().fallback_reason is FallbackReason.NO_POLICY
    with pytest.raises(NodeClosed, match="another one"):
        node.start()


def test_a_loop_goes_on_while_it_waits_for_decisions(around: Surroundings) -> None:
    async def scenario() -> set[str]:
        async with around.node() as node:
            around.gate.clear()
            asked = [asyncio.create_task(node.decide_async(request_id=f"r{number}")) for number in range(20)]
            await asyncio.sleep(0)
            around.gate.set()  # by the loop, which therefore was not held
            decisions = await asyncio.gather(*asked)
            for decision in decisions:
                decision.applied()
            with pytest.raises(InvalidRequest):
                await node.decide_async(DecisionRequest(), request_id="")
            return {decision.request_id for decision in decisions}

    decided = asyncio.run(scenario())
    assert decided == {f"r{number}" for number in range(20)}
    assert {action["request_id"] for action in logged(around.log, "Action")} == decided
    assert around.closed == ["log after 20 actions", "store"]


def test_a_cancelled_decision_is_one_that_was_not_applied(around: Surroundings) -> None:
    async def scenario() -> None:
        async with around.node() as node:
            around.gate.clear()
            given_up = asyncio.create_task(node.decide_async(request_id="given-up"))
            await asyncio.sleep(0)
            given_up.cancel()
            await asyncio.wait([given_up])
            around.gate.set()
            (await node.decide_async(request_id="kept")).applied()

    asyncio.run(scenario())
    # Its thread may not have begun when it was cancelled; once begun, the decision is logged like any other.
    requests = {each["request_id"] for each in logged(around.log, "Request")}
    assert {"kept"} <= requests <= {"kept", "given-up"}
    assert [each["request_id"] for each in logged(around.log, "Action")] == ["kept"]
    [tally] = logged(around.log, "Tally", "trimtab.tallies")
    assert tally["counts"] == [{"slice": "FALLBACK", "count": 1}]


def test_settings_say_where_everything_is(tmp_path: Path, experiment_file: Path) -> None:
    settings, registry = settings_of(tmp_path, experiment_file), CollectorRegistry()
    nodes = tmp_path / "var" / "serving" / "homefeed"
    first = Node.from_settings(settings, registry=registry)
    second = Node.from_settings(settings, node_id="ranker-7", kill_file=tmp_path / "stop")
    names = [node.serving.config.node_id for node in (first, second)]
    assert [(nodes / name / "spool").is_dir() for name in names] == [True, True]
    assert [node.serving.config.kill_file for node in (first, second)] == [tmp_path / "var" / "kill", tmp_path / "stop"]
    third = Node.from_settings(settings)
    assert third.serving.config.node_id == f"{names[0]}-2"
    assert first.decide().fallback_reason is FallbackReason.KILLED
    assert registry.get_sample_value("trimtab_serving_decisions_total", {"slice": "FALLBACK", "reason": "killed"}) == 1
    for node in (first, second, third):
        node.close()
    assert not list(nodes.rglob("node.lock"))


def test_what_was_opened_is_closed_when_the_rest_fails(tmp_path: Path, experiment_file: Path) -> None:
    settings = settings_of(tmp_path, experiment_file)
    with pytest.raises(ExperimentError):
        Node.from_settings(settings.model_copy(update={"experiment": tmp_path / "absent.toml"}))
    with pytest.raises(ValueError, match=r"Duplicated"):
        registry = CollectorRegistry()
        Node.from_settings(settings, node_id="n1", registry=registry).close()
        Node.from_settings(settings, node_id="n1", registry=registry)
    DeliverySpool(tmp_path / "var" / "serving" / "homefeed" / "n1" / "spool").close()


def test_a_node_that_trusts_no_key_says_what_it_will_serve(tmp_path: Path, experiment_file: Path) -> None:
    settings = settings_of(tmp_path, experiment_file)
    trusting = settings.model_copy(update={"trusted_keys": LEARNER_KEY.public_text()})
    for given, warned in ((settings, 1), (trusting, 0)):
        with capture_logs() as lines, Node.from_settings(given) as node:
            assert node.decide().arm == node.serving.config.experiment.action_space.production_arm
        said = [line for line in lines if "no key is trusted" in line["event"]]
        assert len(said) == warned
        assert all("production weights only" in line["event"] and "TRUSTED_KEYS" in line["fix"] for line in said)
