"""The log rates above the experiment file's that serving nodes announce while they draw with them. Pure."""

from __future__ import annotations

from event_schemas.experiment import Experiment
from event_schemas.exploration import ExplorationSettings
from event_schemas.units import MINUTE_MS
from producers.loggers.exploration_notice import RAISED_EVERY_MS

SLACK_MS = 2 * MINUTE_MS
"""How much the clocks of nodes, brokers and the source's writers may differ, and an announcement may be under way."""


class RaisedLogRates:
    """Which log rate may have been in force for the request of an engagement.

    A node announces a raised rate when it begins to draw with it, and again every minute until it ends. The topic is
    compacted: of each rate only the last announcement remains for certain. So it is known until when a rate held, not
    since when. It counts for every earlier time as well: an engagement too many ends as an orphan, one too few costs a
    reward.
    """

    def __init__(self, own: ExplorationSettings, window_ms: int) -> None:
        """`own` are the settings of the experiment file; `window_ms` is how long after a request's draw an engagement
        with it may still count, with the time between two announcements.
        """
        self._own = own
        self._window_ms = window_ms
        self._last: dict[float, int] = {}

    @classmethod
    def of(cls, experiment: Experiment) -> RaisedLogRates:
        """Those of an experiment; the window is longest attribution + lateness + a minute between announcements + 2."""
        return cls(experiment.exploration, experiment.window_ms + RAISED_EVERY_MS + SLACK_MS)

    def note(self, settings: ExplorationSettings, announced: int) -> None:
        """Takes note of settings that a node announced at this time (ms); those of other draws mean nothing here."""
        if settings.log_rate > self._own.log_rate and _coin(settings) == _coin(self._own):
            self._last[settings.log_rate] = max(announced, self._last.get(settings.log_rate, announced))

    def highest(self, time: int | None) -> float:
        """The highest log rate that a request may have been drawn with whose engagement is of this time (ms).

        Without a time, the highest of all that were announced.
        """
        held = (rate for rate, last in self._last.items() if time is None or time <= last + self._window_ms)
        return max(held, default=self._own.log_rate)


def _coin(settings: ExplorationSettings) -> tuple[str, ...]:
    """What the coin `log` depends on; with the same, a higher rate logs all that a lower one logs."""
    return settings.action_space, settings.salt, settings.unit, settings.sampled_by
