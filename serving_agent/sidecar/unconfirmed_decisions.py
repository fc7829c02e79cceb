"""The decisions that a sidecar has returned over HTTP and that may still be confirmed; bounded."""

import threading
from collections import OrderedDict
from collections.abc import Callable

from event_schemas.process_fork import renew_in_children
from serving_agent.decide.decision import Decision

STRIPES = 64


class UnconfirmedDecisions:
    """The newest `capacity` decisions by request id. Thread-safe.

    Confirmed ones are kept until newer ones displace them, so that a caller who repeats a call after a lost answer gets
    the same answer again. A decision displaced unconfirmed ends as `incomplete` in the join; `forgotten` counts those.
    """

    def __init__(self, capacity: int = 20_000) -> None:
        self._capacity = capacity
        self._decisions: OrderedDict[str, Decision] = OrderedDict()
        self.forgotten = 0
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
            self._decisions[decision.request_id] = decision
            self._decisions.move_to_end(decision.request_id)
            while len(self._decisions) > self._capacity:
                _, oldest = self._decisions.popitem(last=False)
                self.forgotten += not oldest.confirmed

    def find(self, request_id: str) -> Decision | None:
        """The decision with that id, if it is still kept."""
        with self._lock:
            return self._decisions.get(request_id)

    def __len__(self) -> int:
        return len(self._decisions)
