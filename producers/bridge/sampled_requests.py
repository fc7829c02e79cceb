"""Which requests a node can have logged, from what an engagement says of them. Pure."""

from __future__ import annotations

from collections.abc import Callable

from event_schemas.experiment_sections import ExperimentSpec
from event_schemas.exploration_units import log_unit_of, unit_of
from event_schemas.slices import can_be_logged
from event_schemas.user_ids import person
from producers.bridge.raised_log_rates import RaisedLogRates


class SampledRequests:
    """Answers for one experiment; it may say yes where no node has logged the request, and never no where one has."""

    def __init__(self, rates: ExperimentSpec, raised: RaisedLogRates | None = None) -> None:
        self._rates = rates
        self._raised = raised

    def may_be_logged(self, request_id: str, user_id: str | None, time: Callable[[], int | None]) -> bool:
        """Whether a node can have logged this request, whose engagement has this user and (if it is asked) time (ms).

        Sampled by user, the coin is that of the request's user, whom an engagement with a user names. But the request
        may have come before the user was known; then serving drew for its exploration unit. Whether an engagement
        without a user belongs to a request without one is not known, so it always passes.
        """
        units = self._log_units(request_id, user_id)
        if not units:
            return True
        own = self._rates.log_rate
        if self._drawn(request_id, units, own):
            return True
        if self._raised is None or (highest := self._raised.highest(time())) <= own:
            return False
        return self._drawn(request_id, units, highest)

    def _log_units(self, request_id: str, user_id: str | None) -> tuple[str, ...]:
        """What the coin `log` can have been drawn for; empty if that is not known."""
        rates = self._rates
        if rates.sampled_by != "user":
            return (log_unit_of(request_id, None, rates.sampled_by, rates.exploration_unit),)
        user = person(user_id)
        return () if user is None else (user, unit_of(request_id, rates.exploration_unit))

    def _drawn(self, request_id: str, log_units: tuple[str, ...], log_rate: float) -> bool:
        rates = self._rates
        unit = unit_of(request_id, rates.exploration_unit)
        return any(
            can_be_logged(
                rates.salt,
                unit,
                exploration_rate=rates.exploration_rate,
                control_rate=rates.control_rate,
                log_rate=log_rate,
                log_unit=log_unit,
            )
            for log_unit in log_units
        )
