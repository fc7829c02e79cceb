"""Every metric of the contract exists, once, under its exact name and labels."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from monitoring import metrics

GROUPS = (
    metrics.ProducerMetrics,
    metrics.BridgeMetrics,
    metrics.JoinMetrics,
    metrics.SupervisorMetrics,
    metrics.LearnerMetrics,
    metrics.ServingMetrics,
    metrics.DriftMetrics,
)
CONTRACT = {
    "trimtab_serving_decisions_total": ("slice", "reason"),
    "trimtab_serving_decision_seconds": (),
    "trimtab_serving_policy_info": ("version", "channel"),
    "trimtab_serving_policy_age_seconds": (),
    "trimtab_drift_statistic": ("head",),
    "trimtab_drift_alarm": ("head",),
    "trimtab_join_events_total": ("fate",),
    "trimtab_join_examples_total": (),
    "trimtab_join_pending_requests": ("partition",),
    "trimtab_join_watermark_timestamp_seconds": ("partition",),
    "trimtab_join_processed_lag": ("partition",),
    "trimtab_join_committed_lag": ("partition",),
    "trimtab_join_rebuild_records": ("partition",),
    "trimtab_join_outstanding_outputs": (),
    "trimtab_join_write_seconds": (),
    "trimtab_join_workers_running": (),
    "trimtab_join_worker_restarts_total": ("worker",),
    "trimtab_learner_window_examples": ("split",),
    "trimtab_learner_last_success_timestamp_seconds": (),
    "trimtab_learner_gate_total": ("verdict", "reason"),
    "trimtab_propensity_check_pvalue": (),
    "trimtab_producer_events_total": ("record", "fate"),
    "trimtab_bridge_events_total": ("fate",),
    "trimtab_bridge_lag": ("topic", "partition"),
}


def defined() -> dict[str, tuple[str, ...]]:
    registry = CollectorRegistry()
    objects = [metric for group in GROUPS for metric in vars(group(registry)).values()]
    return {
        metric._name + ("_total" if metric._type == "counter" else ""): tuple(metric._labelnames) for metric in objects
    }


@pytest.mark.parametrize("name", CONTRACT)
def test_the_contract_s_metric_exists_with_its_labels(name: str) -> None:
    assert defined()[name] == CONTRACT[name]


def test_all_groups_fit_into_one_registry() -> None:
    assert len(defined()) == len(set(defined()))
    assert all(name.startswith("trimtab_") for name in defined())
