"""`python -m tests.chaos.soak`: steady traffic with random faults for a long time; checks that memory does not grow."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from tests.chaos.chaos_run import run_schedule
from tests.chaos.command_line import console, main
from tests.chaos.fault_table import markdown, passed, print_table
from tests.chaos.fragile_broker import FragileBroker
from tests.chaos.judgement import History, Verdict
from tests.chaos.memory_slope import MemorySlope, slopes
from tests.chaos.run_charts import lag_chart, memory_chart
from tests.chaos.schedule import Schedule, parse_schedule
from tests.chaos.stage import Place

RESULTS = Path("var/chaos")
WITNESS = "worker-1"
"""This worker gets no faults, so that its memory can be observed from the first minute to the last."""
FIRST_FAULT_SECONDS, LEAST_PAUSE, LONGEST_PAUSE = 12.0, 12.0, 40.0
LEAST_JUDGED_SECONDS = 1_200.0
MOST_GROWTH = 20.0
"""Allowed growth in MB/hour; compared with the lower end of the interval, and only in runs of 20 minutes or more."""
MENU: tuple[tuple[float, dict[str, Any]], ...] = (
    (4.0, {"do": "kill", "whom": "worker-2", "lasting": 2.0}),
    (4.0, {"do": "kill", "whom": "worker-3", "lasting": 2.0}),
    (1.5, {"do": "freeze", "whom": "worker-2", "lasting": 6.0}),
    (1.5, {"do": "stop", "whom": "worker-3", "lasting": 3.0}),
    (1.5, {"do": "kill", "whom": "producer-1", "lasting": 1.0}),
    (1.0, {"do": "slow", "latency": 0.2, "lasting": 6.0}),
    (0.7, {"do": "cut", "lasting": 3.0}),
    (0.5, {"do": "kill", "whom": "broker", "lasting": 3.0}),
)
"""The faults to draw from, with their weights."""


@dataclass(frozen=True)
class SoakResult:
    """The verdict, and the slope of the witness's memory."""

    verdict: Verdict
    history: History
    slopes: tuple[MemorySlope, ...]

    @property
    def witness(self) -> MemorySlope | None:
        """The slope of the worker that had no faults."""
        return next((slope for slope in self.slopes if slope.life.startswith(f"{WITNESS}#")), None)

    @property
    def grows(self) -> bool:
        """Whether the witness's memory certainly grows by more than is allowed."""
        slope = self.witness
        return slope is not None and slope.seconds >= LEAST_JUDGED_SECONDS and slope.lower > MOST_GROWTH


def soak(
    minutes: Annotated[float, typer.Option(min=0.5, help="Duration of the traffic in minutes.")] = 30.0,
    seed: Annotated[int, typer.Option(help="Random seed of the faults and the traffic.")] = 7,
) -> None:
    """Run three workers under steady traffic and random faults, then reconcile everything and check memory growth.

    Example: python -m tests.chaos.soak --minutes 30
    """
    out = console()
    schedule = soak_schedule(minutes, seed)
    out.rule(f"{minutes:g} minutes, {len(schedule.steps)} faults, seed {seed}", align="left")
    result = _run(schedule, seed, minutes, out)
    _write(result, schedule)
    print_table([result.verdict], out)
    for slope in result.slopes:
        out.print(str(slope), highlight=False)
    out.print(f"details: {RESULTS}/soak.md, soak.json, soak-memory.svg, soak-lag.svg", highlight=False)
    if result.grows:
        out.print(f"{WITNESS} grows by more than {MOST_GROWTH:g} MB/hour", style="red")
    if result.grows or not passed([result.verdict]):
        raise typer.Exit(1)


def soak_schedule(minutes: float, seed: int) -> Schedule:
    """Random faults from MENU, each after the previous one is undone; the same seed gives the same faults."""
    seconds = minutes * 60.0
    table = {
        "title": f"{minutes:g} minutes of random faults",
        "traffic": {"rate": 25.0, "seconds": seconds},
        "steps": list(_steps(seconds, random.Random(seed))),
    }
    return parse_schedule("soak", table)


def _steps(seconds: float, draw: random.Random) -> Iterator[dict[str, Any]]:
    weights, faults = zip(*MENU, strict=True)
    at = FIRST_FAULT_SECONDS
    while at < seconds:
        [fault] = draw.choices(faults, weights)
        yield {"at": round(at, 1), **fault}
        at += fault["lasting"] + draw.uniform(LEAST_PAUSE, LONGEST_PAUSE)


def _run(schedule: Schedule, seed: int, minutes: float, out: Console) -> SoakResult:
    directory = Path(tempfile.mkdtemp(prefix="trimtab-soak-"))
    with FragileBroker(directory) as broker:
        place = Place(broker, directory, seed)
        verdict, history = run_schedule(
            schedule,
            place,
            lambda line: out.print(f"  {line}", highlight=False),
            audit_seconds=minutes * 60.0 / 3.0,
        )
    if passed([verdict]):
        shutil.rmtree(directory)
    else:
        out.print(f"logs of every process: {directory}", highlight=False)
    return SoakResult(verdict, history, tuple(slopes(history.samples)))


def _write(result: SoakResult, schedule: Schedule) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    content = {
        "verdict": result.verdict.as_dict(),
        "memory": [asdict(slope) for slope in result.slopes],
        "grows": result.grows,
        "schedule": schedule.model_dump(mode="json"),
    }
    (RESULTS / "soak.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    lines = [markdown([result.verdict]), "## memory", "", *(f"- {slope}" for slope in result.slopes)]
    (RESULTS / "soak.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    memory = memory_chart(result.history, result.witness, "resident memory of the join workers")
    (RESULTS / "soak-memory.svg").write_text(memory, encoding="utf-8")
    (RESULTS / "soak-lag.svg").write_text(lag_chart(result.history, "lag under random faults"), encoding="utf-8")


if __name__ == "__main__":
    main(soak)
