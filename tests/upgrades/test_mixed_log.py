"""The log of a fleet of 0.1.0 that is upgraded in the order of the guide, and what the other orders do."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.registry import Registry
from learner.examples.ingest import IngestCounts
from learner.examples.segment_reading import read_segments
from learner.examples.segment_store import SegmentStore
from tests.components.schema_registry import SchemaRegistry
from tests.upgrades.frozen_traffic import DAY, FIRST, Visit, visits
from tests.upgrades.mixed_fleet import PRESENT, SAID, MixedFleet, Sidecar
from tests.upgrades.mixed_ingest import ingest, ingest_as_0_1_0

WEEKS = list(visits(420, 1))
NIGHT = list(visits(60, 2, FIRST + round(25.5 * DAY), 0.5 * DAY))
ALL = sorted(str(visit.request.request_id) for visit in [*WEEKS, *NIGHT])
UNCHECKED = "Action.experiment_arm: a union or enum inside or between arrays cannot be checked"
PARTS = (r.REQUEST, r.ACTION, r.PROPENSITY)
NOT_REGISTERED = "schema id {} is not registered"
EXAMPLE_2 = NOT_REGISTERED.format(Codec(Registry.bundled()).schema_id(r.EXAMPLE))


def test_an_upgrade_from_the_end_of_the_path_learns_from_every_decision_once(fleet: MixedFleet, old: Path) -> None:
    before, after = fleet.serve(old, "before"), fleet.serve(PRESENT, "after")
    before.serve(WEEKS)
    _join(fleet, old, WEEKS, FIRST + round(25 * DAY))
    first = fleet.trimtab(old, "learn", "--once")["version"]
    fleet.trimtab(PRESENT, "policy", "promote", first, "--to", "stable", "--override-gate", *SAID, key="board")
    for node in (before, after):
        node.await_serving(first)

    # The learner and the join are upgraded, and half of the nodes.
    for visit, node in zip(NIGHT, [before, after] * (len(NIGHT) // 2), strict=True):
        node.serve([visit])
    _join(fleet, PRESENT, [*WEEKS, *NIGHT], FIRST + round(30 * DAY))
    versions = Counter((each.name, each.version) for each in fleet.decoded("events"))
    assert (versions[r.ACTION, 1], versions[r.ACTION, 2]) == (len(WEEKS) + len(NIGHT) // 2, len(NIGHT) // 2)
    assert Counter(each.version for each in fleet.decoded("examples")) == {1: len(WEEKS), 2: len(NIGHT)}
    assert fleet.decoded("dead-letters") == []
    with ThreadPoolExecutor() as pool:
        audited, asked = (pool.submit(fleet.run, code, "reconcile", "--json") for code in (PRESENT, old))
        late = pool.submit(ingest_as_0_1_0, fleet, old, "late")
        learnt = fleet.trimtab(PRESENT, "learn", "--once")
    audit = json.loads(audited.result().stdout)
    assert audit["ok"] and audit["examples_found"] == audit["examples_expected"] == len(ALL)
    assert (audit["pending"], audit["unprocessed"]) == (0, 0)
    assert fleet.rows("machine") == ALL
    window = learnt["window"]
    assert window["examples"] + window["holdout_examples"] + sum(window["left_out"].values()) == len(ALL)
    _refuses_the_encoding(learnt["version"], before)
    _answer_alike(first, before, after)

    # The join was upgraded before the commands of an operator, and before the learner of another machine.
    assert asked.result().returncode == 1 and EXAMPLE_2 in asked.result().stderr
    _learnt_too_early(fleet, late.result())


def _learnt_too_early(fleet: MixedFleet, late: subprocess.CompletedProcess[str]) -> None:
    """A learner of 0.1.0 leaves out what it cannot read; --reread of today reads it."""
    assert late.returncode == 0, late.stderr
    assert fleet.rows("late") == sorted(str(visit.request.request_id) for visit in WEEKS)
    letters = [each.record for each in fleet.decoded("dead-letters")]
    refused = Counter((each["topic"], each["reason"]) for each in letters)
    assert refused == {(f"{fleet.prefix}examples", "malformed"): len(NIGHT)}
    assert all(EXAMPLE_2 in each["detail"] for each in letters)
    assert ingest(fleet, "late", reread=True) == IngestCounts(stored=len(NIGHT), duplicate=len(WEEKS))
    assert fleet.rows("late") == ALL


def test_a_learner_of_0_1_0_refuses_the_directory_of_a_later_one(fleet: MixedFleet, old: Path) -> None:
    with SegmentStore(fleet.segments("later"), f"{fleet.prefix}examples", DAY):
        pass
    back = ingest_as_0_1_0(fleet, old, "later")
    assert back.returncode == 1 and "unreadable segment manifest: it is not of format 1" in back.stderr


def test_nodes_that_log_before_the_join_is_upgraded_lose_nothing(fleet: MixedFleet, old: Path) -> None:
    nodes = fleet.serve(old, "before"), fleet.serve(PRESENT, "after")
    for visit, node in zip(NIGHT, nodes * (len(NIGHT) // 2), strict=True):
        node.serve([visit])
    _join(fleet, old, NIGHT, FIRST + round(30 * DAY))
    newer, codec = NIGHT[1::2], Codec(Registry.bundled())
    assert len(fleet.decoded("examples")) == len(NIGHT) - len(newer)
    letters = [each.record for each in fleet.decoded("dead-letters")]
    assert Counter((each["reason"], codec.decode(each["value"]).name) for each in letters) == {
        **{("malformed", name): len(newer) for name in PARTS},
        ("orphan", r.ENGAGEMENT): sum(len(visit.engagements) for visit in newer),
    }
    told = {each["detail"].partition(" (")[0] for each in letters if each["reason"] == "malformed"}
    assert told == {NOT_REGISTERED.format(codec.schema_id(name)) for name in PARTS}

    assert fleet.trimtab(PRESENT, "dead-letters", "replay")["written"] == len(newer)
    audit = fleet.trimtab(PRESENT, "reconcile")
    assert audit["ok"] and audit["examples_found"] == audit["examples_expected"] == len(NIGHT)


def test_with_a_registry_that_has_the_new_versions_the_join_of_0_1_0_does_not_start(
    fleet: MixedFleet, old: Path, schema_registry: SchemaRegistry
) -> None:
    fleet.registry_url = schema_registry.url
    after = fleet.serve(PRESENT, "after")
    assert after.report()["store"] == "ok"  # this start has registered the versions
    nodes = after, fleet.serve(old, "before")
    for visit, node in zip(NIGHT, nodes * (len(NIGHT) // 2), strict=True):
        node.serve([visit])
    refused = fleet.run(old, "join")
    assert (refused.returncode, UNCHECKED in refused.stderr) == (3, True), refused.stderr

    _join(fleet, PRESENT, NIGHT, FIRST + round(30 * DAY))
    assert fleet.decoded("dead-letters") == []
    audit = fleet.trimtab(PRESENT, "reconcile")
    assert audit["ok"] and audit["examples_found"] == audit["examples_expected"] == len(NIGHT)
    late = ingest_as_0_1_0(fleet, old, "late")
    assert late.returncode == 0, late.stderr
    ingest(fleet, "today")
    theirs, ours = (read_segments(fleet.segments(each)).sort("request_request_id") for each in ("late", "today"))
    assert theirs.select(ours.columns).equals(ours)
    assert ours["propensity_exploration"].null_count() == len(NIGHT) // 2  # those of the node of 0.1.0


def _join(fleet: MixedFleet, code: Path, visited: Iterable[Visit], event_time: int) -> None:
    """Join all that the visits have left in the log, and close the windows before a time."""
    visited = list(visited)
    fleet.await_logged(len(visited), sum(len(visit.engagements) for visit in visited))
    with fleet.joining(code):
        fleet.close_windows(event_time)


def _answer_alike(version: str, before: Sidecar, after: Sidecar) -> None:
    """Both nodes serve it, and give equal requests the same."""
    theirs, ours = ([node.decide(visit) for visit in visits(60, 3)] for node in (before, after))
    assert [{name: each[name] for name in theirs[0]} for each in ours] == theirs
    assert {each["policy_version"] for each in theirs if each["slice"] == "POLICY"} == {version}


def _refuses_the_encoding(version: str, node: Sidecar) -> None:
    state = node.await_report(lambda report: report["channels"]["shadow"]["result"] == "unverified")
    assert f"checkpoint {version}: feature contract is" in str(state["channels"]["shadow"]["notes"])
