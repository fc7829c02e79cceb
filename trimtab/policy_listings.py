"""What `trimtab policy` and `trimtab alpha` list, as rows that fit 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from event_schemas.instant import utc_text
from event_schemas.shown_text import listed
from policy_store.backends import NodeStatus
from policy_store.decisions import EMPTY, ONE_FILE, UNSIGNED, VALID, WITHDRAWN, FileDifference, Finding
from policy_store.records import PreferenceProposal, said
from trimtab.status.node_view import NodeView, node_view
from trimtab.tables import Entry, Listing

SOUND = (VALID, EMPTY, WITHDRAWN)
NO_POLICY = "production"
UNTIL_ITS_NEXT_RUN = "; listed until its next run"
NAMED = 3
"""How many of the nodes that refuse a record for the same reason are named."""


def overview_listings(overview: Mapping[str, Any]) -> Iterator[Listing | str]:
    """What `store_overview` found: channels, online experiments, the kills that hold, nodes."""
    killed = {True: "yes", False: "no", None: "unknown"}[overview["killed"]]
    epoch, entries = overview["epoch"], overview["audit_entries"]
    yield f"experiment {overview['experiment']}   killed: {killed}   epoch: {epoch}   audit: {entries}"
    yield f"learner: {overview['learner'] or 'none has the lease'}"
    yield _other_files(overview["differing_files"])
    channels = [_channel(row, len(overview["nodes"])) for row in overview["channels"]]
    yield Listing("channels", ("channel", "version", "revision", "state"), channels)
    yield from _experiments(overview["experiments"])
    if overview["open_kills"]:
        yield Listing("open kills", ("hash", "revision"), [_kill(row) for row in overview["open_kills"]])
    nodes = [_node(NodeStatus(row["node"], row["status"])) for row in overview["nodes"]]
    yield Listing("nodes", ("node", "serves on stable", "since (UTC)"), nodes)


def checkpoint_listing(rows: Sequence[Mapping[str, Any]]) -> Listing:
    """The checkpoints in the store."""
    entries = [
        Entry(
            tuple(_text(row[column]) for column in ("version", "created_at", "verdict", "algorithm")),
            (
                f"{row['size']:,} bytes, " + ("no parent" if row["parent"] is None else f"parent {row['parent']}"),
                f"answers with {row['answer']} ({row['selection']}){_pinned(row['preference'])}",
            ),
        )
        for row in rows
    ]
    return Listing("checkpoints", ("version", "created at", "verdict", "algorithm"), entries)


def _pinned(preference: Mapping[str, float] | None) -> str:
    if preference is None:
        return ""
    return ", only for " + ", ".join(f"{name} {weight:g}" for name, weight in preference.items())


def history_listing(slot: str, rows: Sequence[Mapping[str, Any]]) -> Listing:
    """The decisions on one slot."""
    entries = [
        Entry((_text(row["revision"]), _decided(row), row["key_id"]), (_said(row), f"hash {row['hash']}"))
        for row in rows
    ]
    return Listing(slot, ("revision", "decided", "key"), entries)


def verification_listing(findings: Sequence[Finding]) -> Listing:
    """The results of the verification."""
    entries = [
        Entry((each.subject, "holds"))
        if each.problem is None
        else Entry((each.subject, "does not hold"), (each.problem,))
        for each in findings
    ]
    return Listing("verification", ("subject", "finding"), entries)


def preference_listing(content: Mapping[str, Any]) -> Listing:
    """The targets in force, for everybody else and by cohort."""
    entries = [
        Entry((name, f"{target['alpha']:g}" if "alpha" in target else "", _weights(target["objective_weights"])))
        for name, target in {"everybody else": content["default"], **content["cohorts"]}.items()
    ]
    title = f"preference, revision {content['revision']}, by {content['by']}"
    return Listing(title, ("for", "alpha", "objective weights"), entries)


def proposal_listing(proposals: Sequence[PreferenceProposal]) -> Listing:
    """Proposals of a trade-off, decided ones included."""
    entries = [
        Entry(
            (each.proposal_id, each.status.value, utc_text(each.created_at)),
            (f"{each.target.describe()} for {each.cohort or 'everybody'}, {said(each.by, each.reason)}",),
        )
        for each in proposals
    ]
    return Listing("proposals", ("proposal", "status", "made at"), entries)


def _other_files(rows: Sequence[Mapping[str, Any]]) -> Listing:
    """Who has another experiment file, with the sections that differ; what helps stands below the last one."""
    entries = []
    for row in rows:
        each = FileDifference(row["process"], row["name"], tuple(row["sections"]))
        until = UNTIL_ITS_NEXT_RUN if each.process == "learner" else ""
        fix = [f"fix: {ONE_FILE}"] if row is rows[-1] else []
        entries.append(Entry((each.process, each.name), (f"differs in {each.told_sections()}{until}", *fix)))
    return Listing("processes with another experiment file than this one", ("process", "id"), entries)


def _channel(row: Mapping[str, Any], alive: int) -> Entry:
    sound, refusing = row["state"] in SOUND, len(row["refused_by"])
    state = row["state"] if sound else "not valid"
    if sound and refusing:
        state = f"refused by {refusing} of {alive}"
    notes = [] if sound else [f"{row['state']}; fix: {row['fix']}"]
    notes += [*_refusals(row["refused_by"]), *([_said(row)] if row.get("by") else [])]
    return Entry((row["channel"], _text(row.get("version")), _text(row.get("revision")), state), tuple(notes))


def _refusals(refused_by: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A sentence for each reason, with the nodes that give it."""
    nodes: dict[str, list[str]] = {}
    for each in refused_by:
        nodes.setdefault(": ".join((each["result"], *each["notes"])), []).append(each["node"])
    for reason, names in nodes.items():
        yield f"refused by {listed(names, NAMED)}: {reason}"


def _experiments(content: Mapping[str, Any]) -> Iterator[Listing]:
    """The online experiments, or why their record does not count; nothing where none runs."""
    rows = [
        Entry((row["id"], f"{row['share']:.1%}", utc_text(row["start"]), utc_text(row["planned_end"])))
        for row in content["running"]
    ]
    if content["state"] not in SOUND:
        rows = [Entry(("", "not valid", "", ""), (f"{content['state']}; fix: {content['fix']}",))]
    if rows:
        yield Listing("online experiments", ("experiment", "users", "start", "planned end"), rows)


def _kill(row: Mapping[str, Any]) -> Entry:
    told = _said(row) if "by" in row else UNSIGNED
    return Entry((row["hash"], _text(row.get("revision"))), (f"{told}; known to {', '.join(row['known_to'])}",))


def _node(node: NodeStatus) -> Entry:
    view = node_view(node)
    stable, withheld = view.versions.get("stable"), view.killed or view.withheld is not None
    serves = (NO_POLICY, "") if stable is None or withheld else (stable, _since(view, "stable"))
    notes = [f"{view.state()}; its policy on stable is {stable or 'none'}"] if withheld else []
    for channel, version in view.versions.items():
        if channel != "stable":
            since = _since(view, channel)
            notes.append(f"{channel} {version}" + (f", since {since}" if since else ""))
    notes += [f"epoch {view.epoch}"] if view.epoch else []
    return Entry((view.node_id, *serves), (*notes, *view.notes()))


def _since(view: NodeView, channel: str) -> str:
    """To the minute; empty if the node does not say."""
    since = view.since.get(channel)
    return "" if since is None else utc_text(since)[:16]


def _decided(row: Mapping[str, Any]) -> str:
    """The decision in a record, as a word or an id."""
    if "version" in row:
        return str(row["version"])
    if "killed" in row:
        return "killed" if row["killed"] else "resumed"
    return str(row.get("kind", ""))


def _said(row: Mapping[str, Any]) -> str:
    return said(row["by"], row["reason"])


def _weights(by_name: Mapping[str, float] | None) -> str:
    return ", ".join(f"{name} {weight:g}" for name, weight in (by_name or {}).items()) or "not chosen yet"


def _text(value: Any) -> str:
    return "" if value is None else str(value)
