"""The progress of `trimtab learn` on stderr: live lines on a terminal, elsewhere a log line for each stage of a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from rich.console import Console

    from learner.learner_run import RunObserver

INGEST = "ingest"
STAGES = (INGEST, "window", "train", "evaluate", "gate", "publish")
"""The stages that say when they end; what others tell is a line at once."""
log = structlog.get_logger(__name__)


@contextmanager
def run_progress(clock: Callable[[], float] = time.monotonic) -> Iterator[RunObserver]:
    """What to call at each stage, after each epoch and at the end of a stage; `clock` is in seconds."""
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal:
        with _live_lines(console) as observer:
            yield observer
    else:
        from learner.learner_run import RunObserver

        lines = _LogLines(clock)
        yield RunObserver(lines.stage, done=lines.done)


class _LogLines:
    """A line for each stage that ends, with its rows and seconds, and one for each remark beside them.

    Every look at the topic is an ingest: the first one is told, and later the newest one before a run, if it brought
    rows; its seconds are then those of all looks since.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began: dict[str, float] = {}
        self._details: dict[str, str] = {}
        self._ingest: tuple[int, float] | None = None
        self._told: int | None = None

    def stage(self, name: str, detail: str) -> None:
        """A stage begins, or says more of itself."""
        if name != INGEST:
            self._tell_ingest()
        if name not in STAGES:
            log.info(name, detail=detail)
            return
        self._began.setdefault(name, self._clock())
        self._details[name] = detail

    def done(self, name: str, rows: int) -> None:
        """A stage ends."""
        seconds = self._clock() - self._began.pop(name, self._clock())
        if name != INGEST:
            self._line(name, rows, seconds)
            return
        self._ingest = rows, seconds + (0.0 if self._ingest is None else self._ingest[1])
        if self._told is None and INGEST in self._details:
            self._tell_ingest()

    def _tell_ingest(self) -> None:
        if self._ingest is None or self._ingest[0] == self._told or INGEST not in self._details:
            return
        self._line(INGEST, *self._ingest)
        self._told, self._ingest = self._ingest[0], None

    def _line(self, name: str, rows: int, seconds: float) -> None:
        log.info(name, detail=self._details.get(name, ""), rows=rows, seconds=round(seconds, 3))


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
