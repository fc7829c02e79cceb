"""What a heartbeat tells people, whoever wrote it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from policy_store.backends.store import NodeStatus
from serving_agent.decide.fallback_reason import FallbackReason
from serving_agent.pickup.checkpoint_pickup import PickupResult
from serving_agent.pickup.node_report import NodeReport
from tests.serving_samples import NOW, loaded, preferring, serving_experiment, snapshot_of
from trimtab.status.node_view import ACCEPTED, NodeView, Refusal, node_view

EXPERIMENT = serving_experiment()


def heartbeat(**report: Any) -> NodeStatus:
    """What a real node that serves v7 would have written."""
    policy = loaded(EXPERIMENT, preferring(EXPERIMENT, repin=1), "v7")
    snapshot = snapshot_of(EXPERIMENT, stable=policy, withheld=report.pop("withheld", None))
    made = NodeReport("n1", NOW, NOW - 5, snapshot, report.pop("channels", {}), **report)
    return NodeStatus("n1", json.loads(json.dumps(made.as_dict())))


def channel(result: PickupResult | None, *notes: str, stale: bool = False) -> dict[str, Any]:
    return {"version": "v7", "revision": 3, "stale": stale, "result": result and result.value, "notes": list(notes)}


def test_the_name_for_what_serves_is_the_nodes() -> None:
    assert PickupResult.ACCEPTED.value == ACCEPTED


def test_a_node_that_is_well() -> None:
    accepted = {"stable": channel(PickupResult.ACCEPTED, "insufficient data: few requests"), "canary": channel(None)}
    view = node_view(heartbeat(channels=accepted))
    assert view == NodeView("n1", {"stable": "v7"})
    assert (view.well, view.state(), view.notes()) == (True, "well", ())


def test_what_a_node_refused_and_what_does_not_work() -> None:
    view = node_view(
        heartbeat(
            channels={"canary": channel(PickupResult.Q_DRIFT, "PSI 0.9"), "stable": channel(None, stale=True)},
            delivery="no broker accepts events",
            preference_fault="the preference: bad signature",
            epoch=2,
        )
    )
    assert view.epoch == 2
    assert view.refusals == (Refusal("canary", "q_drift", ("PSI 0.9",)),)
    assert view.notes() == (
        "refused what canary points to: q_drift: PSI 0.9",
        "delivery: no broker accepts events",
        "the preference: bad signature",
        "stable: its record has expired",
    )
    assert (view.well, view.state()) == (False, "see below")
    assert json.loads(json.dumps(view.as_dict()))["refused"] == [
        {"channel": "canary", "result": "q_drift", "notes": ["PSI 0.9"]}
    ]


def test_a_node_that_is_killed_or_withholds_says_so() -> None:
    assert node_view(heartbeat(kill_file=True)).state() == "killed"
    assert node_view(heartbeat(withheld=FallbackReason.DRIFT)).state() == "withheld: drift"


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"channels": [], "versions": "v7", "withheld": 3, "killed": "yes", "store": None, "preference_fault": {}},
        {"channels": {"stable": 7, "canary": {"result": 5, "notes": 1}}, "versions": {"stable": None}},
    ],
)
def test_what_is_odd_in_a_heartbeat_is_left_out(status: dict[str, Any]) -> None:
    assert node_view(NodeStatus("n1", status)) == NodeView("n1", {})
