"""A node's report is plain JSON."""

from __future__ import annotations

import json

from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from monitoring.metrics import ServingMetrics
from policy_store.backends.store import NodeStatus
from policy_store.decisions.node_claims import node_claims
from policy_store.records.channel_record import Channel
from serving_agent.decide.fallback_reason import FallbackReason
from serving_agent.pickup.channel_state import ChannelState, JudgedRecord, Told
from serving_agent.pickup.checkpoint_pickup import PickupResult, PickupVerdict
from serving_agent.pickup.node_report import NodeReport, SnapshotMetrics, channel_report, log_pickup, refusal_detail
from tests.policy_store.control_samples import stop
from tests.serving_samples import NOW, loaded, preferring, serving_experiment, snapshot_of

EXPERIMENT = serving_experiment()


def test_report_is_json() -> None:
    policy = loaded(EXPERIMENT, preferring(EXPERIMENT, repin=1), "v7")
    snapshot = snapshot_of(EXPERIMENT, stable=policy, withheld=FallbackReason.DRIFT)
    report = NodeReport("n1", NOW, NOW - 5, snapshot, {"shadow": channel_report(ChannelState())}, kill_file=True)
    told = json.loads(json.dumps(report.as_dict()))
    assert (told["node_id"], told["versions"], told["withheld"]) == ("n1", {"stable": "v7"}, "drift")
    assert told["killed"], "the file kills as the store does"
    assert told["channels"]["shadow"] == {
        "version": None,
        "revision": 0,
        "stale": False,
        "result": None,
        "notes": [],
        "judged": None,
    }


def test_a_heartbeat_holds_what_publishing_and_resuming_need() -> None:
    kill = stop(5)
    report = NodeReport(
        *("n1", NOW, NOW - 5, snapshot_of(EXPERIMENT), {}),
        epoch=2,
        revisions={"preference": 7},
        open_kills={kill.hash: kill.signed},
    )
    [claims] = node_claims([NodeStatus("n1", json.loads(json.dumps(report.as_dict())))])
    assert (claims.epoch, claims.revisions, claims.open_kills) == (2, {"preference": 7}, {kill.hash: kill.signed})


def test_only_refusals_are_audited() -> None:
    accepted = ChannelState(told=Told(PickupVerdict(PickupResult.ACCEPTED)))
    assert [refusal_detail("n1", Channel.SHADOW, state) for state in (ChannelState(), accepted)] == [None, None]
    refused = ChannelState(told=Told(PickupVerdict(PickupResult.Q_DRIFT, ("PSI 0.9",)), 7, JudgedRecord("v8", 4)))
    detail = refusal_detail("n1", Channel.SHADOW, refused)
    assert detail is not None
    assert (detail["node"], detail["channel"], detail["result"], detail["notes"]) == (
        "n1",
        "shadow",
        "q_drift",
        ["PSI 0.9"],
    )
    assert detail["judged"] == {"version": "v8", "revision": 4}


def test_a_log_line_says_what_was_refused_and_why() -> None:
    drifted = PickupVerdict(PickupResult.Q_DRIFT, ("PSI 0.9", "PSI 0.8"))
    unread = PickupVerdict(PickupResult.UNVERIFIED, ("not a record",))
    with capture_logs() as lines:
        log_pickup("n1", Channel.SHADOW, ChannelState())
        log_pickup("n1", Channel.SHADOW, ChannelState(told=Told(drifted, 7, JudgedRecord("v8", 4))))
        log_pickup("n1", Channel.SHADOW, ChannelState(told=Told(unread)))
        log_pickup("n1", Channel.SHADOW, ChannelState(told=Told(PickupVerdict(PickupResult.ACCEPTED))))
    assert [(line["log_level"], line.get("refused"), line["why"]) for line in lines] == [
        ("warning", "v8", "PSI 0.9; PSI 0.8"),
        ("warning", "a record that cannot be read", "not a record"),
        ("info", None, ""),
    ]


def test_it_is_known_since_when_a_version_is_in_force() -> None:
    shown, graph = SnapshotMetrics(None), preferring(EXPERIMENT, repin=1)
    v1, v2 = (loaded(EXPERIMENT, graph, version) for version in ("v1", "v2"))
    for now, parts in ((1, {"stable": v1}), (2, {"stable": v1, "canary": v2}), (3, {"stable": v2, "canary": v2})):
        shown.show(snapshot_of(EXPERIMENT, **parts), now)
    assert shown.since == {"stable": 3, "canary": 2}
    shown.show(snapshot_of(EXPERIMENT, canary=v2), 4)
    assert shown.since == {"canary": 2}


def test_metrics_forget_what_no_longer_serves() -> None:
    registry = CollectorRegistry()
    shown = SnapshotMetrics(ServingMetrics(registry))
    graph = preferring(EXPERIMENT, repin=1)
    for version in ("v1", "v2"):
        shown.show(snapshot_of(EXPERIMENT, stable=loaded(EXPERIMENT, graph, version)), NOW + 5_000)
    value = registry.get_sample_value
    assert value("trimtab_serving_policy_info", {"version": "v1", "channel": "stable"}) is None
    assert value("trimtab_serving_policy_info", {"version": "v2", "channel": "stable"}) == 1
    assert value("trimtab_serving_policy_age_seconds") == 5
