"""What `trimtab experiment` lists, as rows that fit 80 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from event_schemas.instant import utc_text
from event_schemas.shown_text import listed
from policy_store.backends import NodeStatus
from policy_store.records import Channel, ExperimentArm, LedgerRecord, OnlineExperiment, said
from trimtab.tables import Entry, Listing

NODES_NAMED = 3
"""How many nodes with the same state are named."""
ACCEPTED = "accepted"
RUNS, NOT_RUNNING = "runs", "is not among those that run"
SERVED = "serves every arm"


def state_of(experiment: OnlineExperiment, now_ms: int) -> str:
    """Whether it runs at this time (epoch ms)."""
    if now_ms < experiment.start:
        return "starts later"
    return RUNS if now_ms < experiment.planned_end else "has ended"


def running_listing(experiments: Sequence[OnlineExperiment], now_ms: int) -> Listing:
    """The experiments of the record in force."""
    entries = [
        Entry(
            (each.id, state_of(each, now_ms), f"{each.share:.1%}", utc_text(each.start)),
            (f"arms {', '.join(arm.name for arm in each.arms)}; control {each.control}",),
        )
        for each in experiments
    ]
    return Listing("experiments", ("experiment", "state", "users", "start"), entries)


def arm_listing(experiment: OnlineExperiment) -> Listing:
    """The arms of one experiment."""
    entries = [
        Entry((arm.name, f"{arm.share:.1%}", arm.version or "as stable"), (_preference(arm),))
        for arm in experiment.arms
    ]
    title = f"{experiment.id}: {experiment.share:.1%} of the users, control {experiment.control}"
    return Listing(title, ("arm", "of its users", "checkpoint"), entries)


def node_states(nodes: Sequence[NodeStatus], revision: int | None, versions: Sequence[str]) -> dict[str, str]:
    """What each live node says of an experiment; the `revision` of its record is None for that of a canary."""
    if revision is None:
        return {each.node_id: canary_state(each.status, versions) for each in nodes}
    return {each.node_id: node_state(each.status, revision, versions) for each in nodes}


def node_listing(states: Mapping[str, str]) -> Listing:
    """The states of nodes by their ids; nodes in the same state are one row."""
    names: dict[str, list[str]] = {}
    for node_id, state in states.items():
        names.setdefault(state, []).append(node_id)
    entries = [Entry((state, str(len(each))), (listed(each, NODES_NAMED),)) for state, each in names.items()]
    return Listing("nodes", ("state", "nodes"), entries)


def canary_state(status: Mapping[str, Any], versions: Sequence[str]) -> str:
    """What a heartbeat says of the canary, whose arms name these checkpoints."""
    if not isinstance(status.get("experiments"), Mapping):
        return "serves the canary to other users: it is of an earlier release"
    served = status.get("versions")
    accepted = isinstance(served, Mapping) and served.get(Channel.CANARY.value) in versions
    return SERVED if accepted else "has not accepted the canary: it serves its users what stable does"


def node_state(status: Mapping[str, Any], revision: int, versions: Sequence[str]) -> str:
    """What a heartbeat says of the experiments of this revision, whose arms name these checkpoints."""
    report = status.get("experiments")
    if not isinstance(report, Mapping):
        return "serves no experiments: it is of an earlier release"
    if report.get("revision") != revision:
        return "has not accepted this revision"
    found = report.get("checkpoints")
    results = found if isinstance(found, Mapping) else {}
    for version in versions:
        each = results.get(version)
        result = each.get("result") if isinstance(each, Mapping) else None
        if result != ACCEPTED:
            return f"arms with {version} fall back: {result or 'not looked at yet'}"
    return SERVED


def ledger_listing(entries: Sequence[LedgerRecord]) -> Listing:
    """The concluded experiments."""
    rows = [
        Entry(
            (each.id, each.verdict if each.winner is None else f"{each.verdict} {each.winner}", utc_text(each.end)),
            (f"{', '.join(f'{arm.name} {arm.users:,} users' for arm in each.arms)}; {said(each.by, each.reason)}",),
        )
        for each in entries
    ]
    return Listing("concluded experiments", ("experiment", "verdict", "end"), rows)


def release_listing(releases: Sequence[Mapping[str, Any]], objectives: Sequence[str]) -> Listing:
    """What became of releases, with offline and online lifts of the objectives."""
    rows = [
        Entry(
            (str(each.get("version")), str(each.get("ended")), utc_text(each["at"]), f"{each.get('users', 0):,}"),
            (*(_lifts(name, each) for name in objectives), said(str(each.get("by")), str(each.get("reason")))),
        )
        for each in releases
    ]
    return Listing("releases", ("version", "ended", "at", "users"), rows)


def _lifts(name: str, release: Mapping[str, Any]) -> str:
    told = [f"{part} {_lift(release.get(part, {}).get(name))}" for part in ("offline", "online")]
    return f"{name}: {', '.join(told)}"


def _lift(found: Mapping[str, Any] | None) -> str:
    if found is None or found.get("lift") is None:
        return "unknown"
    ends = found.get("interval")
    interval = "no interval" if ends is None or None in ends else f"[{ends[0]:+.1%}, {ends[1]:+.1%}]"
    return f"{found['lift']:+.1%} {interval}"


def _preference(arm: ExperimentArm) -> str:
    return "the preference in force" if arm.preference is None else arm.preference.describe()
