"""The decisions a sidecar has handed out over HTTP, until they are confirmed; bounded."""

import threading
from collections import OrderedDict
from collections.abc import Callable

from event_schemas.process_fork import renew_in_children
from serving_agent.decide.decision import Decision

STRIPES = 64


class UnconfirmedDecisions:
    """The newest `capacity` decisions by request id. Safe across threads.

    Confirmed ones stay until they fall out, so that a caller who repeats a call after a lost answer gets the same
    answer again. What falls out unconfirmed ends as `incomplete` in the join; `forgotten` counts those.
    """

    def __init__(self, capacity: int = 20_000) -> None:
        self._capacity = capacity
        self._decisions: OrderedDict[str, Decision] = OrderedDict()
        self.forgotten = 0
        self.after_fork()
        renew_in_children(self)

    def after_fork(self) -> None:
        """A child goes on with the decisions its parent has handed out; the locks are its own."""
        self._lock = threading.Lock()
        self._deciding = [threading.Lock() for _ in range(STRIPES)]

    def once(self, request_id: str, decide: Callable[[], Decision]) -> Decision:
        """The decision remembered under that id, else the one `decide` makes, remembered from then on.

        A caller who gave up and asks again while the first call is still under way waits for its answer: two
        decisions under one id would be two different Requests in the log, which the join counts as a conflict.
        """
        with self._deciding[hash(request_id) % STRIPES]:
            decision = self.find(request_id)
            if decision is None:
                decision = decide()
                self.remember(decision)
        return decision

    def remember(self, decision: Decision) -> None:
        """Keep a decision; the oldest one falls out when there are too many."""
        with self._lock:
            self._decisions[decision.request_id] = decision
            self._decisions.move_to_end(decision.request_id)
            while len(self._decisions) > self._capacity:
                _, oldest = self._decisions.popitem(last=False)
                self.forgotten += not oldest.confirmed

    def find(self, request_id: str) -> Decision | None:
        """The decision of that id, when it is still remembered."""
        with self._lock:
            return self._decisions.get(request_id)

    def __len__(self) -> int:
        return len(self._decisions)
