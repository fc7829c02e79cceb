"""A checkpoint that proposes weights: published in Redis, picked up by a node, served, and joined with its density."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import pytest

import trimtab
from event_schemas import records as r
from event_schemas.action_space import VECTOR
from event_schemas.codec import Codec
from event_schemas.experiment import Experiment, load_experiment
from event_schemas.registry import Registry
from event_schemas.slices import coin
from off_policy.truncated_normals import TruncatedNormals
from policy_store.backends.redis_store import RedisStore
from policy_store.records.channel_record import Channel
from serving_agent.decide.decision import Decision
from tests.answer_graphs import proposing_graph
from tests.components.join_bench import JoinBench
from tests.serving_samples import DIM, GOVERNANCE_KEY, LEARNER_KEY, StoreDesk

CODEC = Codec(Registry.bundled())
MINUTE = 60_000
MEAN, SD = [80.0, 12.0], [30.0, 5.0]
FILE = f"""
[experiment]
name = "proposal"
salt = "pepper"
exploration_rate = 0.2
control_rate = 0.0
log_rate = 1.0
exploration_kind = "normal"

[[weights]]
name = "repin"
production = 20.0
low = 10
high = 200
sd = 50

[[weights]]
name = "p2p"
production = 9.1
low = 1
high = 30
sd = 8

[[objectives]]
name = "repin"
kinds = ["repin"]
attribution = "5m"

[[objectives]]
name = "p2p"
kinds = ["p2p"]
attribution = "5m"

[features]
user_embedding_dim = {DIM}

[join]
allowed_lateness = "1m"
clock = "replay"

[serving]
budget_ms = 10000
poll = "200ms"

[preference]
alpha_objective = "repin"
alpha = 0.25
"""


@pytest.fixture
def bench(join_bench: JoinBench, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> JoinBench:
    join_bench.experiment_file.write_text(FILE, encoding="utf-8")
    variables = {
        "REDIS_URL": redis_url,
        "TRUSTED_KEYS": f"{LEARNER_KEY.public_text()},{GOVERNANCE_KEY.public_text()}",
    }
    for name, value in variables.items():
        monkeypatch.setenv(f"TRIMTAB_{name}", value)
    for name, value in join_bench.environment().items():
        monkeypatch.setenv(name, value)
    return join_bench


def test_a_proposal_is_picked_up_served_and_logged_with_its_density(bench: JoinBench, redis_url: str) -> None:
    experiment = load_experiment(bench.experiment_file)
    now = time.time_ns() // 1_000_000
    desk = StoreDesk(experiment, RedisStore(redis_url, experiment.name), now=now)
    said = {"answer": "proposal", "selection": "sample", "preference": {"repin": 0.25, "p2p": 0.75}}
    desk.publish("v1", proposing_graph(MEAN, SD, slope=10.0), **said)
    desk.point(Channel.STABLE, "v1")
    with trimtab.Node.from_settings() as node:
        _await(lambda: node.decide(user_embedding=[0.0] * DIM, event_time=now - 90 * MINUTE).policy_version == "v1")
        decisions = [_decided(node, number, now) for number in range(300)]
        desk.alpha(0.5)
        _await(lambda: _fallback(node, now) == "preference")
    joined = _joined(bench, now)
    _assert_logged_as_served(decisions, joined, experiment)


def _decided(node: trimtab.Node, number: int, now: int) -> Decision:
    user = [math.sin(number), 0.0, 0.0, 0.0]
    decision = node.decide(request_id=f"r{number}", user_embedding=user, event_time=now - 60 * MINUTE + 100 * number)
    assert decision.applied()
    return decision


def _fallback(node: trimtab.Node, now: int) -> str | None:
    """Why a policy does not serve; a request that explores says nothing."""
    reason = node.decide(user_embedding=[0.0] * DIM, event_time=now - 60 * MINUTE).fallback_reason
    return None if reason is None else reason.value


def _await(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _joined(bench: JoinBench, now: int) -> dict[str, r.Record]:
    """The examples by request id."""
    bench.close_windows(CODEC.encode(r.HEARTBEAT, {"event_time": now}))
    bench.start_worker()
    bench.wait_until_processed()
    bench.stop_workers()
    assert {each["reason"] for each in bench.decoded("dead-letters")} <= {"incomplete"}, "only what was not applied"
    return {each["request_id"]: each for each in (_parts(record) for record in bench.decoded("examples"))}


def _parts(example: r.Record) -> r.Record:
    return {**example, "request_id": example["request"]["request_id"]}


def _assert_logged_as_served(decisions: list[Decision], joined: dict[str, r.Record], experiment: Experiment) -> None:
    space, salt = experiment.action_space, experiment.exploration.salt
    served = [each for each in decisions if each.slice == "POLICY"]
    assert len(served) > 200
    assert {each.policy_version for each in served} == {"v1"}
    for decision in decisions:
        example = joined[decision.request_id]
        assert example["action"]["slice"] == decision.slice
        assert example["action"]["weights"] == pytest.approx([decision.weights[name] for name in space.weight_names])
        assert example["propensity"]["log_density"] == decision.log_density
    for decision in served:
        action, propensity = (joined[decision.request_id][part] for part in ("action", "propensity"))
        user = joined[decision.request_id]["request"]["user_embedding"]
        mean = space.normalised(np.array([MEAN[0] + 10.0 * math.tanh(user[0]), MEAN[1]]))
        sd = np.array(SD) / (space.high - space.low)
        density = TruncatedNormals(mean, sd).log_density(space.normalised(np.array(action["weights"]))).sum()
        assert (action["arm"], propensity["propensity"]) == (VECTOR, 1.0)
        assert propensity["log_density"] == pytest.approx(density, abs=1e-4)
        coins = [coin(salt, f"policy:{name}", decision.request_id) for name in space.weight_names]
        drawn = space.low + (space.high - space.low) * TruncatedNormals(mean, sd).quantile(np.array(coins))
        assert action["weights"] == pytest.approx(drawn, rel=1e-5)
