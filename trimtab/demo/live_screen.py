"""The demo's screen: one line per step, and a live one for the current step."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn


@dataclass
class Step:
    """The current step; `show` changes the text after its name."""

    progress: Progress
    task: TaskID
    detail: str = ""

    def show(self, detail: str) -> None:
        """Shows `detail` after the step's name."""
        self.detail = detail
        self.progress.update(self.task, detail=detail)


@dataclass
class LiveScreen:
    """Shows steps on a console; `durations` lists (act, step, seconds) of the finished ones, in order."""

    console: Console
    durations: list[tuple[str, str, float]] = field(default_factory=list)
    act: str = ""

    def begin_act(self, act: str, sentence: str) -> None:
        """Prints an act's heading."""
        self.act = act
        self.console.print(f"\n[bold]{act}[/bold]  {sentence}", highlight=False)

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Shows a step, with a spinner on a terminal; at its end, prints one line with its time and last detail."""
        began = time.monotonic()
        columns = (SpinnerColumn(), TextColumn(name), TextColumn("[dim]{task.fields[detail]}"), TimeElapsedColumn())
        progress = Progress(*columns, console=self.console, transient=True)
        step = Step(progress, progress.add_task(name, total=None, detail=""))
        with progress if self.console.is_terminal else nullcontext():
            yield step
        seconds = time.monotonic() - began
        self.durations.append((self.act, name, seconds))
        self.console.print(f"  [green]✓[/green] {seconds:5.1f} s  {name}  [dim]{step.detail}[/dim]", highlight=False)
