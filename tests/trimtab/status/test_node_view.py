"""What a heartbeat tells people, whoever wrote it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from policy_store.backends.store import NodeStatus
from policy_store.decisions import Refusal
from serving_agent.decide.fallback_reason import FallbackReason
from serving_agent.pickup.checkpoint_pickup import PickupResult
from serving_agent.pickup.node_report import NodeReport
from tests.serving_samples import NOW, loaded, preferring, serving_experiment, snapshot_of
from trimtab.status.node_view import NodeView, node_view

EXPERIMENT = serving_experiment()


def heartbeat(**report: Any) -> NodeStatus:
    """What a real node that serves v7 would have written."""
    policy = loaded(EXPERIMENT, preferring(EXPERIMENT, repin=1), "v7")
    snapshot = snapshot_of(EXPERIMENT, stable=policy, withheld=report.pop("withheld", None))
    made = NodeReport("n1", NOW, NOW - 5, snapshot, report.pop("channels", {}), **report)
    return NodeStatus("n1", json.loads(json.dumps(made.as_dict())))


def channel(result: PickupResult | None, *notes: str, stale: bool = False) -> dict[str, Any]:
    said = {"result": result and result.value, "notes": list(notes), "judged": {"version": "v8", "revision": 4}}
    return {"version": "v7", "revision": 3, "stale": stale, **said}


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
            name="another live process, h:7:ff, sends heartbeats under this node id",
            preference_fault="the preference: bad signature",
            epoch=2,
            since={"stable": NOW},
        )
    )
    assert (view.epoch, view.since) == (2, {"stable": NOW})
    assert view.refusals == (Refusal("canary", "q_drift", ("PSI 0.9",), "v8", 4),)
    assert view.notes() == (
        "refused v8 on canary: q_drift: PSI 0.9",
        "delivery: no broker accepts events",
        "name: another live process, h:7:ff, sends heartbeats under this node id",
        "the preference: bad signature",
        "stable: its record has expired",
    )
    assert (view.well, view.state()) == (False, "see below")
    assert json.loads(json.dumps(view.as_dict()))["refused"] == [
        {"channel": "canary", "version": "v8", "result": "q_drift", "notes": ["PSI 0.9"]}
    ]


def test_a_node_that_is_killed_or_withholds_says_so() -> None:
    assert node_view(heartbeat(kill_file=True)).state() == "killed"
    assert node_view(heartbeat(withheld=FallbackReason.DRIFT)).state() == "withheld: drift"


@pytest.mark.parametrize(
    ("digests", "told"),
    [(None, False), ({}, False), ({"gate": "1"}, False), ({"gate": None}, True), ([1], True), ("", True), (0, True)],
)
def test_digests_that_are_none_are_told_of(digests: Any, told: bool) -> None:
    view = node_view(NodeStatus("n1", {"section_digests": digests}))
    assert [note.startswith("its section_digests are malformed") for note in view.notes()] == [True] * told


@pytest.mark.parametrize(
    "status",
    [
        {},
        {
            "channels": [],
            "versions": "v7",
            "withheld": 3,
            "killed": "yes",
            "since": {"stable": "1"},
            "store": None,
            "preference_fault": {},
        },
        {"channels": {"stable": 7, "canary": {"result": 5, "notes": 1}}, "versions": {"stable": None}},
    ],
)
def test_what_is_odd_in_a_heartbeat_is_left_out(status: dict[str, Any]) -> None:
    assert node_view(NodeStatus("n1", status)) == NodeView("n1", {})
