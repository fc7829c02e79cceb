"""Sends a node's heartbeats, and notices another live process that sends them under the same node id.

Two nodes with one id replace each other's heartbeats, so people see only one of them. A heartbeat therefore names its
`instance`, one run of a process. A node that has reported and then finds the report of another instance knows that this
instance is alive too. What it finds at its first heartbeat may be from the process that it replaces.
"""

import os
import secrets
import socket
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from event_schemas.errors import TrimtabError
from event_schemas.shown_text import cut
from monitoring.metrics import ServingMetrics
from policy_store.backends import PolicyStore
from serving_agent.pickup.fleet_share import EXPLORATION_SHARE, FleetShare

HEARTBEATS_BEFORE_DEAD = 3
LONGEST_INSTANCE = 200
UNNAMED = "of an earlier version"
WELL = "ok"
GIVE_EACH_ITS_OWN = "give each node an id of its own, such as with --node-id"
log = structlog.get_logger(__name__)


def new_instance() -> str:
    """A name for this run of this process, unlike any other: `<host>:<process id>:<8 random hex digits>`."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def heartbeat_lifetime_ms(every_ms: int) -> int:
    """How long a heartbeat lives that is sent every `every_ms`."""
    return max(HEARTBEATS_BEFORE_DEAD * every_ms, 1_000)


class NodeHeartbeat:
    """The heartbeat of one node, at most one every `every_ms`; the caller says when. Used by one thread.

    Each heartbeat claims the `share` of the fleet's exploration, if there is a cap, and reads those of all nodes.
    """

    def __init__(
        self,
        store: PolicyStore,
        every_ms: int,
        metrics: ServingMetrics | None = None,
        share: FleetShare | None = None,
    ) -> None:
        self._store = store
        self._every_ms = every_ms
        self._metrics = metrics
        self._share = share
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forgets what was sent and found: the next heartbeat is the first one."""
        self._beaten_at = 0
        self._told: str | None = None
        self._other: str | None = None
        self._other_until = 0
        self._known: set[str] = set()
        if self._share is not None:
            self._share.begin_anew()

    @property
    def name_state(self) -> str:
        """`ok`, or which other process sends heartbeats under this node's id."""
        if self._other is None:
            return WELL
        return f"another live process, {self._other}, sends heartbeats under this node id; {GIVE_EACH_ITS_OWN}"

    def beat(
        self, report: Callable[[], Mapping[str, Any]], now: int, *, at_once: bool = False, reachable: bool = True
    ) -> None:
        """Sends the report if one is due or `at_once`; a store that refuses it is only logged. `now` is in epoch ms.

        Nothing is sent to a store that has just been found not `reachable`.
        """
        if not reachable:
            self._missed()
            return
        # If the clock was set back, the node must not stay silent until the clock has caught up.
        if not at_once and 0 <= now - self._beaten_at < self._every_ms:
            return
        self._beaten_at = now
        if not 0 <= self._other_until - now <= self._lifetime_ms:
            self._other = None
        content = dict(report())
        if self._share is not None:
            content[EXPLORATION_SHARE] = self._share.next_claim()
        try:
            before = self._store.heartbeat(content["node_id"], content, self._lifetime_ms / 1_000.0)
        except TrimtabError as fault:
            log.warning("heartbeat not written", what=fault.what, fix=fault.fix)
            self._missed()
        else:
            self._compare(before, content, now)
            self._told = content["instance"]
            if self._share is not None:
                self._share.settle(self._store, content["node_id"], named_alone=self._other is None)
        if self._metrics is not None:
            self._metrics.node_id_shared.set(self._other is not None)

    def leave(self, report: Callable[[], Mapping[str, Any]]) -> None:
        """Gives the share up, and tells the others in a last heartbeat."""
        if self._share is None or not self._share.hand_back():
            return
        content = {**report(), EXPLORATION_SHARE: None}
        try:
            self._store.heartbeat(content["node_id"], content, self._lifetime_ms / 1_000.0)
        except TrimtabError as fault:
            log.warning("heartbeat not written", what=fault.what, fix=fault.fix)

    def _missed(self) -> None:
        if self._share is not None:
            self._share.missed()

    @property
    def _lifetime_ms(self) -> int:
        return heartbeat_lifetime_ms(self._every_ms)

    def _compare(self, before: Mapping[str, Any], content: Mapping[str, Any], now: int) -> None:
        """Compares the heartbeat that was replaced with the one sent before: both must be this process's own."""
        if self._told is not None and before and before.get("instance") != self._told:
            instance = before.get("instance")
            self._other = cut(instance, LONGEST_INSTANCE) if isinstance(instance, str) else UNNAMED
            self._other_until = now + self._lifetime_ms
            self._log_once(content["node_id"], self._other)

    def _log_once(self, node_id: str, other: str) -> None:
        if other in self._known:
            return
        self._known.add(other)
        log.warning("another live process uses this node id", node=node_id, instance=other, fix=GIVE_EACH_ITS_OWN)
