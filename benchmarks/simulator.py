"""How many simulated requests a second become examples on one core: at once, and one by one through the real agent.

    python -m benchmarks.simulator --requests 200000 --json

Both paths run the same world in this process. The peer is the real agent with its loggers on a log in memory, which is
where the events are made that a join still has to read. `with_policy` also runs the experiment's network for each
request that a policy serves. The bound is what nobody can go below: the hashes of the coins that each request needs,
and nothing else. Times are those of the process's CPU, so `POLARS_MAX_THREADS=1` makes the rates those of one core.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from benchmarks.command_line import report, run_command
from benchmarks.results_folder import RESULTS, append_result
from event_schemas.codec import Codec
from event_schemas.experiment import Experiment, load_experiment
from event_schemas.registry import Registry
from event_schemas.units import DAY_MS
from feature_contract import FeatureContract
from learner.examples import request_columns
from learner.network.algorithm import make_algorithm
from policy_store.records import ObjectiveWeights
from producers.delivery import MemoryLog
from serving_agent.decide import ServingSnapshot
from serving_agent.decide.loaded_policy import LoadedPolicy
from serving_agent.decide.policy_networks import ValueNetwork
from simulator.homefeed_world import RunPlan
from simulator.simulation import EventOutlet, run_simulation
from simulator.vector_run import VectorRun, write_examples
from simulator.worlds import world

EXPERIMENT = Path(__file__).parents[1] / "simulator" / "experiments" / "homefeed.toml"
START = 1_763_942_400_000
DAYS = 7


def plan_of(name: str, requests: int) -> RunPlan:
    """A week of a world."""
    return RunPlan(1, requests, START, START + DAYS * DAY_MS, world=world(name))


def rate(requests: int, work: Callable[[], object]) -> dict[str, float]:
    """Requests a second, by the clock and by this process's CPU."""
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
    return {"per_second": round(requests / clock), "per_cpu_second": round(requests / cpu)}


def written(
    experiment: Experiment, name: str, requests: int, into: Path, snapshot: ServingSnapshot | None = None
) -> dict[str, Any]:
    """The rate at which examples are written, with the world's 28 days before the run, and their size."""
    plan = plan_of(name, requests)
    found: dict[str, Any] = rate(requests, lambda: write_examples(experiment, plan, into, snapshot=snapshot))
    size = sum(path.stat().st_size for path in into.iterdir())
    return found | {"bytes_per_example": round(size / requests, 1)}


def untrained(experiment: Experiment) -> ServingSnapshot:
    """What serves the experiment's own network before any training, for everybody: it costs what a trained one does."""
    contract = FeatureContract.from_experiment(experiment)
    sample = next(VectorRun(experiment, plan_of("homefeed", 1_000)).frames())
    graph = make_algorithm(experiment, contract).export(contract.encode_columns(request_columns(sample))[0])
    objectives = len(experiment.objective_names)
    network = ValueNetwork(graph, arms=experiment.action_space.arms, objectives=objectives)
    preference = ObjectiveWeights(0, (1.0 / objectives,) * objectives, {})
    return ServingSnapshot(preference, LoadedPolicy("untrained", START, network, contract))


def through_agent(experiment: Experiment, requests: int) -> dict[str, float]:
    """The rate through the real agent and loggers, whose events still have to be joined."""
    log = MemoryLog()
    outlet = EventOutlet(Codec(Registry.bundled()), log, "events", log.partitions)
    return rate(requests, lambda: run_simulation(experiment, plan_of("homefeed", requests), outlet))


def hashes(requests: int) -> dict[str, float]:
    """The rate of the coins alone: `explore` and `control` of every request."""
    ids = [f"homefeed-1-{number:06d}".encode() for number in range(requests)]

    def draw() -> None:
        for purpose in (b"salt\x00explore\x00", b"salt\x00control\x00"):
            for each in ids:
                hashlib.sha256(purpose + each).digest()

    return rate(requests, draw)


def main(
    requests: Annotated[int, typer.Option(min=1_000, max=1_000_000, help="Requests written at once.")] = 200_000,
    single: Annotated[int, typer.Option(min=100, help="Requests through the real agent.")] = 3_000,
    results: Annotated[Path, typer.Option(help="Folder for the figures.")] = RESULTS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Measure requests per second of the simulator.

    Example: POLARS_MAX_THREADS=1 python -m benchmarks.simulator --requests 200000 --json
    """
    experiment = load_experiment(EXPERIMENT)
    with TemporaryDirectory() as folder:
        figures = {
            "requests": requests,
            "homefeed": written(experiment, "homefeed", requests, Path(folder) / "homefeed"),
            "no_heterogeneity": written(experiment, "no_heterogeneity", requests, Path(folder) / "no_heterogeneity"),
            "with_policy": written(experiment, "homefeed", requests, Path(folder) / "policy", untrained(experiment)),
            "agent": through_agent(experiment, single),
            "bound_hashes": hashes(requests),
        }
    append_result(results, "simulator", figures)
    report(figures, as_json)


if __name__ == "__main__":
    run_command(main)
