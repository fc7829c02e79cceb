"""How experiments and their nodes are told."""

from __future__ import annotations

from typing import Any

import pytest

from policy_store.backends import NodeStatus
from policy_store.records.ledger_record import LedgerRecord
from tests.policy_store.experiment_samples import arm, plan, result
from tests.serving_samples import DAY_MS, NOW
from trimtab.experiment_listings import (
    arm_listing,
    ledger_listing,
    node_listing,
    node_state,
    node_states,
    release_listing,
    running_listing,
    state_of,
)


def heartbeat(revision: int | None = 7, **results: str) -> dict[str, Any]:
    checkpoints = {version: {"result": word, "notes": []} for version, word in results.items()}
    return {"experiments": {"revision": revision, "checkpoints": checkpoints}}


@pytest.mark.parametrize(("at", "state"), [(-1, "starts later"), (0, "runs"), (DAY_MS, "has ended")])
def test_an_experiment_runs_between_start_and_end(at: int, state: str) -> None:
    assert state_of(plan(NOW), NOW + at) == state
    [entry] = running_listing([plan(NOW)], NOW + at).entries
    assert entry.cells[:3] == ("x1", state, "20.0%")
    assert entry.notes == ("arms control, bold; control control",)


def test_arms_say_what_they_serve() -> None:
    entries = arm_listing(plan(NOW, arm("control", 0.5), arm("bold", 0.5, "v2", alpha=0.3))).entries
    assert [(each.cells, each.notes) for each in entries] == [
        (("control", "50.0%", "as stable"), ("the preference in force",)),
        (("bold", "50.0%", "v2"), ("α = 0.3",)),
    ]


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ({}, "serves no experiments: it is of an earlier release"),
        ({"experiments": 7}, "serves no experiments: it is of an earlier release"),
        (heartbeat(6), "has not accepted this revision"),
        (heartbeat(7), "arms with v2 fall back: not looked at yet"),
        (heartbeat(7, v2="live_drift"), "arms with v2 fall back: live_drift"),
        ({"experiments": {"revision": 7, "checkpoints": [1]}}, "arms with v2 fall back: not looked at yet"),
        (heartbeat(7, v2="accepted"), "serves every arm"),
    ],
)
def test_a_heartbeat_says_how_far_a_node_is(status: dict[str, Any], state: str) -> None:
    assert node_state(status, 7, ["v2"]) == state


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ({"versions": {"canary": "v2"}}, "serves the canary to other users: it is of an earlier release"),
        (
            heartbeat() | {"versions": {"canary": "v1"}},
            "has not accepted the canary: it serves its users what stable does",
        ),
        (heartbeat() | {"versions": 7}, "has not accepted the canary: it serves its users what stable does"),
        (heartbeat() | {"versions": {"canary": "v2"}}, "serves every arm"),
    ],
)
def test_a_heartbeat_says_whether_a_node_serves_the_canary(status: dict[str, Any], state: str) -> None:
    assert node_states([NodeStatus("n1", status)], None, ["v2"]) == {"n1": state}


def test_nodes_in_one_state_are_one_row() -> None:
    nodes = [NodeStatus(f"n{number}", heartbeat(7, v2="accepted")) for number in range(5)]
    listing = node_listing(node_states([*nodes, NodeStatus("old", {})], 7, ["v2"]))
    assert [each.cells for each in listing.entries] == [
        ("serves every arm", "5"),
        ("serves no experiments: it is of an earlier release", "1"),
    ]
    assert listing.entries[0].notes == ("n0, n1, n2 and 2 more",)


def test_the_ledger_says_who_decided_what() -> None:
    content = {"experiment": "homefeed", "revision": 5, "by": "ada", "reason": "no loss"}
    entry = LedgerRecord.from_content(content | result(verdict="adopted", winner="bold", start=NOW, end=NOW + DAY_MS))
    [row] = ledger_listing([entry]).entries
    assert row.cells[:2] == ("x1", "adopted bold")
    assert row.notes == ("control 50 users, bold 50 users; by ada: no loss",)


def test_a_release_has_a_line_for_each_objective() -> None:
    release = {
        "version": "v7",
        "ended": "withdrawn",
        "at": NOW,
        "by": "learner",
        "reason": "visits is harmed",
        "users": 1200,
        "offline": {"repin": {"lift": 0.1, "interval": [0.05, 0.15], "level": 0.97}},
        "online": {"repin": {"lift": 0.02, "interval": None, "one_look": [-0.01, 0.05]}},
    }
    told, bare = release_listing([release, {"at": NOW, "by": "someone"}], ["repin", "p2p"]).entries
    assert (told.cells[0], told.cells[1], told.cells[3]) == ("v7", "withdrawn", "1,200")
    assert told.notes == (
        "repin: offline +10.0% [+5.0%, +15.0%], online +2.0% no interval",
        "p2p: offline unknown, online unknown",
        "by learner: visits is harmed",
    )
    assert bare.notes[0] == "repin: offline unknown, online unknown"
