"""What this process served to each user last, for requests whose caller does not say it.

A process knows only its own decisions: for a user who is served by several nodes the memory has holes, and it begins
empty with the process. Callers who keep the answers and send them as `previous` have neither problem.
"""

import threading
from array import array
from collections import OrderedDict
from collections.abc import Iterable

from event_schemas.process_fork import renew_in_children
from event_schemas.records import PreviousWeightsRecord
from event_schemas.user_ids import person

MOST_USERS = 100_000
"""Users remembered at once; with two weights and five decisions each they take about 40 MB."""


class ServedMemory:
    """The `decisions` newest applied decisions of each of the `users` users served last. Thread-safe.

    `weights` is the number of weights of a decision.
    """

    def __init__(self, weights: int, decisions: int, users: int = MOST_USERS) -> None:
        self._step = 1 + weights
        self._longest = decisions * self._step
        self._most_users = users
        # By user: time, weights, time, weights, …, newest first. A stored array is never changed, only replaced, so
        # reading needs no lock.
        self._served: OrderedDict[str, array[float]] = OrderedDict()
        self._lock = threading.Lock()
        renew_in_children(self)

    def __len__(self) -> int:
        """The number of users remembered."""
        return len(self._served)

    def note(self, user_id: str | None, event_time: int, weights: Iterable[float]) -> None:
        """Notes an applied decision (its time in epoch ms, its weights in order); nothing if it has no user.

        Decisions may be applied in another order than they were made; of two with one time the one noted later is the
        newer. Beyond the bound, the user whose last decision was noted longest ago is forgotten.
        """
        user = person(user_id)
        if user is None:
            return
        entry = array("d", (event_time, *weights))
        with self._lock:
            kept = self._served.get(user)
            if kept is not None:
                at = 0
                while at < len(kept) and kept[at] > event_time:
                    at += self._step
                entry = (kept[:at] + entry + kept[at:])[: self._longest]
            self._served[user] = entry
            self._served.move_to_end(user)
            if len(self._served) > self._most_users:
                self._served.popitem(last=False)

    def before(self, user_id: str | None, event_time: int) -> list[PreviousWeightsRecord]:
        """The user's decisions before `event_time` (epoch ms), newest first, as a Request lists them."""
        kept = None if user_id is None else self._served.get(user_id)
        if kept is None:
            return []
        numbers, step = kept.tolist(), self._step
        return [
            {"event_time": int(numbers[at]), "weights": numbers[at + 1 : at + step]}
            for at in range(0, len(numbers), step)
            if numbers[at] < event_time
        ]

    def after_fork(self) -> None:
        """Renews the lock; a child continues with what its parent had served."""
        self._lock = threading.Lock()
