"""`trimtab simulate`: sends traffic of a synthetic homefeed through the real serving agent and producers."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from event_schemas.errors import SettingError
from event_schemas.instant import moment_of, parse_instant, wall_clock_ms
from event_schemas.topics import EVENTS, EXPLORATIONS, TALLIES
from event_schemas.units import DAY_MS
from trimtab.join_pace import paced_by_join
from trimtab.live_bar import live_bar
from trimtab.next_step import say_next_to_learn
from trimtab.settings import Settings, load_settings

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from event_schemas.experiment import Experiment
    from simulator.homefeed_world import RunPlan


WORLD_HELP = (
    "World that users and items come from: homefeed, null, boundary, no_heterogeneity, context_dominant, or easy, which"
    " the demo uses and nothing real resembles."
)


@dataclass(frozen=True)
class Route:
    """Who decides: the sidecars at these URLs, or, if none, an agent in this process with this exploration rate."""

    sidecars: tuple[str, ...]
    exploration_rate: float | None


def simulate(  # noqa: PLR0913  one parameter for each option
    days: Annotated[float, typer.Option(min=0.01, help="Simulated days.")] = 21.0,
    requests: Annotated[int, typer.Option(min=1, max=1_000_000, help="Total number of requests.")] = 30_000,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the requests; different seeds give different request ids.")
    ] = 1,
    ending: Annotated[
        str | None, typer.Option(help="End of the last day, ISO 8601; default: as late as the log can close.")
    ] = None,
    via: Annotated[list[str] | None, typer.Option(help="URL of a sidecar that decides; may be repeated.")] = None,
    exploration_rate: Annotated[
        float | None, typer.Option(min=0, max=1, help="Explore at this rate instead of the experiment's.")
    ] = None,
    world: Annotated[str, typer.Option(help=WORLD_HELP)] = "easy",
    fault: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE: something that goes wrong, such as missing=0.2; may be repeated."),
    ] = None,
    truth: Annotated[
        bool, typer.Option("--truth", help="Print the exact figures of the world over 25 α, and send nothing.")
    ] = False,
    into: Annotated[
        Path | None,
        typer.Option(help="Write the examples into this folder as Parquet files, and send nothing: for large logs."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Send simulated homefeed traffic through serving, then close the log with heartbeats.

    The join sets the pace and must be running. Without --via, an agent in this process decides: it explores, and
    otherwise serves production. The report shows the true value of the served weights, which only a simulation knows.

    Example: trimtab simulate --days 21 --requests 30000 --exploration-rate 0.95
    """
    if via and (exploration_rate is not None or into is not None):
        raise SettingError("--exploration-rate and --into are for the agent in this process", fix="leave out --via")
    end_ms, settings = None if ending is None else parse_instant(ending, "--ending"), load_settings()
    experiment = settings.load_experiment()
    if truth:
        told = _truth(experiment, world)
        typer.echo(json.dumps(told) if as_json else _truth_text(told))
        return
    plan = _plan(experiment, seed, requests, days, end_ms)
    plan = _in_world(plan, world, fault or [])
    if into is not None:
        written = _write(experiment, plan, into, exploration_rate)
        typer.echo(json.dumps(written) if as_json else _written_text(written, into))
        return
    report = _run(settings, experiment, plan, Route(tuple(via or ()), exploration_rate))
    if as_json:
        typer.echo(json.dumps(report))
        return
    typer.echo(_as_text(report))
    say_next_to_learn(report["acknowledged"]["Propensity"])


def register(app: typer.Typer) -> None:
    """Adds `trimtab simulate`."""
    app.command("simulate")(simulate)


def _plan(experiment: Experiment, seed: int, requests: int, days: float, end_ms: int | None) -> RunPlan:
    """The run that ends at `end_ms`; raises SettingError if its closing heartbeats would be in the future."""
    from simulator.homefeed_world import RunPlan
    from simulator.simulation import latest_end

    latest = latest_end(experiment, wall_clock_ms())
    if end_ms is not None and end_ms > latest:
        moment = moment_of(latest).isoformat(timespec="seconds")
        raise SettingError(
            "--ending is too late: the heartbeats that close the log would lie in the future, and end as dead letters",
            fix=f"end at {moment} or before",
        )
    end_ms = latest if end_ms is None else end_ms
    return RunPlan(seed, requests, end_ms - round(days * DAY_MS), end_ms)


def _in_world(plan: RunPlan, name: str, faults: list[str]) -> RunPlan:
    """The plan in the world of this name, with faults `NAME=VALUE`; raises SettingError."""
    from simulator.worlds import Faults
    from simulator.worlds import world as world_named

    return replace(plan, world=world_named(name), faults=Faults.parse(faults))


def _truth(experiment: Experiment, name: str) -> dict[str, Any]:
    """The exact figures of a world with the experiment's arms; raises SettingError for `easy`."""
    from simulator.worlds import world as world_named
    from simulator.worlds import world_figures

    return world_figures(world_named(name), experiment)


def _write(experiment: Experiment, plan: RunPlan, into: Path, exploration_rate: float | None) -> dict[str, Any]:
    from simulator.homefeed_world import with_exploration_rate
    from simulator.vector_run import write_examples

    with live_bar() as show:
        progress = partial(show, "simulate", total=plan.requests)
        experiment = with_exploration_rate(experiment, exploration_rate)
        return write_examples(experiment, plan, into, progress=progress).as_dict()


def _run(settings: Settings, experiment: Experiment, plan: RunPlan, route: Route) -> dict[str, Any]:
    from prometheus_client import CollectorRegistry

    from monitoring.metrics import ProducerMetrics
    from monitoring.multiprocess_folder import require_multiprocess_folder
    from producers.delivery import KafkaDelivery
    from producers.topics import partitions_of
    from simulator.homefeed_world import with_exploration_rate
    from simulator.local_serving import SideTopics
    from simulator.simulation import EventOutlet, run_simulation

    require_multiprocess_folder()
    experiment = with_exploration_rate(experiment, route.exploration_rate)
    client, topic, registry = settings.kafka_client_config(), settings.topic(EVENTS), CollectorRegistry()
    explorations, tallies = settings.topic(EXPLORATIONS), settings.topic(TALLIES)
    others = [] if route.sidecars else [explorations, tallies]
    settings.require_rights(writes=[topic, *others])
    partitions = partitions_of(client, topic)
    for other in others:
        partitions_of(client, other)  # raises if the topic does not exist
    beside = SideTopics(explorations, tallies, _source(experiment, plan)) if others else None
    with (
        KafkaDelivery(client, metrics=ProducerMetrics(registry)) as sender,
        paced_by_join(settings, partitions) as pacer,
        live_bar() as show,
    ):
        progress = partial(show, "simulate", total=plan.requests)
        outlet = EventOutlet(settings.codec(), sender, topic, partitions, pacer, beside)
        report = run_simulation(experiment, plan, outlet, route.sidecars, progress)
    acknowledged = Counter(report.sidecar_events) + _acknowledged(registry)
    return {**report.as_dict(), "acknowledged": dict(acknowledged)}


def _source(experiment: Experiment, plan: RunPlan) -> str:
    """The name of a run's tallies: the same for a run that sends the same events."""
    span = (plan.requests, plan.start_ms, plan.end_ms, plan.user_count)
    drawn = f"{experiment.exploration.digest} {span} {plan.world.label} {plan.faults}"
    return f"simulate-{plan.seed}-{sha256(drawn.encode()).hexdigest()[:16]}"


def _acknowledged(registry: CollectorRegistry) -> Counter[str]:
    """Acknowledged events of this process by record."""
    samples = [sample for family in registry.collect() for sample in family.samples]
    return Counter(
        {
            sample.labels["record"]: int(sample.value)
            for sample in samples
            if sample.name == "trimtab_producer_events_total" and sample.labels["fate"] == "acknowledged"
        }
    )


def _as_text(report: dict[str, Any]) -> str:
    slices = ", ".join(f"{count} {name}" for name, count in sorted(report["slices"].items()))
    lifts = ", ".join(f"{name} {lift:+.1%}" for name, lift in report["true_lift"].items())
    return (
        f"world {report['world']}: {report['decisions']} decisions ({slices}) and {report['engagements']} engagements,"
        f" exploring {report['exploration_rate']:.4g} of the requests\n"
        f"true lift over production of what was served: {lifts}"
    )


def _written_text(written: dict[str, Any], into: Path) -> str:
    slices = ", ".join(f"{count} {name}" for name, count in sorted(written["slices"].items()))
    rewards = ", ".join(f"{name} {reward:.4g}" for name, reward in written["mean_reward"].items())
    return (
        f"world {written['world']}: {written['decisions']} decisions ({slices}), of which {written['logged']} are in"
        f" {len(written['files'])} files in {into}\n"
        f"mean rewards: {rewards}"
    )


def _truth_text(told: dict[str, Any]) -> str:
    safe = (
        f"{name} {min(alphas):.2f} to {max(alphas):.2f}" if alphas else f"{name} none"
        for name, alphas in told["safe_alphas"].items()
    )
    return (
        f"{told['world']}: {told['summary']}\n"
        f"with this experiment's arms, the smaller of the two lifts is {told['best_static']:+.1%} for the best static"
        f" arm, and {told['best_chosen']:+.1%} for the best arm of each request at α = {told['best_alpha']:.2f}"
        f" ({told['without_histories']:+.1%} without what histories tell)\n"
        f"{told['degrading']} of 25 α make an objective worse; α that make none worse: {', '.join(safe)}\n"
        f"under production users hide something in {told['hides_per']['session']:.2%} of the sessions and on"
        f" {told['hides_per']['user-day']:.2%} of the user-days"
    )
