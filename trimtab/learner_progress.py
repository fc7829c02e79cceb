"""The progress of `trimtab learn` on stderr: live lines on a terminal, elsewhere a log line for each stage of a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from rich.console import Console

    from learner.learner_run import RunObserver

INGEST = "ingest"
"""The stage that is told of at every look at the topic; the log has it at first and then before each run with more."""
log = structlog.get_logger(__name__)


@contextmanager
def run_progress() -> Iterator[RunObserver]:
    """What to call at each stage and after each epoch."""
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal:
        with _live_lines(console) as observer:
            yield observer
    else:
        yield _log_lines()


def _log_lines() -> RunObserver:
    from learner.learner_run import RunObserver

    ingested = logged = ""

    def stage(name: str, detail: str) -> None:
        nonlocal ingested, logged
        if name == INGEST:
            ingested = detail
        if ingested != logged and (name != INGEST or not logged):
            log.info(INGEST, detail=ingested)
            logged = ingested
        if name != INGEST:
            log.info(name, detail=detail)

    return RunObserver(stage)


@contextmanager
def _live_lines(console: Console) -> Iterator[RunObserver]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from learner.learner_run import RunObserver
    from learner.network import TrainingProgress

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=None)

        def stage(name: str, detail: str) -> None:
            progress.update(task, description=f"{name}: {detail}"[:100], total=None, completed=0)

        def training(at: TrainingProgress) -> None:
            progress.update(task, description=f"train: loss {at.loss:.4f}", total=at.epochs, completed=at.epoch)

        yield RunObserver(stage, training)
