"""Online experiments and canaries while nodes of 0.1.0 serve too: they draw as they always did, and count in none."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from event_schemas import records as r
from event_schemas.units import MINUTE_MS
from policy_store.decisions.experiment_decisions import start_experiment
from policy_store.records.channel_record import Channel
from policy_store.records.experiment_record import ExperimentArm, OnlineExperiment
from policy_store.records.store_errors import ExperimentRefused
from tests.upgrades.frozen_traffic import DAY, Visit, visits
from tests.upgrades.mixed_fleet import PRESENT, MixedFleet, Sidecar
from tests.upgrades.own_checkpoints import any_values, point, publish

SPAN_MS = 1_000
"""All requests come within a second, because results leave out what is ahead of the clock."""
EARLIER = "serves no experiments: it is of an earlier release"


def test_an_experiment_counts_nothing_that_a_node_of_0_1_0_serves(fleet: MixedFleet, old: Path) -> None:
    before, after = _both_serve_v1(fleet, old)
    start = _start(fleet, "sweep", "v2")
    after.await_report(lambda report: report["experiments"]["checkpoints"].get("v2", {}).get("result") == "accepted")
    visited = list(visits(120, 1, start, SPAN_MS))
    theirs, ours = _serve_in_turn(visited, before, after)
    assert fleet.trimtab(PRESENT, "experiment", "show", "sweep")["nodes"] == {
        "before": EARLIER,
        "after": "serves every arm",
    }
    assert (_versions(theirs), _versions(ours)) == ({"v1"}, {"v1", "v2"})

    fleet.await_logged(len(visited), sum(len(visit.engagements) for visit in visited))
    arms = _logged_arms(fleet)
    assert {arms[each["request_id"]] for each in theirs} == {None}
    assert {arms[each["request_id"]] for each in ours} == {"sweep/control", "sweep/treated"}
    with fleet.joining(PRESENT):
        fleet.close_windows(visited[-1].time + 3 * DAY)
    fleet.run(PRESENT, "learn", "--once", "--no-publish")  # too little to train on, but it stores what there is
    assert len(fleet.rows("machine")) == len(visited)
    counted = [each for each in ours if each["slice"] in ("POLICY", "FALLBACK")]
    read = fleet.trimtab(PRESENT, "experiment", "read", "sweep")["arms"]
    assert sum(arm["rows"] for arm in read.values()) == len(counted) > 0


def test_a_canary_is_served_by_all_nodes_each_with_the_draw_of_its_release(fleet: MixedFleet, old: Path) -> None:
    before, after = _both_serve_v1(fleet, old)
    point(fleet, "v2", Channel.CANARY)
    for node in (before, after):
        node.await_serving("v2", "canary")
    with fleet.store() as store:
        first = store.time_ms()  # a canary of today serves requests from its start on
    visited = list(visits(120, 1, first, SPAN_MS))
    theirs, ours = _serve_in_turn(visited, before, after)
    assert _versions(theirs) == _versions(ours) == {"v1", "v2"}

    fleet.await_logged(len(visited), sum(len(visit.engagements) for visit in visited))
    arms = _logged_arms(fleet)
    assert {arms[each["request_id"]] for each in theirs} == {"canary", "control"}
    assert {arms[each["request_id"]] for each in ours} == {"canary-v2/canary", "canary-v2/control", None}
    chosen = {(arms[each["request_id"]], each["policy_version"]) for each in theirs if each["slice"] == "POLICY"}
    assert chosen == {("canary", "v2"), ("control", "v1")}


def _both_serve_v1(fleet: MixedFleet, old: Path) -> tuple[Sidecar, Sidecar]:
    before, after = fleet.serve(old, "before"), fleet.serve(PRESENT, "after")
    for seed, version in enumerate(("v1", "v2")):
        publish(fleet, version, any_values(fleet, seed), {"evaluation": {"verdict": "pass"}})
    point(fleet, "v1")
    for node in (before, after):
        node.await_serving("v1")
    return before, after


def _start(fleet: MixedFleet, name: str, version: str) -> int:
    """Half of all users are treated with the checkpoint, once an operator says that the fleet is mixed.

    Returns when it starts (epoch ms).
    """
    with fleet.store() as store:
        start = store.time_ms()
        arms = (ExperimentArm(name="control", share=0.5), ExperimentArm(name="treated", share=0.5, version=version))
        span = {"start": start, "planned_end": start + 60 * MINUTE_MS}
        plan = OnlineExperiment.of(id=name, share=1.0, arms=arms, control="control", **span)
        with pytest.raises(ExperimentRefused, match="the nodes before are of a release that knows no experiments"):
            start_experiment(store, plan, fleet.experiment, fleet.rule, fleet.ada(store))
        start_experiment(store, plan, fleet.experiment, fleet.rule, fleet.ada(store), mixed_fleet=True)
    return start


def _serve_in_turn(
    visited: list[Visit], before: Sidecar, after: Sidecar
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The answers of each node."""
    return before.serve(visited[::2]), after.serve(visited[1::2])


def _versions(answered: Iterable[dict[str, Any]]) -> set[str]:
    return {answer["policy_version"] for answer in answered if answer["slice"] == "POLICY"}


def _logged_arms(fleet: MixedFleet) -> dict[str, str | None]:
    """`experiment_arm` by request id, as the log has it."""
    actions = [each.record for each in fleet.decoded("events") if each.name == r.ACTION]
    return {action["request_id"]: action["experiment_arm"] for action in actions}
