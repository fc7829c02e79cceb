"""The status on one screen: at most 23 lines of 80 columns, ids whole, long sentences cut at the end of the line.

`trimtab status --json` shows everything; `trimtab policy status` shows all nodes and kills.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from event_schemas.instant import utc_text
from trimtab.status.next_action import NextAction
from trimtab.status.node_view import NodeView
from trimtab.status.status_facts import VALID, ChannelFacts, LearnedFacts, LogFacts, StatusFacts, StoreFacts
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
ScreenPart = tuple[str, list[str]]


def screen_lines(facts: StatusFacts, action: NextAction) -> list[str]:
    """The lines of the screen, each part with its label."""
    above = [*_head(facts), *_log(facts.log), *_learned(facts.learned), *_store(facts.store)]
    below = [("next", [*([action.command] if action.command else []), *_first(action.why, REASONS_SHOWN)])]
    nodes = () if facts.store is None else facts.store.nodes
    room = HEIGHT - sum(len(lines) for _, lines in (*above, *below))
    parts = [*above, *([] if facts.store is None else _nodes(nodes, room)), *below]
    return [
        f"{label if number == 0 else '':<{LABEL}}{line}" for label, lines in parts for number, line in enumerate(lines)
    ]


def _head(facts: StatusFacts) -> Iterator[ScreenPart]:
    yield "experiment", [f"{facts.experiment}   {utc_text(facts.at)}"]
    lines = REASONS_SHOWN if facts.store is None else 1
    for name, fault in [*facts.faults.items()][:FAULTS_SHOWN]:
        yield "fault", _first(f"{name}: {fault.what}", lines)


def _log(log: LogFacts | None) -> Iterator[ScreenPart]:
    if log is None:
        return
    workers = "" if log.workers is None else f"; {log.workers} {'worker' if log.workers == 1 else 'workers'}"
    waiting = (
        f"{log.unprocessed:,} of {log.events:,} events wait" if log.unprocessed else f"all {log.events:,} events done"
    )
    yield "join", [f"{waiting}{workers}"]
    yield "log", [f"{log.examples:,} examples, {log.dead_letters:,} dead letters"]


def _learned(learned: LearnedFacts | None) -> Iterator[ScreenPart]:
    if learned is None:
        yield "learned", ["nothing yet"]
        return
    kept = "" if learned.published else ", on this machine only"
    head = f"{learned.version}  {learned.verdict or 'not judged'}{kept}"
    yield "learned", [head, *([_cut("; ".join(learned.reasons))] if learned.reasons else [])]


def _store(store: StoreFacts | None) -> Iterator[ScreenPart]:
    if store is None:
        return
    for each in store.channels:
        yield each.channel, _channel(each)
    yield "preference", [_cut(store.preference or "not chosen yet")]
    yield "kills", _kills(store)


def _channel(channel: ChannelFacts) -> list[str]:
    state = channel.state if channel.sound else "not valid"
    said = f", by {channel.by}" if channel.state == VALID and channel.by else ""
    head = state if channel.version is None else f"{channel.version}  {_cut(state + said, SHORT)}"
    return [head] if channel.sound else [head, _below(channel.state)]


def _kills(store: StoreFacts) -> list[str]:
    lines = [] if store.open_kills else [_cut(f"in doubt: {fault}") for fault in store.kill_faults[:1]]
    for each in store.open_kills[:KILLS_SHOWN]:
        said = "not signed by a key trusted here"
        if each.record is not None:
            said = f"by {each.record.by}: {each.record.reason or 'no reason given'}"
        lines += [each.hash, _below(said)]
    more = len(store.open_kills) - KILLS_SHOWN
    return [*lines, *([f"and {more} more: trimtab policy status"] if more > 0 else [])] or ["none"]


def _nodes(nodes: Sequence[NodeView], room: int) -> Iterator[ScreenPart]:
    """A line with the number of nodes, then as many nodes as fit, those in trouble first."""
    ill = sum(not node.well for node in nodes)
    lines = [f"{len(nodes) or 'none'} alive" + (f", {ill} of them not well" if ill else "")]
    ordered = sorted(nodes, key=lambda node: (node.well, node.node_id))
    for shown, node in enumerate(ordered):
        entry = [_node(node), *(_below(note) for note in node.notes()[:1])]
        for_the_rest = 0 if shown == len(ordered) - 1 else 1
        if len(lines) + len(entry) + for_the_rest > room:
            lines.append(f"and {len(ordered) - shown} more: trimtab policy status")
            break
        lines += entry
    yield "nodes", lines


def _node(node: NodeView) -> str:
    state = "" if node.notes() else f"  {node.state()}"
    return f"{node.node_id}  {node.versions.get('stable', 'production')}{state}"


def _first(text: str, lines: int) -> list[str]:
    """The first lines of a sentence."""
    found = wrapped(text, ROOM)
    return found if len(found) <= lines else [*found[: lines - 1], _cut(" ".join(found[lines - 1 :]))]


def _below(text: str) -> str:
    """A remark on the line above."""
    return f"  {_cut(text, ROOM - 2)}"


def _cut(text: str, room: int = ROOM) -> str:
    shown = printable(text)
    return shown if len(shown) <= room else f"{shown[: room - 1]}…"
