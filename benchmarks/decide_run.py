"""Decides requests in one process and measures the CPU time of each decision.

`benchmarks.decide_versions` starts this file as a script, with the packages of this or another checkout on the path.
Its arguments are the number of decisions and a JSON list of cases. For each line that it reads, a case's name, it runs
that case once and answers with a line of figures. It imports nothing of `benchmarks`, which the other checkout may not
have it.
"""

from __future__ import annotations

import gc
import json
import sys
import time
import tomllib
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from event_schemas.experiment import Experiment, parse_experiment
from feature_contract import FeatureContract
from policy_store.records import ObjectiveWeights
from serving_agent.decide import DecisionRequest, PolicyAgent, ServingSnapshot, SnapshotHolder

try:
    from serving_agent.decide.loaded_policy import LoadedPolicy
except ImportError:  # in a base of before, which had it beside the snapshot
    from serving_agent.decide.snapshot import LoadedPolicy  # type: ignore[attr-defined]
try:
    from serving_agent.decide.policy_networks import ValueNetwork
except ImportError:  # in a base of before, which had no other networks
    from serving_agent.decide.scoring import PolicyNetwork as ValueNetwork  # type: ignore[attr-defined,no-redef]


class NoLogger:
    """Stands in for a DecisionLogger and keeps nothing: its thread would use the same process's CPU time."""

    def log_request(self, *_: Any) -> None:
        """Does nothing."""

    def log_applied(self, *_: Any) -> None:
        """Does nothing."""

    def count_unlogged(self, *_: Any) -> None:
        """Does nothing."""


def experiment_of(case: dict[str, Any]) -> Experiment:
    """The case's experiment file with its rates and, for a box, its weights."""
    file = Path(case["experiment"])
    document = tomllib.loads(file.read_text(encoding="utf-8"))
    document["experiment"] |= case["rates"]
    if case.get("box"):
        document["weights"] = [
            {name: value for name, value in weight.items() if name != "steps"}
            | {"sd": (weight["high"] - weight["low"]) / 8}
            for weight in document["weights"]
        ]
        document["experiment"]["exploration_kind"] = "normal"
    document["serving"] = {"budget_ms": 2000}
    return parse_experiment(document, file)


def network_of(experiment: Experiment, kind: str) -> Any:
    """The network of a policy: `values` runs an ONNX graph; the others are this checkout's reference policies."""
    space = experiment.action_space
    if kind == "values":
        objectives = len(experiment.objective_names)
        q = np.random.default_rng(1).uniform(size=(1, space.arms, objectives)).astype(np.float32)
        return ValueNetwork(_constant_graph(q), arms=space.arms, objectives=objectives)
    from simulator.reference_policies import NormalPolicy, SoftmaxPolicy

    if kind == "probabilities":
        return SoftmaxPolicy(space.arms, 2)
    production = space.weights[space.production_arm]
    return NormalPolicy(production.tolist(), ((space.high - space.low) / 8).tolist())


def _constant_graph(q: Any) -> bytes:
    node = helper.make_node("Identity", ["value"], ["q"])
    outputs = [helper.make_tensor_value_info("q", TensorProto.FLOAT, list(q.shape))]
    graph = helper.make_graph([node], "policy", [], outputs, [numpy_helper.from_array(q, "value")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


class Case:
    """An agent that decides in one way."""

    def __init__(self, case: dict[str, Any]) -> None:
        experiment = experiment_of(case)
        stable = None
        if case["policy"] is not None:
            network = network_of(experiment, case["policy"])
            stable = LoadedPolicy("v1", 0, network, FeatureContract.from_experiment(experiment))
        snapshot = ServingSnapshot(ObjectiveWeights.in_force(experiment), stable=stable)
        self.slice = case["slice"]
        self._agent = PolicyAgent(experiment, NoLogger(), SnapshotHolder(snapshot))  # type: ignore[arg-type]
        self._round = 0

    def run(self, decisions: int) -> dict[str, float]:
        """Median CPU microseconds of `decide`, and of `decide` with the confirmation, over new requests."""
        self._round += 1
        names = [f"s{self._round}.{number}" for number in range(decisions)]
        requests = [DecisionRequest(f"{name}~1", session_id=name) for name in names]
        decide, cpu = self._agent.decide, time.process_time_ns
        decided, whole = [], []
        gc.collect()
        gc.disable()
        for request in requests:
            start = cpu()
            decision = decide(request)
            between = cpu()
            decision.applied()
            end = cpu()
            decided.append(between - start)
            whole.append(end - start)
            assert decision.slice == self.slice, decision
        gc.enable()
        return {"decide_us": median(decided) / 1000, "applied_us": median(whole) / 1000}


def main() -> None:
    """Answers each line, a case's name, with a line of figures."""
    decisions = int(sys.argv[1])
    cases = {case["name"]: Case(case) for case in json.loads(sys.argv[2])}
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(cases[line.strip()].run(decisions)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
