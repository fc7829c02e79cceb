"""Three α of one checkpoint side by side: started, served by two nodes, joined, read per arm and concluded.

Every figure that is read equals one that this test counts by hand from what the nodes served and what it made the users
do: per request, per session and per user-day.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

import trimtab
from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.experiment import Experiment, load_experiment
from event_schemas.registry import Registry
from event_schemas.slices import coin
from event_schemas.units import DAY_MS
from learner.checkpoints.checkpoint import learner_directory
from learner.examples.example_decoder import ExampleDecoder
from learner.examples.example_source import KafkaExampleSource
from learner.examples.exploration_reading import read_explorations
from learner.examples.exploration_shelf import ExplorationShelf
from learner.examples.ingest import DeadLetters, Ingest
from learner.examples.segment_store import SegmentStore
from policy_store.backends.redis_store import RedisStore
from policy_store.records.channel_record import Channel
from producers.delivery.memory_log import MemoryLog
from serving_agent.decide.decision import Decision
from serving_agent.pickup.experiment_watch import RAISE_DELAY_MS
from tests.components.homefeed_log import SentEvent
from tests.components.join_bench import JoinBench
from tests.serving_samples import DIM, GOVERNANCE_KEY, LEARNER_KEY, StoreDesk, linear_graph
from trimtab.cli import build_app

CODEC = Codec(Registry.bundled())
MINUTE = 60_000
USERS, SHARE, LOG_RATE = 400, 0.75, 0.6
ALPHAS = {"a1": 0.1, "a5": 0.5, "a9": 0.9}
BEST = {"a1": 1, "a5": 2, "a9": 3, "control": 1}
"""The arm that the checkpoint prefers at each α; the file's α is .1, so the control is as a1."""
VALUES = {1: (0.1, 0.9), 2: (0.62, 0.62), 3: (0.9, 0.1)}
FILE = f"""
[experiment]
name = "sweep-homefeed"
salt = "pepper"
exploration_rate = 0.1
control_rate = 0.05
log_rate = 0.2
log_unit = "user"

[[weights]]
name = "repin"
production = 91.6
low = 10
high = 200
steps = 2

[[weights]]
name = "p2p"
production = 9.1
low = 1
high = 30
steps = 2

[[objectives]]
name = "repin"
kinds = ["repin"]
attribution = "5m"

[[objectives]]
name = "p2p"
kinds = ["p2p"]
attribution = "5m"
clip = 2

[[objectives]]
name = "either"
kinds = ["repin", "p2p"]
attribution = "5m"
clip = 3
role = "signal"

[[objectives]]
name = "good_session"
kinds = ["p2p"]
attribution = "5m"
role = "guardrail"
per = "session"

[[guardrails]]
name = "active_day"
kinds = ["repin"]
per = "user-day"

[features]
user_embedding_dim = {DIM}

[join]
allowed_lateness = "1m"
max_future_skew = "1h"
clock = "replay"

[serving]
budget_ms = 10000
poll = "200ms"

[preference]
alpha_objective = "p2p"
alpha = 0.1
"""


def values_graph(experiment: Experiment) -> bytes:
    """Three arms of the grid with the values of VALUES, which vary a little with the request; the rest are poor."""
    bias = np.full((experiment.action_space.arms, 2), -3.0, dtype=np.float32)
    for arm, (p2p, repin) in VALUES.items():
        bias[arm] = [np.log(repin / (1 - repin)), np.log(p2p / (1 - p2p))]
    return linear_graph(bias, np.full((DIM, bias.size), 1e-3, dtype=np.float32))


@dataclass
class Served:
    """One applied decision, and what its user did."""

    decision: Decision
    user: str
    session: str
    did: Counter[str] = field(default_factory=Counter)

    @property
    def logged(self) -> bool:
        return self.decision.facts.logged

    def counts_for(self, experiment_id: str) -> bool:
        """Whether it is counted by intention to treat."""
        arm = self.decision.facts.experiment_arm or ""
        return self.logged and self.decision.slice in ("POLICY", "FALLBACK") and arm.startswith(f"{experiment_id}/")

    @property
    def arm(self) -> str:
        return str(self.decision.facts.experiment_arm).split("/")[1]


@pytest.fixture
def bench(join_bench: JoinBench, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[JoinBench]:
    join_bench.experiment_file.write_text(FILE, encoding="utf-8")
    variables = {
        "REDIS_URL": redis_url,
        "SIGNING_KEY": GOVERNANCE_KEY.secret_text(),
        "TRUSTED_KEYS": f"{LEARNER_KEY.public_text()},{GOVERNANCE_KEY.public_text()}",
    }
    for name, value in variables.items():
        monkeypatch.setenv(f"TRIMTAB_{name}", value)
    for name, value in join_bench.environment().items():
        monkeypatch.setenv(name, value)
    with capture_logs():  # the nodes' lines would stand between those of the commands
        yield join_bench


def test_three_alphas_side_by_side_are_read_as_they_were_served(
    bench: JoinBench, redis_url: str, tmp_path: Path
) -> None:
    experiment = load_experiment(bench.experiment_file)
    store = RedisStore(redis_url, experiment.name)
    desk = StoreDesk(experiment, store, now=store.time_ms())
    desk.publish("v1", values_graph(experiment), evaluation={"verdict": "inconclusive"})
    desk.point(Channel.STABLE, "v1")
    with ExitStack() as stack:
        nodes = [stack.enter_context(trimtab.Node.from_settings(node_id=name)) for name in ("n1", "n2")]
        start = _started()
        _await(lambda: all(_serves_arms(node) for node in nodes))
        _await(lambda: set(_command("show", "sweep")["nodes"].values()) == {"serves every arm"})
        first = max(start, time.time_ns() // 1_000_000) + RAISE_DELAY_MS
        served = list(_traffic(nodes, first))
        _assert_drawn_and_served(served, experiment)
    _write_engagements(bench, served)
    _join_and_ingest(bench, experiment, tmp_path / "var", first)
    read = _command("read", "sweep")
    _assert_read_as_counted(read, served)
    _conclude(desk, experiment, read)


def _started() -> int:
    """Starts the experiment with the command; when it begins."""
    arms = [option for name, alpha in ALPHAS.items() for option in ("--arm", f"{name},alpha={alpha},version=latest")]
    options = ["--share", str(SHARE), "--log-rate", str(LOG_RATE), "--by", "ada", "--for", "1h"]
    start = time.time_ns() // 1_000_000 - 10_000
    moment = np.datetime64(start, "ms").astype(str) + "Z"
    record = _command("start", "sweep", *arms, *options, "--start", moment)
    [plan] = record["running"]
    assert plan["guardrails"] == ["good_session", "active_day"]
    assert [arm["name"] for arm in plan["arms"]] == ["control", *ALPHAS]
    return int(plan["start"])


def _command(*arguments: str) -> Any:
    result = CliRunner().invoke(build_app(), ["experiment", *arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def _serves_arms(node: Any) -> bool:
    experiments = node.serving.snapshot.experiments
    return bool(experiments) and all(arm.follows or arm.policy is not None for arm in experiments[0].arms)


def _await(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _traffic(nodes: list[Any], first: int) -> Iterator[Served]:
    """Each user's two sessions of two requests, on alternating nodes; what users do depends on the arm served."""
    chance = np.random.default_rng(5)
    for number in range(4 * USERS):
        user, visit = f"user-{number % USERS}", number // USERS
        session = f"s{visit // 2}-{user}"
        request = {"user_id": user, "session_id": session, "user_embedding": [0.0] * DIM}
        decision = nodes[number % 2].decide(request_id=f"r{number}", event_time=first + 30 * number, **request)
        assert decision.applied()
        each = Served(decision, user, session)
        p2p, repin = VALUES.get(decision.arm, (0.3, 0.3))
        for kind, value in (("p2p", p2p), ("repin", repin)):
            each.did[kind] = int(chance.binomial(3, value / 3))
        yield each


def _assert_drawn_and_served(served: list[Served], experiment: Experiment) -> None:
    """Members, arms and logs by the coins; each arm serves what its α prefers."""
    salt, names = experiment.exploration.salt, ["control", *ALPHAS]
    for each in served:
        facts = each.decision.facts
        label = f"sweep/{names[int(4 * coin(salt, 'experiment-arm:sweep', each.user))]}"
        member = coin(salt, "experiment:sweep", each.user) < SHARE
        assert facts.experiment_arm == (label if member else None)
        if facts.slice == "POLICY":
            assert facts.arm == BEST[each.arm if member else "control"]
            assert facts.sampling_rate == LOG_RATE
            assert facts.logged == (coin(salt, "log", each.user) < LOG_RATE)
    slices = Counter(each.decision.slice.value for each in served)
    assert set(slices) == {"EXPLORE", "CONTROL", "POLICY"}


def _write_engagements(bench: JoinBench, served: list[Served]) -> None:
    events = []
    for each in served:
        if each.logged:
            at, key = each.decision.event_time + MINUTE, each.decision.request_id
            for kind, count in each.did.items():
                for place in range(count):
                    ids = {"engagement_id": f"{kind}{place}-{key}", "request_id": key, "event_time": at}
                    record = ids | {"kind": kind, "item_id": None, "value": 1.0}
                    events.append(SentEvent(at, key.encode(), CODEC.encode(r.ENGAGEMENT, record)))
    bench.send(events)


def _join_and_ingest(bench: JoinBench, experiment: Experiment, data_dir: Path, first: int) -> None:
    bench.close_windows(CODEC.encode(r.HEARTBEAT, {"event_time": first + 20 * MINUTE}))
    bench.start_worker()
    bench.wait_until_processed()
    bench.stop_workers()
    assert [(each["reason"], each["detail"]) for each in bench.decoded("dead-letters")[:3]] == []
    directory, topic = learner_directory(data_dir, experiment), f"{bench.prefix}examples"
    with closing(KafkaExampleSource(bench.client_config, f"{bench.prefix}explorations")) as source:
        read_explorations(source, CODEC, ExplorationShelf(directory / "explorations"))
    source = KafkaExampleSource(bench.client_config, topic)
    with closing(source), SegmentStore(directory / "examples", topic, 10**15) as segments:
        decoder = ExampleDecoder(CODEC, experiment.action_space)
        ingest = Ingest(source, decoder, segments, DeadLetters(CODEC, MemoryLog(), "dead-letters"))
        ingest.start()
        assert sum(counts.malformed for counts in ingest.to_end()) == 0


def _assert_read_as_counted(read: dict[str, Any], served: list[Served]) -> None:
    assert read["outcomes"] == ["repin", "p2p", "either", "good_session", "active_day"]
    assert read["control"] == "control"
    by_hand = {name: _counted([e for e in served if e.counts_for("sweep") and e.arm == name]) for name in read["arms"]}
    for name, arm in read["arms"].items():
        users, rows, means = by_hand[name]
        assert (arm["users"], arm["rows"]) == (users, rows)
        assert arm["requests"] == pytest.approx(rows / LOG_RATE)
        found = {outcome: said["mean"] for outcome, said in arm["outcomes"].items()}
        assert found == pytest.approx(means, rel=1e-12)
        if name != "control":
            deltas = {outcome: said["delta"] for outcome, said in arm["outcomes"].items()}
            control = by_hand["control"][2]
            assert deltas == pytest.approx({each: means[each] - control[each] for each in means}, abs=1e-12)
    best = {name: arm["outcomes"]["p2p"]["mean"] for name, arm in read["arms"].items()}
    assert best["a1"] < best["a5"] < best["a9"], "α buys p2p with repins"
    assert read["sample_ratio_p"] > 1e-6


def _counted(rows: list[Served]) -> tuple[int, int, dict[str, float]]:
    """Users, rows and means, counted one by one. The log keeps whole users at one rate, so no weight differs."""
    means = {
        "repin": _mean(min(each.did["repin"], 1) for each in rows),
        "p2p": _mean(min(each.did["p2p"], 2) for each in rows),
        "either": _mean(min(each.did.total(), 3) for each in rows),
        "good_session": _mean(_clipped(rows, "p2p", lambda each: each.session)),
        "active_day": _mean(_clipped(rows, "repin", lambda each: (each.user, each.decision.event_time // DAY_MS))),
    }
    return len({each.user for each in rows}), len(rows), means


def _mean(values: Iterable[int]) -> float:
    found = list(values)
    return sum(found) / len(found)


def _clipped(rows: list[Served], kind: str, unit: Callable[[Served], object]) -> list[int]:
    sums: defaultdict[object, int] = defaultdict(int)
    for each in rows:
        sums[unit(each)] += each.did[kind]
    return [min(count, 1) for count in sums.values()]


def _conclude(desk: StoreDesk, experiment: Experiment, read: dict[str, Any]) -> None:
    entry = _command("conclude", "sweep", "--verdict", "adopted", "--winner", "a5", "--by", "ada", "--reason", "more")
    [held] = _command("ledger")
    assert held == entry
    assert [arm["users"] for arm in held["arms"]] == [arm["users"] for arm in read["arms"].values()]
    at = read["outcomes"].index("p2p")
    assert held["arms"][2]["deltas"][at] == read["arms"]["a5"]["outcomes"]["p2p"]["delta"]
    assert len(held["arms"][2]["covariance"]) == len(read["outcomes"])
    assert _command("list") == []
    assert desk.store.experiment == experiment.name
