"""A forked child counts from zero, and no lock of its parent blocks it."""

from __future__ import annotations

import threading

from prometheus_client import CollectorRegistry, generate_latest

from monitoring.metrics import ProducerMetrics, ServingMetrics
from tests.components.forking import in_child, outcome_of

EVENTS = "trimtab_producer_events_total"
LABELS = {"record": "Request", "fate": "dropped"}


def count_in_both() -> dict[str, list[float | None]]:
    """A thread of the parent holds every lock of the library during the fork."""
    registry = CollectorRegistry()
    producer, serving = ProducerMetrics(registry), ServingMetrics(registry)
    producer.events.labels(**LABELS).inc(5)
    serving.decision_seconds.observe(0.1)
    producer.delivering.set(0)

    def seen() -> list[float | None]:
        producer.events.labels(**LABELS).inc()
        serving.decision_seconds.observe(0.1)
        generate_latest(registry)
        names: list[tuple[str, dict[str, str]]] = [
            (EVENTS, LABELS),
            ("trimtab_serving_decision_seconds_count", {}),
            ("trimtab_producer_delivering", {}),
        ]
        return [registry.get_sample_value(name, labels) for name, labels in names]

    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        value = producer.events.labels(**LABELS)._value
        with registry._lock, producer.events._lock, value._lock, serving.decision_seconds._sum._lock:
            held.set()
            release.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(60)
    child = in_child(seen)
    release.set()
    holder.join()
    return {"child": child, "parent": seen()}


def test_child_and_parent_count_for_themselves() -> None:
    assert outcome_of(count_in_both) == {"child": [1.0, 1.0, 1.0], "parent": [6.0, 2.0, 0.0]}
