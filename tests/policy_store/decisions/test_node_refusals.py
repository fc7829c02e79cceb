"""What nodes say they refused; anything may stand in a heartbeat."""

from __future__ import annotations

from typing import Any

import pytest

from policy_store.backends.store import NodeStatus
from policy_store.decisions.node_refusals import ACCEPTED, Refusal, node_refusals
from serving_agent.pickup.checkpoint_pickup import PickupResult


def of(state: Any, channel: str = "stable") -> list[Refusal]:
    return node_refusals(NodeStatus("n1", {"channels": {channel: state}}))


def test_the_name_for_what_serves_is_the_nodes() -> None:
    assert PickupResult.ACCEPTED.value == ACCEPTED


def test_a_refusal_names_the_version_and_the_reason() -> None:
    state = {"result": "q_drift", "notes": ["PSI 0.9", 7], "judged": {"version": "v8", "revision": 4}}
    [refusal] = of(state)
    assert refusal == Refusal("stable", "q_drift", ("PSI 0.9",), "v8", 4)
    assert refusal.describe() == "refused v8 on stable: q_drift: PSI 0.9"
    [unnamed] = of({"result": "unverified", "notes": []})
    assert unnamed.describe() == "refused what stable points to: unverified"


def test_whether_it_is_about_the_record_in_the_store() -> None:
    [refusal] = of({"result": "expired", "notes": [], "judged": {"version": "v8", "revision": 4}})
    assert refusal.concerns({"version": "v8", "revision": 4})
    assert refusal.concerns({}), "an unreadable record"
    assert not refusal.concerns({"version": "v8", "revision": 5})
    assert not refusal.concerns({"version": "v9", "revision": 4})


@pytest.mark.parametrize("state", [None, 7, {}, {"result": 5}, {"result": ACCEPTED, "notes": ["few requests"]}])
def test_what_is_no_refusal(state: Any) -> None:
    assert of(state) == []
    assert node_refusals(NodeStatus("n1", {"channels": [state]})) == []


def test_odd_parts_of_a_refusal_are_left_out() -> None:
    odd = {"result": "expired", "notes": "late", "judged": {"version": 8, "revision": "4"}}
    assert of(odd) == [Refusal("stable", "expired")]
    assert of(odd, "no such channel") == []
