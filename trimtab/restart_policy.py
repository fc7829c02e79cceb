"""When to restart a failed process: the pause grows with each early failure; too many failures end the restarts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Limits for restarts, in seconds."""

    first_seconds: float = 1.0
    """Pause before the first restart; it doubles with every further one."""

    longest_seconds: float = 30.0
    """Longest pause."""

    steady_seconds: float = 60.0
    """If a process ran for this many seconds, its next failure counts as the first."""

    most: int = 10
    """Number of failures within the window after which the process is still restarted; one more ends the restarts."""

    window_seconds: float = 600.0
    """Length of the window in which failures are counted."""


class RestartHistory:
    """The failures of one process; `draw` gives numbers from [0, 1) for the jitter."""

    def __init__(self, policy: RestartPolicy, draw: Callable[[], float]) -> None:
        self._policy = policy
        self._draw = draw
        self._in_a_row = 0
        self._failures: deque[float] = deque()

    def pause(self, ran_for: float, now: float) -> float | None:
        """Notes a failure at `now` after running for `ran_for`; returns the pause before the restart, None for no more.

        The pause is drawn between half and all of its length, so that processes that failed together do not restart
        together.
        """
        policy = self._policy
        self._in_a_row = 1 if ran_for >= policy.steady_seconds else self._in_a_row + 1
        self._failures.append(now)
        while self._failures[0] <= now - policy.window_seconds:
            self._failures.popleft()
        if len(self._failures) > policy.most:
            return None
        length = min(policy.longest_seconds, policy.first_seconds * 2.0 ** min(self._in_a_row - 1, 30))
        return length * (0.5 + self._draw() / 2)
