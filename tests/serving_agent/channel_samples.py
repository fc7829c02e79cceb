"""Every state of a channel as a value, and what must be true between one state and the next."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from itertools import product

from policy_store.decisions.verification import VerifiedCheckpoint
from policy_store.decisions.verified_reading import read_channel_verified
from policy_store.records.channel_record import Channel, ChannelRecord
from policy_store.records.revision_rules import DecisionOrder
from serving_agent.decide.loaded_policy import LoadedPolicy
from serving_agent.pickup.channel_state import ChannelState, Newest, Service, Serving, Told, Waiting
from serving_agent.pickup.checkpoint_pickup import PickupResult, PickupVerdict
from serving_agent.pickup.snapshot_disk import SavedChannel
from tests.serving_samples import DAY_MS, NOW, StoreDesk, loaded, preferring, serving_experiment

EXPERIMENT = serving_experiment()
GRAPH = preferring(EXPERIMENT, repin=2)
POLICY = loaded(EXPERIMENT, GRAPH, "v0")
POLICIES: dict[str, LoadedPolicy] = {}


def decisions(*versions: str) -> list[VerifiedCheckpoint]:
    """Verified decisions about these versions, one after the other."""
    desk, made = StoreDesk(EXPERIMENT), []
    for version in versions:
        desk.publish(version, GRAPH)
        desk.point(Channel.STABLE, version)
        found = read_channel_verified(desk.store, Channel.STABLE, desk.rule, now_ms=NOW)
        assert found is not None
        made.append(found)
        desk.now += 1
    return made


SERVED, WAITS, BAD, NEXT = decisions("served", "waits", "bad", "next")


def policy_of(decision: VerifiedCheckpoint) -> LoadedPolicy:
    """As if it had been loaded, once."""
    return POLICIES.setdefault(decision.manifest.version, replace(POLICY, version=decision.manifest.version))


def place_of(decision: VerifiedCheckpoint) -> DecisionOrder:
    """In the first epoch."""
    return DecisionOrder(0, decision.channel.revision)


def saying(result: PickupResult, *notes: str, policy: LoadedPolicy | None = None, highest: int = 7) -> Told:
    """A verdict that was told."""
    return Told(PickupVerdict(result, notes, policy), highest)


def serving(decision: VerifiedCheckpoint = SERVED, *, stale: bool = False) -> Serving:
    """What serves after this decision was accepted."""
    saved = SavedChannel(decision.record, decision.signed)
    revision = decision.channel.revision
    return Serving(policy_of(decision), revision, place_of(decision), saved, decision.expires_at, stale=stale)


def state_of(service: Service, newest: Newest, cause: PickupResult = PickupResult.LIVE_DRIFT) -> ChannelState:
    """One of the twelve states."""
    state = ChannelState()
    if service is not Service.EMPTY:
        state = ChannelState(
            serving=serving(stale=service is Service.STALE),
            seen=place_of(SERVED),
            told=saying(PickupResult.ACCEPTED, policy=policy_of(SERVED)),
        )
    if newest in (Newest.WAITING, Newest.BLOCKED):
        state = replace(state, waiting=Waiting(WAITS, cause, 0), seen=place_of(WAITS), told=saying(cause, "PSI 0.9"))
    if newest in (Newest.REFUSED, Newest.BLOCKED):
        state = replace(state, refused=BAD.record, told=saying(PickupResult.UNVERIFIED, "forged"))
    return state


STATES = [state_of(service, newest) for service, newest in product(Service, Newest)]


def broken(state: ChannelState) -> list[int]:
    """The numbers of the invariants that one state breaks by itself."""
    numbers = []
    if (serving := state.serving) is not None:
        record = ChannelRecord.parse(serving.saved.record.record)
        version = serving.saved.checkpoint.parsed().version
        same = serving.policy.version == version == record.version and serving.accepted.revision == serving.revision
        if not same or serving.revision != record.revision or serving.expires_at < record.expires_at:
            numbers.append(2)
    if (waiting := state.waiting) is not None:
        if state.serves(waiting.verified.record) or state.refused == waiting.verified.record:
            numbers.append(4)
        drift = waiting.cause in (PickupResult.Q_DRIFT, PickupResult.LIVE_DRIFT)
        if state.seen.revision != waiting.verified.channel.revision or not drift:
            numbers.append(5)
    if state.accepted > state.seen:
        numbers.append(6)
    return numbers


def broken_between(before: ChannelState, after: ChannelState, voided: Set[str] = frozenset()) -> list[int]:
    """The numbers of the invariants that a step breaks, its second state included; not for Restored."""
    numbers = broken(after)
    if before.serving is not None and after.serving is None:
        numbers.append(1)
    if after.saved != before.saved:
        told = after.verdict
        if told is None or after.serving is None or told.policy is not after.serving.policy or after.stale:
            numbers.append(3)
    if after.seen < before.seen:
        numbers.append(6)
    if before.drifted and not after.drifted and not _may_end_drift(before, after, voided):
        numbers.append(7)
    return numbers


def _may_end_drift(before: ChannelState, after: ChannelState, voided: Set[str]) -> bool:
    assert before.waiting is not None
    record = before.waiting.verified.record
    judged_anew = after.told is not before.told and (
        after.verdict is not None
        and after.verdict.result
        in (PickupResult.ACCEPTED, PickupResult.Q_DRIFT, PickupResult.CONTRACT, PickupResult.EXPIRED)
    )
    return judged_anew or record.hash in voided or after.refused == record or after.seen > before.seen


AFTER_EXPIRY = NOW + 2 * DAY_MS
