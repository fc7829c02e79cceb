"""What a training tells of itself, while it runs and at its end; who only shows it need not load torch."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """State after an epoch: its number, the number of epochs, and its mean loss."""

    epoch: int
    epochs: int
    loss: float


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """Mean loss by epoch, optimiser steps taken, wall time; `threads` of torch, which decide how sums are rounded."""

    losses: tuple[float, ...]
    steps: int
    seconds: float
    threads: int = 1


OnProgress = Callable[[TrainingProgress], None]
