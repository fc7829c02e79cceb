"""When a failed process is started again: later each time it fails soon, and not any more when it fails too often."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Paces of restarting, in seconds."""

    first_seconds: float = 1.0
    """Pause before the first restart; it doubles with every further one."""

    longest_seconds: float = 30.0
    """The pause grows no longer than this."""

    steady_seconds: float = 60.0
    """A process that ran for so long is steady: its next failure counts as the first."""

    most: int = 10
    """More failures than this within the window are not restarted any more."""

    window_seconds: float = 600.0
    """How far back failures are counted."""


class RestartHistory:
    """The failures of one process; `draw` gives numbers from [0, 1) for the jitter."""

    def __init__(self, policy: RestartPolicy, draw: Callable[[], float]) -> None:
        self._policy = policy
        self._draw = draw
        self._in_a_row = 0
        self._failures: deque[float] = deque()

    def pause(self, ran_for: float, now: float) -> float | None:
        """It failed at `now` after running for `ran_for`: seconds until the next start, None when it is given up.

        The pause is between a half and the whole of its length, so that processes which failed together do not come
        back together.
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
