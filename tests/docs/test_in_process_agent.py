"""The guide's code runs as it stands: with a policy in Redis, and with neither Redis nor Kafka there."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

import trimtab
from policy_store.backends.redis_store import RedisStore
from policy_store.records.channel_record import Channel
from serving_agent.decide import ServedWeights
from tests.components.embedded_log import embedded_broker, read_all
from tests.components.free_port import free_port
from tests.serving_samples import GOVERNANCE_KEY, LEARNER_KEY, StoreDesk, codec
from trimtab.import_names import PACKAGES
from trimtab.settings import load_settings
from trimtab.testing import memory_node

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "in_process_agent.md").read_text(encoding="utf-8")
EXAMPLE, IN_A_LOOP, ECHOING, A_TEST, BY_HAND = re.findall(r"```python\n(.*?)```", GUIDE, flags=re.DOTALL)
A_RANKER = """
def rank(node, user_id):
    decision = node.decide(user_id=user_id, context={"surface": "home"})
    decision.applied(served=["pin-2", "pin-1"])
    return ["pin-2", "pin-1"]
"""
COUNTED = ("Action", "Propensity", "Request")
EXPERIMENT = """
[experiment]
name = "guide"
salt = "pepper"
exploration_rate = 0.0
log_rate = 1.0

[[weights]]
name = "repin"
production = 91.6
low = 10
high = 200
steps = 3

[[objectives]]
name = "repin"
kinds = ["repin"]
attribution = "30m"

[[features.context]]
name = "surface"
required = true

[serving]
budget_ms = 2000
"""


def settle(kafka: str, redis_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what the guide's code finds in its environment."""
    file = folder / "trimtab.toml"
    file.write_text(EXPERIMENT, encoding="utf-8")
    variables = {
        "KAFKA_BOOTSTRAP": kafka,
        "REDIS_URL": redis_url,
        "EXPERIMENT": str(file),
        "DATA_DIR": str(folder / "var"),
        "TRUSTED_KEYS": f"{LEARNER_KEY.public_text()},{GOVERNANCE_KEY.public_text()}",
    }
    for name, value in variables.items():
        monkeypatch.setenv(f"TRIMTAB_{name}", value)


def run(block: str) -> dict[str, Any]:
    """Run a block of the guide; the names it leaves."""
    names: dict[str, Any] = {}
    exec(block, names)
    return names


def graph_that_prefers(arm: int, arms: int) -> bytes:
    """`context_ids` int64[n, 1] → `q` float32[n, arms, 1], best for one arm, nearly the same for all requests."""
    values = np.full((1, arms, 1), 0.2, dtype=np.float32)
    values[0, arm] = 0.8
    constants: dict[str, NDArray[Any]] = {
        "values": values,
        "little": np.full(1, 1e-6, np.float32),
        "axis": np.array([2], np.int64),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["context_ids"], ["ids"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["ids", "little"], ["shift"]),
            helper.make_node("Unsqueeze", ["shift", "axis"], ["broadcast"]),
            helper.make_node("Add", ["broadcast", "values"], ["q"]),
        ],
        "policy",
        [helper.make_tensor_value_info("context_ids", TensorProto.INT64, ["n", 1])],
        [helper.make_tensor_value_info("q", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def test_eight_lines_serve_a_policy_and_log_it(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(EXAMPLE.splitlines()) <= 8
    assert EXAMPLE.count("import ") == 1
    file = tmp_path / "trimtab.toml"
    file.write_text(EXPERIMENT, encoding="utf-8")
    monkeypatch.setenv("TRIMTAB_EXPERIMENT", str(file))
    experiment = load_settings().load_experiment()
    desk = StoreDesk(experiment, RedisStore(redis_url, "guide"), now=time.time_ns() // 1_000_000)
    desk.publish("v1", graph_that_prefers(1, experiment.action_space.arms))
    desk.point(Channel.STABLE, "v1")
    all_five = Counter(["Action", "Engagement", "Propensity", "Ranking", "Request"])
    logged = Counter[str]()
    with embedded_broker() as bootstrap:
        settle(bootstrap, redis_url, tmp_path, monkeypatch)
        for block, wanted in ((EXAMPLE, all_five), (IN_A_LOOP, all_five), (BY_HAND, Counter(COUNTED))):
            decision = run(block).get("decision")
            if decision is not None:
                assert (decision.slice, decision.policy_version, decision.arm) == ("POLICY", "v1", 1)
            events = Counter(codec().decode(message.value()).name for message in read_all(bootstrap, "trimtab.events"))
            assert events - logged == wanted
            logged = events


def test_nothing_there_means_production_weights_and_a_full_spool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    settle(nowhere, f"redis://{nowhere}/0", tmp_path, monkeypatch)
    decision = run(EXAMPLE)["decision"]
    assert (decision.slice, decision.fallback_reason) == ("FALLBACK", "no_policy")
    assert decision.weights == {"repin": 91.6}
    [spooled] = (tmp_path / "var" / "serving").glob("guide/*/spool/incoming.spool")
    assert spooled.stat().st_size


def test_what_was_served_is_echoed(tmp_path: Path) -> None:
    file = tmp_path / "trimtab.toml"
    file.write_text(EXPERIMENT, encoding="utf-8")
    kept: list[ServedWeights] = []
    with memory_node(file) as node:
        for _ in range(3):
            run(ECHOING)["rank_for"](node, "u-17", kept)
            node.clock.advance(60_000)
        requests = sorted(node.logged("Request"), key=lambda record: int(record["event_time"]))
    assert [len(record["previous"]) for record in requests] == [0, 1, 2]
    assert requests[2]["previous"] == [
        {"event_time": record["event_time"], "weights": [91.6]} for record in (requests[1], requests[0])
    ]


def test_a_ranker_s_test_passes_and_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trimtab.toml").write_text(EXPERIMENT, encoding="utf-8")
    (tmp_path / "your_ranker.py").write_text(A_RANKER, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    names = run(A_TEST)
    assert len(A_TEST[A_TEST.index("def test_") :].splitlines()) <= 10
    monkeypatch.delitem(sys.modules, "your_ranker")
    names["test_what_was_served_is_confirmed"]()
    names["rank"] = lambda node, user_id: ["pin-1"]  # a ranker that confirms nothing
    with pytest.raises(ValueError, match="not enough values"):
        names["test_what_was_served_is_confirmed"]()


def test_the_names_that_are_taken_are_listed() -> None:
    section = GUIDE.split("## When a name is taken")[1]
    assert tuple(re.findall(r"`(\w+)`", section.split(".", 1)[0])) == PACKAGES


def test_every_public_name_is_there() -> None:
    assert sorted(trimtab.PUBLIC) == sorted(trimtab.__all__)
    for name in trimtab.PUBLIC:
        assert getattr(trimtab, name).__name__ == name
    with pytest.raises(AttributeError, match="Nobody"):
        trimtab.Nobody  # noqa: B018
