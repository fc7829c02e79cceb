"""Metrics that start from zero in a forked child.

A metric of prometheus_client has locks. A forked child inherits their state, so a lock that another thread of the
parent held stays locked for ever. The child must not report the parent's counts either.
"""

from __future__ import annotations

from threading import Lock
from weakref import WeakSet

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from event_schemas.process_fork import renew_in_children
from monitoring.multiprocess_folder import require_multiprocess_folder


class MetricGroup:
    """The metrics of one stage: the attributes of a subclass, all in one registry.

    Raises SettingError for an unusable directory of prometheus_client's multi-process mode.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        require_multiprocess_folder()
        _registries.known.add(registry)
        renew_in_children(self)

    def after_fork(self) -> None:
        """Resets every metric; prometheus_client does not do this itself."""
        for metric in vars(self).values():
            if isinstance(metric, MetricWrapperBase):
                _begin_anew(metric)


class _Registries:
    """The registries of all groups; each has a lock that must be replaced in a child."""

    def __init__(self) -> None:
        self.known: WeakSet[CollectorRegistry] = WeakSet()
        renew_in_children(self)

    def after_fork(self) -> None:
        for registry in list(self.known):
            registry._lock = Lock()


_registries = _Registries()


def _begin_anew(metric: MetricWrapperBase) -> None:
    metric._lock = Lock()
    if metric._labelnames:
        metric._metrics = {}
    else:
        metric._metric_init()  # type: ignore[no-untyped-call]
