"""The status on one screen: at most 23 lines of 80 columns, ids whole, long sentences cut at the end of the line.

`trimtab status --json` shows everything; `trimtab policy status` shows all nodes and kills.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from event_schemas.instant import utc_text
from policy_store.decisions import VALID, WITHDRAWN
from trimtab.status.next_action import NextAction
from trimtab.status.node_view import NodeView
from trimtab.status.status_facts import (
    CHANNELS,
    KILLS,
    LEASE,
    NEWEST,
    NODES,
    PREFERENCE,
    SHELF,
    ChannelFacts,
    LogFacts,
    StatusFacts,
    StoreFacts,
)
from trimtab.tables import printable, wrapped

WIDTH = 80
HEIGHT = 23
"""A terminal of 24 lines needs one for the prompt."""
LABEL = 12
ROOM = WIDTH - LABEL
SHORT = ROOM - 30
"""The room left on a line after a version as the learner names it."""
FAULTS_SHOWN = 3
KILLS_SHOWN = 1
REASONS_SHOWN = 2
UNKNOWN = "unknown"
ScreenPart = tuple[str, list[str]]


def screen_lines(facts: StatusFacts, actions: Sequence[NextAction]) -> list[str]:
    """The lines of the screen, each part with its label; of `actions` the first in full, the others on a line each."""
    action, *others = actions
    above = [*_head(facts), *_log(facts.log), *_learned(facts), *_store(facts.store, facts.faults)]
    below = [("next", [*([action.command] if action.command else []), *_first(action.why, REASONS_SHOWN)])]
    below += [("also", [_also(each) for each in others])] if others else []
    nodes = () if facts.store is None else facts.store.nodes
    room = HEIGHT - sum(len(lines) for _, lines in (*above, *below))
    listed = [] if facts.store is None else [("nodes", [UNKNOWN])] if NODES in facts.faults else _nodes(nodes, room)
    parts = [*above, *listed, *below]
    return [
        f"{label if number == 0 else '':<{LABEL}}{line}" for label, lines in parts for number, line in enumerate(lines)
    ]


def _head(facts: StatusFacts) -> Iterator[ScreenPart]:
    yield "experiment", [f"{facts.experiment}   {utc_text(facts.at)}"]
    lines = REASONS_SHOWN if facts.store is None else 1
    differences = facts.differences
    if differences:
        yield "file", [_and_more(differences[0].describe(), len(differences) - 1)]
    told = [*facts.faults.items()][: FAULTS_SHOWN - bool(differences)]
    for number, (name, fault) in enumerate(told, 1):
        yield "fault", _first(f"{_of(number, len(facts.faults), len(told))}{name}: {fault.what}", lines)


def _log(log: LogFacts | None) -> Iterator[ScreenPart]:
    if log is None:
        return
    workers = "" if log.workers is None else f"; {log.workers} {'worker' if log.workers == 1 else 'workers'}"
    waiting = (
        f"{log.unprocessed:,} of {log.events:,} events wait" if log.unprocessed else f"all {log.events:,} events done"
    )
    yield "join", [f"{waiting}{workers}"]
    yield "log", [f"{log.examples:,} examples, {log.dead_letters:,} dead letters"]


def _learned(facts: StatusFacts) -> Iterator[ScreenPart]:
    learned = facts.learned
    if learned is None:
        unknown = facts.store is None or facts.faults.keys() & {NEWEST, SHELF}
        yield "learned", [UNKNOWN if unknown else "nothing yet"]
        return
    kept = "" if learned.published else ", on this machine only"
    head = f"{learned.version}  {learned.verdict or 'not judged'}{kept}"
    yield "learned", [head, *([_cut("; ".join(learned.reasons))] if learned.reasons else [])]


def _store(store: StoreFacts | None, faults: Container[str]) -> Iterator[ScreenPart]:
    """What the store says; what it was asked and did not answer is unknown, not absent."""
    if store is None:
        return
    if CHANNELS in faults:
        yield "channels", [UNKNOWN]
    for each in store.channels:
        yield each.channel, _channel(each, len(store.nodes))
    yield "learner", [UNKNOWN if LEASE in faults else _cut(store.learner or "none has the lease")]
    yield "preference", [UNKNOWN if PREFERENCE in faults else _cut(store.preference or "not chosen yet")]
    yield "kills", [UNKNOWN] if KILLS in faults else _kills(store)


def _channel(channel: ChannelFacts, alive: int) -> list[str]:
    state = channel.state if channel.sound else "not valid"
    said = f", by {channel.by}" if channel.state in (VALID, WITHDRAWN) and channel.by else ""
    if channel.refused_by:
        said = f", refused by {len(channel.refused_by)} of {alive} nodes"
    head = state if channel.version is None else f"{channel.version}  {_cut(state + said, SHORT)}"
    return [head] if channel.sound else [head, _below(channel.state)]


def _kills(store: StoreFacts) -> list[str]:
    doubts = len(store.kill_faults)
    lines = [] if store.open_kills else [_cut(f"in doubt: {_of(1, doubts)}{each}") for each in store.kill_faults[:1]]
    for each in store.open_kills[:KILLS_SHOWN]:
        lines += [each.hash, _below(each.source)]
    more = len(store.open_kills) - KILLS_SHOWN
    return [*lines, *([f"and {more} more: trimtab policy status"] if more > 0 else [])] or ["none"]


def _nodes(nodes: Sequence[NodeView], room: int) -> Iterator[ScreenPart]:
    """A line with the number of nodes, then as many nodes as fit, those in trouble first."""
    ill = sum(not node.well for node in nodes)
    lines = [f"{len(nodes) or 'none'} alive" + (f", {ill} of them not well" if ill else "")]
    ordered = sorted(nodes, key=lambda node: (node.well, node.node_id))
    for shown, node in enumerate(ordered):
        entry = [_node(node), *(_below(f"{_of(1, len(node.notes()))}{note}") for note in node.notes()[:1])]
        for_the_rest = 0 if shown == len(ordered) - 1 else 1
        if len(lines) + len(entry) + for_the_rest > room:
            lines.append(f"and {len(ordered) - shown} more: trimtab policy status")
            break
        lines += entry
    yield "nodes", lines


def _node(node: NodeView) -> str:
    state = "" if node.notes() else f"  {node.state()}"
    return f"{node.node_id}  {node.versions.get('stable', 'production')}{state}"


def _also(action: NextAction) -> str:
    return _cut(action.why if action.command is None else f"{action.command} ({action.why})")


def _of(number: int, total: int, shown: int = 1) -> str:
    """`1 of 3: ` if more are there than the screen shows, else nothing."""
    return f"{number} of {total}: " if total > shown else ""


def _first(text: str, lines: int) -> list[str]:
    """The first lines of a sentence."""
    found = wrapped(text, ROOM)
    return found if len(found) <= lines else [*found[: lines - 1], _cut(" ".join(found[lines - 1 :]))]


def _and_more(text: str, more: int) -> str:
    """The text and how much there is of its kind, on one line."""
    rest = f" and {more} more" if more else ""
    return _cut(text, ROOM - len(rest)) + rest


def _below(text: str) -> str:
    """A remark on the line above."""
    return f"  {_cut(text, ROOM - 2)}"


def _cut(text: str, room: int = ROOM) -> str:
    shown = printable(text)
    return shown if len(shown) <= room else f"{shown[: room - 1]}…"
