"""Every event handed in has one fate, in the counts and in the metric."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from prometheus_client import CollectorRegistry

from monitoring.metrics import ProducerMetrics
from producers.delivery.delivery_ledger import DeliveryCounts, DeliveryFate, DeliveryLedger
from tests.components.forking import in_child, outcome_of


def test_counts_balance_and_show_what_is_in_flight() -> None:
    ledger = DeliveryLedger()
    fates: tuple[DeliveryFate, ...] = ("acknowledged", "spooled", "dropped")
    for _ in range(4):
        ledger.hand_in("Request")
    for fate in fates:
        ledger.settle("Request", fate)
    assert ledger.counts() == DeliveryCounts(handed_in=4, acknowledged=1, spooled=1, dropped=1)
    assert ledger.counts().in_flight == 1


def test_what_leaves_the_spool_is_no_part_of_the_balance() -> None:
    ledger = DeliveryLedger()
    ledger.hand_in("Action")
    ledger.settle("Action", "spooled")
    ledger.resent("Action")
    assert ledger.counts() == DeliveryCounts(handed_in=1, spooled=1, resent=1)
    assert ledger.counts().in_flight == 0


def test_the_metric_says_the_same_by_record() -> None:
    registry = CollectorRegistry()
    ledger = DeliveryLedger(ProducerMetrics(registry))
    ledger.hand_in("Engagement")
    ledger.settle("Engagement", "dropped")

    def exported(fate: str) -> float | None:
        labels = {"record": "Engagement", "fate": fate}
        return registry.get_sample_value("trimtab_producer_events_total", labels)

    assert (exported("handed_in"), exported("dropped"), exported("acknowledged")) == (1, 1, None)


def test_threads_do_not_lose_counts() -> None:
    ledger = DeliveryLedger()

    def log(_: int) -> None:
        ledger.hand_in("Request")
        ledger.settle("Request", "acknowledged")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(log, range(4_000)))
    assert ledger.counts() == DeliveryCounts(handed_in=4_000, acknowledged=4_000)


def test_what_is_given_up_is_dropped_and_a_late_report_changes_nothing() -> None:
    registry = CollectorRegistry()
    ledger = DeliveryLedger(ProducerMetrics(registry))
    for record in ("Request", "Request", "Action"):
        ledger.hand_in(record)
    ledger.settle("Request", "acknowledged")
    ledger.give_up()
    assert ledger.counts() == DeliveryCounts(handed_in=3, acknowledged=1, dropped=2)
    ledger.settle("Action", "acknowledged")
    ledger.give_up()
    assert ledger.counts() == DeliveryCounts(handed_in=3, acknowledged=1, dropped=2)
    labels = {"record": "Action", "fate": "dropped"}
    assert registry.get_sample_value("trimtab_producer_events_total", labels) == 1


def test_the_spool_s_other_fates_are_no_part_of_the_balance() -> None:
    ledger = DeliveryLedger()
    ledger.adopted({"Request": 3, "Tally": 2})
    ledger.refused("Tally")
    ledger.damaged({"Request": 1, "unknown": 3})
    assert ledger.counts() == DeliveryCounts(adopted=5, refused=1, damaged=4)


def count_in_both() -> list[dict[str, Any]]:
    """The parent's lock is held while it forks."""
    ledger = DeliveryLedger()
    ledger.hand_in("Request")

    def child() -> dict[str, Any]:
        ledger.hand_in("Action")
        ledger.give_up()
        ledger.settle("Request", "acknowledged")
        return asdict(ledger.counts())

    with ledger._lock:
        told = in_child(child)
    ledger.settle("Request", "acknowledged")
    return [told, asdict(ledger.counts())]


def test_a_child_begins_at_zero() -> None:
    child, parent = (DeliveryCounts(**counts) for counts in outcome_of(count_in_both))
    assert child == DeliveryCounts(handed_in=1, dropped=1)
    assert parent == DeliveryCounts(handed_in=1, acknowledged=1)
