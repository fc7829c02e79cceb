"""The learner's lease in the policy store, for as long as a process wants to train and publish.

1. Whoever has the lease trains and publishes. A thread renews it RENEWALS times within its life, so that it outlasts
   any training.
2. Another learner asks for it just as often. Until it gets it, it only ingests, and says once who has the lease.
3. If the store does not answer, the lease counts as held for the rest of its life, then as lost.
4. Every write names the lease's fencing token: a holder that was stalled and has missed the end of its lease
   overwrites nothing.
5. At the end of the process the lease is released. If the process is killed, the lease ends by itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from event_schemas.errors import TrimtabError
from policy_store.backends import Lease, PolicyStore
from policy_store.records import LeaseLost

LEASE_TTL_S = 60.0
RENEWALS = 4
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LeaseHolder:
    """Who asks for the lease: `owner` names host, process and start; `ttl_s` is the lease's life without renewal.

    `told` is called with whether the lease is held, whenever that changes. `clock` gives seconds that never go back.
    """

    owner: str = "learner"
    ttl_s: float = LEASE_TTL_S
    told: Callable[[bool], None] = lambda held: None  # noqa: ARG005  nobody is told
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class _Held:
    lease: Lease
    until: float


class LearnerLease:
    """The lease of one store for one holder; thread-safe."""

    def __init__(self, store: PolicyStore, holder: LeaseHolder) -> None:
        self._store = store
        self._holder = holder
        self._asking = threading.RLock()
        self._held: _Held | None = None
        self._fault: TrimtabError | None = None
        self._said: str | None = None
        self._blocks = 0
        self._granted: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether this process may train and publish now."""
        held = self._held
        return held is not None and self._holder.clock() < held.until

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Within the block the lease is asked for and renewed; after the outermost block it is released.

        Neither another holder nor a store that is down is an error here: `is_held` says whether it was got.
        """
        if self._blocks:
            yield
            return
        self._blocks += 1
        ended = threading.Event()
        self.ask()
        keeper = threading.Thread(target=self._keep, args=(ended,), name="trimtab-lease", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            ended.set()
            keeper.join()
            self._blocks -= 1
            self._release()

    @contextmanager
    def granted(self) -> Iterator[int]:
        """The lease's fencing token, for one write or run; within `kept` it is that lease.

        Within another block of `granted` it must still be that one's lease: a run that began under a lease writes
        nothing under a later one, since another learner may have had it between.

        Raises LeaseHeld while another learner has it, else LeaseLost or the store's error.
        """
        with self.kept():
            if not self.is_held:
                self.ask()
            held, outer = self._held, self._granted
            if held is None or not self.is_held:
                raise self._fault or LeaseLost("the learner's lease has expired", fix="try again in a moment")
            if outer not in (None, held.lease.token):
                what = "the lease that this run began under has ended"
                raise LeaseLost(what, fix="none needed: the next run is whole")
            self._granted = held.lease.token
            try:
                yield held.lease.token
            finally:
                self._granted = outer

    def ask(self) -> None:
        """Renews the lease, or acquires it if it is not held; says so once if that changes anything."""
        with self._asking:
            self._held, self._fault = self._answer()
            self._tell()

    def _keep(self, ended: threading.Event) -> None:
        while not ended.wait(self._holder.ttl_s / RENEWALS):
            self.ask()

    def _answer(self) -> tuple[_Held | None, TrimtabError | None]:
        """What is held now, and the error if it was not renewed or acquired."""
        asked, held = self._holder.clock(), self._held
        try:
            lease = self._renewed(held)
        except TrimtabError as fault:
            still = held is not None and not isinstance(fault, LeaseLost) and self._holder.clock() < held.until
            return (held if still else None), fault
        return _Held(lease, asked + self._holder.ttl_s), None

    def _renewed(self, held: _Held | None) -> Lease:
        if held is not None:
            try:
                self._store.renew_lease(held.lease)
                return held.lease
            except LeaseLost:  # the store was emptied, or too slow: nobody else need have it
                self._held = None
        return self._store.acquire_lease(self._holder.owner, self._holder.ttl_s)

    def _tell(self) -> None:
        fault, held = self._fault, self._held is not None
        told = "held" if held else type(fault).__name__  # not its text, which counts the time that is left
        if told == self._said:
            return
        self._said = told
        self._holder.told(held)
        if held:
            log.info("this learner has the lease: it trains and publishes", owner=self._holder.owner)
        elif fault is not None:
            log.warning(
                "without the lease this learner ingests, and neither trains nor publishes",
                what=fault.what,
                fix=fault.fix,
            )

    def _release(self) -> None:
        """Releases the lease; one that the store does not take back ends by itself."""
        with self._asking:
            held, self._held, self._said = self._held, None, None
            if held is None:
                return
            self._holder.told(False)
            try:
                self._store.release_lease(held.lease)
            except TrimtabError as fault:
                log.warning("lease not released, so it ends by itself", what=fault.what, fix=fault.fix)
