"""Kills and resumes of 0.1.0 and of today, on nodes of both: a kill of either stops all, and who resumes whom."""

from __future__ import annotations

import itertools
from pathlib import Path

from policy_store.decisions.kill_decisions import kill, kill_state, kills_to_lift, resume
from tests.upgrades.frozen_traffic import visits
from tests.upgrades.mixed_fleet import PRESENT, SAID, MixedFleet, Sidecar

SEEDS = itertools.count(1)
"""A node repeats what it answered before, so each question is a new one."""
MALFORMED = "ControlRecord: resumes: Extra inputs are not permitted"


def test_a_kill_of_either_release_stops_all_nodes_and_a_resume_those_that_understand_it(
    fleet: MixedFleet, old: Path
) -> None:
    before, after = fleet.serve(old, "before"), fleet.serve(PRESENT, "after")
    _as_0_1_0(fleet, old, "kill")
    _await_killed(True, before, after)
    _as_0_1_0(fleet, old, "resume")
    _await_killed(False, before, after)

    # The way to let all of a mixed fleet run again: the resume of 0.1.0 first.
    _kill(fleet)
    _await_killed(True, before, after)
    _as_0_1_0(fleet, old, "resume")
    _await_killed(False, before)
    _stays(True, after)  # that resume names no kill
    _resume(fleet)
    _await_killed(False, after)
    before.await_report(lambda report: MALFORMED in str(report["preference_fault"]))
    _stays(False, before)

    # A resume of today alone leaves nodes of 0.1.0 stopped until they are upgraded.
    refused = fleet.run(old, "policy", "kill", *SAID, key="board")
    assert (refused.returncode, MALFORMED in refused.stderr) == (1, True), refused.stderr
    _kill(fleet)
    _await_killed(True, before, after)
    _resume(fleet)
    _await_killed(False, after)
    before.await_report(lambda report: MALFORMED in str(report["preference_fault"]))
    _stays(True, before)
    before.end()
    _await_killed(False, fleet.serve(PRESENT, "before"))
    assert not any(row["problem"] for row in fleet.trimtab(PRESENT, "policy", "verify"))


def _as_0_1_0(fleet: MixedFleet, old: Path, command: str) -> None:
    fleet.trimtab(old, "policy", command, *SAID, key="board")


def _kill(fleet: MixedFleet) -> None:
    with fleet.store() as store:
        kill(store, fleet.ada(store))


def _resume(fleet: MixedFleet) -> None:
    with fleet.store() as store:
        state = kill_state(store, fleet.rule)
        resume(store, [each.hash for each in kills_to_lift(state, [])], fleet.ada(store))


def _await_killed(killed: bool, *nodes: Sidecar) -> None:
    """Wait until each node says so, and check that it answers accordingly."""
    for node in nodes:
        node.await_report(lambda report: report["killed"] is killed)
        _stays(killed, node)


def _stays(killed: bool, node: Sidecar) -> None:
    """A killed node gives production's weights to all; CONTROL is what it would have been."""
    answered = [node.decide(visit) for visit in visits(30, next(SEEDS))]
    drawn = {(answer["slice"], answer["fallback_reason"]) for answer in answered} - {("CONTROL", None)}
    assert drawn == ({("FALLBACK", "killed")} if killed else {("EXPLORE", None), ("FALLBACK", "no_policy")})
