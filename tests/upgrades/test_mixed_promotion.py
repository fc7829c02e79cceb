"""Checkpoints in a fleet of nodes of 0.1.0 and of today: each is served alike by all, or refused by the old ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.answer_graphs import preferring_values, softmax_graph
from tests.upgrades.frozen_traffic import visits
from tests.upgrades.mixed_fleet import PRESENT, MixedFleet, Sidecar
from tests.upgrades.own_checkpoints import any_values, point, publish

AS_IN_FORCE = {"repin": 0.1, "click": 0.9}
"""What the experiment file's [preference] says."""
FIELDS = ("weights", "arm", "slice", "propensity", "policy_version", "config_revision", "fallback_reason")
"""What both releases answer."""


def refuses(result: str, why: str, node: Sidecar) -> None:
    """Wait until the node has refused what stable points to, for this reason."""
    state = node.await_report(lambda report: report["channels"]["stable"]["result"] == result)["channels"]["stable"]
    assert (state["version"], why in str(state["notes"])) == ("plain", True), state


def answers(node: Sidecar, seed: int) -> list[dict[str, Any]]:
    """To the same requests for the same seed. Asked twice, a node repeats what it answered first."""
    return [{name: node.decide(visit)[name] for name in FIELDS} for visit in visits(40, seed)]


def versions_asked(answered: list[dict[str, Any]]) -> set[str]:
    """The checkpoints that chose for the policy's requests."""
    return {answer["policy_version"] for answer in answered if answer["slice"] == "POLICY"}


FORMAT = "checkpoint manifest: format: Input should be 1 (got '2')"
INPUT = "policy.onnx wants inputs ['preference']"


def test_what_0_1_0_would_serve_wrongly_it_refuses_and_keeps_what_it_has(fleet: MixedFleet, old: Path) -> None:
    before, after = fleet.serve(old, "before"), fleet.serve(PRESENT, "after")
    publish(fleet, "plain", any_values(fleet, 1))
    point(fleet, "plain")
    before.await_serving("plain")
    after.await_serving("plain")
    assert answers(before, 1) == answers(after, 1)
    assert versions_asked(answers(before, 2)) == {"plain"}

    publish(fleet, "pinned", any_values(fleet, 2), {"preference": {"repin": 0.9, "click": 0.1}})
    point(fleet, "pinned")
    after.await_serving("pinned")
    refuses("unverified", FORMAT, before)
    assert versions_asked(answers(before, 3)) == {"plain"}
    assert {answer["fallback_reason"] for answer in answers(after, 3)} == {None, "preference"}

    publish(fleet, "asking", preferring_values(2, 10))
    point(fleet, "asking")
    after.await_serving("asking")
    refuses("contract", INPUT, before)
    assert (versions_asked(answers(before, 4)), versions_asked(answers(after, 4))) == ({"plain"}, {"asking"})

    said = {"answer": "probabilities", "preference": AS_IN_FORCE}
    publish(fleet, "distribution", softmax_graph(3, 10), said)
    point(fleet, "distribution")
    after.await_serving("distribution")
    refuses("unverified", FORMAT, before)
    assert (versions_asked(answers(before, 5)), versions_asked(answers(after, 5))) == ({"plain"}, {"distribution"})

    channels = {row["channel"]: row for row in fleet.trimtab(PRESENT, "policy", "status")["channels"]}
    [refusal] = channels["stable"]["refused_by"]
    assert refusal["node"] == "before" and FORMAT in str(refusal)
    before.end()
    upgraded = fleet.serve(PRESENT, "before")
    upgraded.await_serving("distribution")
    assert answers(upgraded, 6) == answers(after, 6)
