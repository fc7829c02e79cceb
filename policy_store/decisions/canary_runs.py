"""The canaries that have run: from when, until when, and how much of the error budget each may spend.

Every canary may be declared superior though it does nothing, so they share the budget. The k-th canary within the
RENEWAL_MS before its start, itself included, has the share 6 / (π² k²) of it. In any window of that length the j-th
canary has k ≥ j, and Σ 6 / (π² j²) = 1: however many canaries a learner starts, and however soon they end, the budget
holds for any 90 days.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from event_schemas.errors import TrimtabError
from event_schemas.units import DAY_MS
from policy_store.backends.store import PolicyStore
from policy_store.decisions.rebase_reading import remembered_rebases
from policy_store.decisions.verification import TrustRule, verify_channel
from policy_store.records.channel_record import Channel, ChannelRecord, channel_slot

RENEWAL_MS = 90 * DAY_MS


@dataclass(frozen=True, slots=True)
class CanaryRun:
    """`version` was the canary from `start` (epoch ms); `end` is None while it is.

    `number` counts the canaries that began within RENEWAL_MS before, and this one.
    """

    version: str
    start: int
    end: int | None
    number: int

    @property
    def budget_share(self) -> float:
        """The share of the error budget that it may spend, in (0, 1)."""
        return 6.0 / (math.pi**2 * self.number**2)


def canary_runs(store: PolicyStore, rule: TrustRule) -> list[CanaryRun]:
    """All canaries in the channel's history that verify and that no re-base voids, oldest first.

    A canary ends when it is withdrawn, when the channel gets another version, or when stable is decided.
    """
    voided = remembered_rebases(store, rule).voided
    decisions = sorted(
        [each for channel in (Channel.CANARY, Channel.STABLE) for each in _verified(store, channel, rule, voided)],
        key=lambda each: each.revision,
    )
    runs: list[CanaryRun] = []
    serving: str | None = None
    for place, each in enumerate(decisions):
        starts = each.channel is Channel.CANARY and not each.withdrawn
        if starts and each.version != serving:
            recent = [run for run in runs if run.start > each.revision - RENEWAL_MS]
            end = _end(decisions[place + 1 :], each.version)
            runs.append(CanaryRun(each.version, each.revision, end, len(recent) + 1))
        serving = each.version if starts else None
    return runs


def _end(later: Sequence[ChannelRecord], version: str) -> int | None:
    for each in later:
        if each.channel is Channel.STABLE or each.withdrawn or each.version != version:
            return each.revision
    return None


def _verified(store: PolicyStore, channel: Channel, rule: TrustRule, voided: Collection[str]) -> list[ChannelRecord]:
    records = []
    for signed in store.history(channel_slot(channel)):
        if signed.hash in voided:
            continue
        try:
            records.append(verify_channel(signed, channel, rule))
        except TrimtabError:  # an unverifiable record decides nothing
            continue
    return records
