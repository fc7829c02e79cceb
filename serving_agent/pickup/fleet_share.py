"""A node's share of what the whole fleet may explore, agreed on by heartbeats alone: no node coordinates.

Each heartbeat claims a share in [0, 1]. The claims that nodes use add up to at most 1, by four rules:

1. **Claim, read, then use.** A node uses a larger share only after it has written the claim, then read all heartbeats,
   and found that all claims add up to at most 1. Of two nodes that grow at once, the later reader sees both claims.
2. **Shrink at once.** A node that sees more nodes first uses its smaller share, and then claims it.
3. **A claim is a lease.** It holds until shortly before the heartbeat would expire. A node that has not confirmed
   another by then uses min(its share, 1 / most nodes). Others count a claim that they have seen in full for as long.
4. **A node that vanished may only be cut off.** For an hour others keep 1 / most nodes free for it. One that closes
   gives its share up.

A node that has just come, or come back, claims no more than 1 / most nodes for one lifetime of a heartbeat: by then it
has seen every other node, even if the store has lost its data.

So the shares in use add up to at most 1 if there are at most `most_nodes` nodes with ids of their own, and the store
loses no heartbeat that it has confirmed. Each node that is cut off from a store that others reach adds at most
1 / most nodes, and only where the others do not know it or have not seen it for an hour.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from event_schemas.errors import TrimtabError
from policy_store.backends import PolicyStore

EXPLORATION_SHARE = "exploration_share"
"""The heartbeat's field: the share that a node claims; null once it has given it up, absent without a cap."""
LEASED = 0.9
"""The part of a heartbeat's lifetime in which its node relies on it."""
FORGOTTEN_AFTER_S = 3_600.0
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ShareBounds:
    """What all nodes of the fleet know beforehand.

    most_nodes    the most nodes that the fleet may have, 1 or more
    most_shares   the most nodes that the cap is worth splitting among, 1 or more
    lifetime_s    how long a heartbeat lives, in seconds
    """

    most_nodes: int
    most_shares: int
    lifetime_s: float

    @property
    def alone(self) -> float:
        """The share of a node that knows nothing of the others."""
        return 1.0 / self.most_nodes


@dataclass(frozen=True, slots=True)
class _Seen:
    """Another node's claim, and when it was last read, in seconds of this node's timer."""

    claim: float
    at: float


class FleetShare:
    """The share of one node; `timer` gives seconds of a monotonic clock.

    `in_force` may be called by any thread and is quick. The thread that sends heartbeats calls the rest: `next_claim`
    before each, `settle` after it was confirmed, `missed` when the store did not answer.
    """

    def __init__(self, bounds: ShareBounds, timer: Callable[[], float] = time.perf_counter) -> None:
        self._bounds = bounds
        self._timer = timer
        self._crowded = False
        self.begin_anew()

    def begin_anew(self) -> None:
        """As a node of its own that has not tried to reach the store: it explores nothing before."""
        self._claim = 0.0
        self._lease = (0.0, math.inf)
        self._sent_at = -math.inf
        self._came_at: float | None = None
        self._others: dict[str, _Seen] = {}

    def in_force(self) -> float:
        """The share that may be used now."""
        share, until = self._lease
        return share if self._timer() < until else min(share, self._bounds.alone)

    @property
    def _lapsed(self) -> bool:
        return self._timer() >= self._lease[1]

    def next_claim(self) -> float:
        """The share that the heartbeat claims which is sent now."""
        self._sent_at = self._timer()
        if self._lapsed:
            self._claim = min(self._claim, self._bounds.alone)
        return self._claim

    def missed(self) -> None:
        """The store did not answer: a node that it never reached takes the share of one that knows nothing."""
        if self._lease[1] == math.inf:
            self._claim = self._bounds.alone
            self._lease = (self._bounds.alone, -math.inf)

    def settle(self, store: PolicyStore, node_id: str, *, named_alone: bool) -> None:
        """Reads all heartbeats, once this node's own was confirmed; a store that refuses is only logged.

        `named_alone` says that no other process uses this node's id.
        """
        try:
            nodes = {each.node_id: each.status for each in store.nodes()}
        except TrimtabError as fault:
            log.warning("heartbeats not read", what=fault.what, fix=fault.fix)
            self.missed()
        else:
            self._settle(nodes, node_id, named_alone)

    def _settle(self, nodes: Mapping[str, Mapping[str, Any]], node_id: str, named_alone: bool) -> None:
        now, alone, lifetime = self._timer(), self._bounds.alone, self._bounds.lifetime_s
        live = self._note(nodes, node_id, now)
        reserved = self._reserved(live, now)
        free = max(0.0, 1.0 - self._leased(live, now) - reserved)
        usable = min(self._claim, free) if node_id in nodes else 0.0
        share = self._lease[0]
        if self._lapsed or self._came_at is None:
            share = usable = min(usable, alone)
            self._came_at = now
        target = self._target(sorted({*live, node_id}), node_id, reserved)
        if not named_alone:
            target = min(target, alone)
        share = min(max(share, usable), target)
        self._lease = (share, self._sent_at + LEASED * lifetime)
        most = min(free, alone) if now < self._came_at + lifetime else free
        self._claim = min(target, max(share, most))

    def hand_back(self) -> bool:
        """Gives the share up for good; whether others have seen it, and have to be told."""
        seen = self._came_at is not None and not self._lapsed
        self._lease = (0.0, math.inf)
        return seen

    def _note(self, nodes: Mapping[str, Mapping[str, Any]], own: str, now: float) -> set[str]:
        """Remembers the claims read; the other nodes that are alive and share the cap."""
        live = set()
        for node_id, status in nodes.items():
            if node_id == own or EXPLORATION_SHARE not in status:
                continue
            claim = claimed_share(status[EXPLORATION_SHARE])
            if claim is None:
                self._others.pop(node_id, None)
            else:
                live.add(node_id)
                self._others[node_id] = _Seen(claim, now)
        oldest = now - self._bounds.lifetime_s - FORGOTTEN_AFTER_S
        self._others = {name: seen for name, seen in self._others.items() if seen.at >= oldest and name != own}
        self._warn_if_crowded(len(live) + 1)
        return live

    def _leased(self, live: set[str], now: float) -> float:
        """The claims of others that may be in use: of live nodes, and of those that cannot have lost their lease."""
        until = {name: seen.at + self._bounds.lifetime_s for name, seen in self._others.items()}
        return math.fsum(seen.claim for name, seen in self._others.items() if name in live or now < until[name])

    def _reserved(self, live: set[str], now: float) -> float:
        """What is kept free for nodes whose heartbeats have expired, of which there are most_nodes − live at most."""
        alone = self._bounds.alone
        expired = (
            min(seen.claim, alone)
            for name, seen in self._others.items()
            if name not in live and now >= seen.at + self._bounds.lifetime_s
        )
        return min(math.fsum(expired), max(0.0, 1.0 - (len(live) + 1) * alone))

    def _target(self, nodes: list[str], own: str, reserved: float) -> float:
        """An equal share of what is not reserved, for the first `most_shares` of the nodes."""
        sharing = min(len(nodes), self._bounds.most_shares)
        return (1.0 - reserved) / sharing if nodes.index(own) < sharing else 0.0

    def _warn_if_crowded(self, nodes: int) -> None:
        before, self._crowded = self._crowded, nodes > self._bounds.most_nodes
        if self._crowded and not before:
            log.warning(
                "more nodes than serving.most_nodes: without the policy store they explore more than the cap",
                nodes=nodes,
                most_nodes=self._bounds.most_nodes,
                fix="raise serving.most_nodes in the experiment file of every node",
            )


def claimed_share(claim: Any) -> float | None:
    """The share in [0, 1] that a heartbeat claims; None if it claims none. Heartbeats are not signed."""
    if isinstance(claim, bool) or not isinstance(claim, int | float) or claim != claim:
        return None
    return float(min(max(claim, 0.0), 1.0))
