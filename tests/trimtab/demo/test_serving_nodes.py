"""What the demo reads from its nodes, here scripted sidecars."""

import json
from pathlib import Path

import pytest

from tests.simulator_samples import Answers, scripted_sidecar
from trimtab.demo import serving_nodes
from trimtab.demo.job_runner import DemoFailed, JobRunner
from trimtab.demo.serving_nodes import NodeProcess, await_nodes
from trimtab.demo.workspace import HOMEFEED, DemoExperiment, Workspace
from trimtab.embedded_runtime import EmbeddedRuntime

RUNTIME = EmbeddedRuntime("127.0.0.1:9", "redis://127.0.0.1:8/0", "embedded-test")
METRICS = """# TYPE trimtab_drift_statistic gauge
trimtab_drift_statistic{head="q:repin"} 0.125
# TYPE trimtab_producer_events counter
trimtab_producer_events_total{fate="handed_in",record="Request"} 3.0
trimtab_producer_events_total{fate="acknowledged",record="Request"} 3.0
"""
HEALTH = {"config_revision": 4, "channels": {"stable": {"version": "v1", "result": "accepted"}, "canary": None}}


def node_at(url: str, directory: Path) -> NodeProcess:
    return NodeProcess(DemoExperiment(Workspace(directory), RUNTIME, HOMEFEED), 2, int(url.rsplit(":", 1)[1]))


def test_a_node_tells_of_its_channels_drift_and_deliveries(tmp_path: Path) -> None:
    answers: Answers = {"/healthz": (200, json.dumps(HEALTH)), "/metrics": (200, METRICS), "/readyz": (200, "{}")}
    with scripted_sidecar(answers) as (url, _):
        node = node_at(url, tmp_path)
        assert node.url == url and node.job_name == "homefeed-node-2"
        assert node.ready() and node.health()["config_revision"] == 4
        assert node.channel("stable")["version"] == "v1" and node.channel("canary") == {}
        assert node.drift() == {"q:repin": 0.125}
        assert node.acknowledged() == {"Request": 3}


def test_a_node_that_does_not_answer_has_nothing_to_say(tmp_path: Path) -> None:
    node = node_at("http://127.0.0.1:1", tmp_path)
    assert not node.ready() and node.health() == {} and node.channel("stable") == {} and node.drift() == {}


def test_waiting_for_nodes_ends_when_all_hold_or_says_what_did_not_happen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [node_at(f"http://127.0.0.1:{port}", tmp_path) for port in (1, 2)]
    asked = list[int]()

    def third_time(node: NodeProcess) -> bool:
        asked.append(node.port)
        return len(asked) > 2

    with JobRunner(tmp_path / "logs", lambda: None) as runner:
        await_nodes(runner, nodes, third_time, "never", lambda: None)
        monkeypatch.setattr(serving_nodes, "START_SECONDS", 0.1)
        with pytest.raises(DemoFailed, match="pick-up of v2: did not happen within"):
            await_nodes(runner, nodes, lambda _: False, "pick-up of v2", lambda: None)
