"""A command's progress for whoever watches it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Protocol


class ShowProgress(Protocol):
    """Says how far a command is."""

    def __call__(self, doing: str, done: int, total: int, note: str = "") -> None:
        """What it is doing, and that `done` of `total` is done; the `note` stands beside the bar."""


@contextmanager
def live_bar(*, stays: bool = True) -> Iterator[ShowProgress]:
    """A live bar on stderr; nothing where stderr is no terminal. With `stays` it is left there at the end."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"))
    bar = Progress(*columns, TimeRemainingColumn(), console=console, transient=not stays)
    with bar if console.is_terminal else nullcontext():
        task = bar.add_task("", total=None, note="")

        def show(doing: str, done: int, total: int, note: str = "") -> None:
            bar.update(task, description=doing, completed=done, total=max(total, 1), note=note)

        yield show
