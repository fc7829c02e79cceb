"""Tells the readers of `explorations` at which raised log rates this node logs, or soon will."""

from collections.abc import Collection

from event_schemas.exploration import ExplorationSettings
from producers.loggers import RAISED_EVERY_MS, DecisionLogger, ExplorationPlan


class RaisedRates:
    """Keeps the notices of a node's logger in step with its experiments. Used by one thread.

    A raised rate is told again every RAISED_EVERY_MS, so that readers know until when it held. A rate that is not above
    the file's own is none.
    """

    def __init__(self, logger: DecisionLogger, topic: str, settings: ExplorationSettings) -> None:
        self._logger, self._topic, self._settings = logger, topic, settings
        self._told: dict[float, str] = {}

    def tell(self, rates: Collection[float]) -> None:
        """Tells of these rates, and no longer of others."""
        raised = {rate for rate in rates if rate > self._settings.log_rate}
        for rate in raised - self._told.keys():
            settings = self._settings.with_log_rate(rate)
            self._logger.tell_exploration(ExplorationPlan(self._topic, settings, every_ms=RAISED_EVERY_MS))
            self._told[rate] = settings.digest
        for rate in self._told.keys() - raised:
            self._logger.untell_exploration(self._told.pop(rate))
