"""`python -m benchmarks.join_versions --base PATH`: what the schema versions of events cost the join.

The base is another checkout, whose join reads version 1. It and this checkout join the same events in memory, without
Kafka, in turns: the base in version 1, this one in version 1, in version 2 as producers write it (with the digest of
the exploration), in version 2 with every new field filled that a grid may have, and in version 2 with a vector of a box
in every decision, which the join compares with its density. Each run is a process of its own, which joins twice, and
the second time counts: how a process's memory lies alone makes a difference of a few percent.
Figures are medians over the rounds, of CPU time and of its ratio to the base's in the same round.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import polars as pl
import typer

from benchmarks.bench_broker import EXPERIMENT, tell
from benchmarks.checkout_process import ROOT, CheckoutProcess, base_checkout
from benchmarks.command_line import report, run_command
from benchmarks.event_stream import EventStream, StreamSettings
from benchmarks.results_folder import RESULTS, append_result
from event_schemas import records as r
from event_schemas.action_space import VECTOR
from event_schemas.codec import Codec
from event_schemas.errors import TrimtabError
from event_schemas.experiment import load_experiment
from event_schemas.registry import Registry

SCRIPT = Path(__file__).with_name("version_run.py")
PACKAGES = ("event_schemas", "stream_processors")
DIGEST = "0123456789abcdef" * 4
DRAWN: Mapping[str, Mapping[str, Any]] = {r.PROPENSITY: {"exploration": DIGEST}}
WEIGHTS = [1.0, 1.0]
"""As many as the experiment tunes."""
FILLED: Mapping[str, Mapping[str, Any]] = {
    r.REQUEST: {"previous": [{"event_time": 1_700_000_000_000 - 60_000 * age, "weights": WEIGHTS} for age in range(5)]},
    r.ACTION: {"shadow_weights": WEIGHTS},
    **DRAWN,
}
BOX_EXPERIMENT = Path(__file__).with_name("homefeed_box.toml")


class RunsDiffer(TrimtabError):
    """The runs did not give the same numbers of examples and dead letters."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the runs that are compared: which checkout, in which version its events are, with which fields in place
    of the stream's own, and whose rules the join follows."""

    name: str
    checkout: Path
    version: int
    added: Mapping[str, Mapping[str, Any]]
    experiment: Path = EXPERIMENT


class FillingCodec(Codec):
    """Writes records in one version, with fields of its own."""

    def __init__(self, version: int, added: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__(Registry(entry for entry in Registry.bundled().entries() if entry.version <= version))
        self._added = added

    def encode_datum(self, name: str, record: Mapping[str, Any]) -> bytes:
        return super().encode_datum(name, {**record, **self._added.get(name, {})})


def variants(base: Path) -> list[Variant]:
    """The runs to compare; raises BaseUnusable unless `base` is a checkout."""
    return [
        Variant("base_v1", base_checkout(base, PACKAGES), 1, {}),
        Variant("v1", ROOT, 1, {}),
        Variant("v2", ROOT, 2, DRAWN),
        Variant("v2_filled", ROOT, 2, FILLED),
        Variant("v2_box", ROOT, 2, vectors(BOX_EXPERIMENT), BOX_EXPERIMENT),
    ]


def vectors(experiment: Path) -> Mapping[str, Mapping[str, Any]]:
    """The fields that make a decision of the stream the vector of a box."""
    space = load_experiment(experiment).action_space
    action = {"arm": VECTOR, "weights": space.weights[space.production_arm].tolist(), "action_space": space.digest}
    return {r.ACTION: action, r.PROPENSITY: {**DRAWN[r.PROPENSITY], "log_density": 0.0}}


def write_log(variant: Variant, requests: int, path: Path) -> None:
    """Write the events of a variant, and the heartbeat that closes all windows, to a file."""
    stream = EventStream(
        load_experiment(EXPERIMENT), FillingCodec(variant.version, variant.added), StreamSettings(requests)
    )
    rows: list[tuple[int, bytes | None, bytes]] = []
    rows += [(event.arrival_ms, event.key, event.value) for event in stream.events()]
    rows.append((stream.latest_ms + 2 * stream.experiment.window_ms, None, stream.heartbeat()))
    schema = {"append_time": pl.Int64, "key": pl.Binary, "value": pl.Binary}
    pl.DataFrame(rows, schema, orient="row").write_ipc(path)


def measure(chosen: Sequence[Variant], requests: int, rounds: int) -> dict[str, Any]:
    """Run the variants in turns, every other round in reverse order.

    Raises RunsDiffer when they do not give as many examples and dead letters as the first one.
    """
    found: dict[str, list[dict[str, Any]]] = {variant.name: [] for variant in chosen}
    with tempfile.TemporaryDirectory() as folder:
        for variant in chosen:
            write_log(variant, requests, Path(folder) / variant.name)
        for turn in range(rounds):
            for variant in chosen if turn % 2 == 0 else reversed(chosen):
                arguments = [str(variant.experiment), str(Path(folder) / variant.name)]
                with closing(CheckoutProcess("join", variant.checkout, SCRIPT, arguments)) as run:
                    run.measure("go")
                    figures = run.measure("go")
                tell(f"round {turn + 1} of {rounds}: {variant.name} {figures['cpu_s']:.2f} CPU s")
                found[variant.name].append(figures)
    return compared(found) | {"requests": requests, "rounds": rounds}


def compared(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """For each variant its median CPU seconds and the median ratio to the first one; raises RunsDiffer."""
    outputs = {(run["examples"], run["dead_letters"]) for runs in found.values() for run in runs}
    if len(outputs) != 1:
        raise RunsDiffer(f"examples and dead letters: {sorted(outputs)}", fix="find out which run is wrong")
    ((examples, letters),) = outputs
    base = next(iter(found.values()))
    return {
        "examples": examples,
        "dead_letters": letters,
        "variants": {name: _medians(runs, base) for name, runs in found.items()},
    }


def _medians(runs: Sequence[Mapping[str, Any]], base: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    ratios = [run["cpu_s"] / other["cpu_s"] for run, other in zip(runs, base, strict=True)]
    return {
        "cpu_s": round(median(run["cpu_s"] for run in runs), 3),
        "validation_cpu_s": round(median(run["validation_cpu_s"] for run in runs), 3),
        "ratio_to_base": round(median(ratios), 4),
    }


def main(
    base: Annotated[Path, typer.Option(help="A checkout of the commit to compare with.")],
    requests: Annotated[int, typer.Option(min=1, help="Requests in the log; about 4.5 events each.")] = 10_000,
    rounds: Annotated[int, typer.Option(min=1, help="Number of rounds; medians are reported.")] = 25,
    results: Annotated[Path, typer.Option(help="Folder for the figures.")] = RESULTS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Measure what the schema versions of events cost the join, compared with another checkout.

    Example: python -m benchmarks.join_versions --base ../before --json
    """
    result = measure(variants(base), requests, rounds)
    append_result(results, "join_versions", result)
    report(result, as_json)


if __name__ == "__main__":
    run_command(main)
