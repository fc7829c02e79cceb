"""The decisions that a sidecar has returned over HTTP and that may still be confirmed; bounded."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from weakref import WeakSet

from event_schemas.process_fork import renew_in_children
from serving_agent.decide.decision import Decision
from serving_agent.decide.decision_records import HeadSummaries

STRIPES = 64


class UnconfirmedDecisions:
    """The newest `capacity` decisions by request id. Thread-safe.

    Confirmed ones are kept until newer ones displace them, so that a caller who repeats a call after a lost answer gets
    the same answer again; they are not unconfirmed, so `held` leaves them out. A decision displaced unconfirmed ends as
    `incomplete` in the join; `forgotten` counts those.
    """

    def __init__(self, capacity: int = 20_000) -> None:
        self._capacity = capacity
        self._decisions: OrderedDict[str, Decision] = OrderedDict()
        self.forgotten = 0
        self._displaced: WeakSet[Decision] = WeakSet()
        """The forgotten ones that a call has found before they were displaced and may still confirm."""
        self.after_fork()
        renew_in_children(self)

    def after_fork(self) -> None:
        """Renews the locks; a child continues with the decisions of its parent."""
        self._lock = threading.Lock()
        self._deciding = [threading.Lock() for _ in range(STRIPES)]

    def once(self, request_id: str, decide: Callable[[], Decision]) -> Decision:
        """The decision kept under that id; if there is none, `decide` makes one, which is kept.

        A caller that repeats a request while the first call is still in progress waits for its answer: two decisions
        with one id would be two different Requests in the log, which the join counts as a conflict.
        """
        with self._deciding[hash(request_id) % STRIPES]:
            decision = self.find(request_id)
            if decision is None:
                decision = decide()
                self.remember(decision)
        return decision

    def remember(self, decision: Decision) -> None:
        """Keeps a decision, and removes the oldest one if there are too many."""
        with self._lock:
            before = self._decisions.pop(decision.request_id, decision)
            if before is not decision:
                self._forget(before)
            self._decisions[decision.request_id] = decision
            while len(self._decisions) > self._capacity:
                self._forget(self._decisions.popitem(last=False)[1])

    def find(self, request_id: str) -> Decision | None:
        """The decision with that id, if it is still kept."""
        with self._lock:
            return self._decisions.get(request_id)

    def take_confirmation(
        self, decision: Decision, heads: HeadSummaries, served: Sequence[str], ranker_version: str
    ) -> bool:
        """Confirms a decision that `find` returned, even if it was displaced since; see `Decision.applied`."""
        first = decision.applied(heads, served, ranker_version)
        with self._lock:
            if first and decision in self._displaced:
                self._displaced.discard(decision)
                self.forgotten -= 1
        return first

    @property
    def held(self) -> int:
        """How many of the decisions kept are unconfirmed."""
        with self._lock:
            kept = list(self._decisions.values())
        return sum(not decision.confirmed for decision in kept)

    def _forget(self, displaced: Decision) -> None:
        if not displaced.confirmed:
            self.forgotten += 1
            self._displaced.add(displaced)
