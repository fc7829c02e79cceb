"""Metrics that a forked child counts anew.

A metric of prometheus_client has locks, which a child inherits as they happen to be: one that another thread of the
parent held stays held for ever. And what the parent had counted is the parent's.
"""

from __future__ import annotations

from threading import Lock
from weakref import WeakSet

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from event_schemas.process_fork import renew_in_children


class MetricGroup:
    """The metrics of one stage: the attributes that a subclass sets, all in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        _registries.known.add(registry)
        renew_in_children(self)

    def after_fork(self) -> None:
        """Every metric begins anew: prometheus_client does not see to that by itself."""
        for metric in vars(self).values():
            if isinstance(metric, MetricWrapperBase):
                _begin_anew(metric)


class _Registries:
    """The registries of all groups, each with a lock of its own."""

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
