"""The checkpoints that the arms of online experiments name, as far as this node has accepted them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from event_schemas.errors import TrimtabError
from policy_store.backends import PolicyStore
from policy_store.decisions import TrustRule, verify_checkpoint
from policy_store.records import CheckpointManifest, SignedCheckpoint, StoreRefused, StoreUnreachable, UnknownCheckpoint
from serving_agent.decide.loaded_policy import LoadedPolicy
from serving_agent.decide.recent_traffic import RecentTraffic
from serving_agent.pickup.checkpoint_pickup import CheckpointPickup, PickupResult, PickupVerdict


@dataclass(frozen=True, slots=True)
class _Judged:
    """A checkpoint of an arm and the verdict on it; None for one that does not verify.

    `requests` is how many the node had seen by then. An `absent` one was not in the store.
    """

    verdict: PickupVerdict
    signed: SignedCheckpoint | None = None
    manifest: CheckpointManifest | None = None
    requests: int = 0
    absent: bool = False


class ArmPickup:
    """Takes the checkpoints of arms through the same steps as those of channels. Used by one thread.

    `new_evidence`: requests that must have come before a verdict of drift is looked at again.
    """

    def __init__(self, rule: TrustRule, pickup: CheckpointPickup, recent: RecentTraffic, new_evidence: int) -> None:
        self._rule, self._pickup, self._recent, self._new_evidence = rule, pickup, recent, new_evidence
        self._judged: dict[str, _Judged] = {}

    def policy(self, version: str) -> LoadedPolicy | None:
        """The accepted policy; None while there is none."""
        judged = self._judged.get(version)
        return None if judged is None else judged.verdict.policy

    @property
    def accepted(self) -> Mapping[str, SignedCheckpoint]:
        """The accepted checkpoints by version, as they were signed."""
        return {
            version: judged.signed
            for version, judged in self._judged.items()
            if judged.signed is not None and judged.verdict.policy is not None
        }

    @property
    def verdicts(self) -> Mapping[str, PickupVerdict]:
        """The last verdict on each checkpoint."""
        return {version: judged.verdict for version, judged in self._judged.items()}

    def forget_all_but(self, versions: Iterable[str]) -> None:
        """Forgets the checkpoints that no arm names any more."""
        wanted = set(versions)
        self._judged = {version: judged for version, judged in self._judged.items() if version in wanted}

    def look_again(self) -> None:
        """Forgets verdicts on checkpoints that do not verify: people have decided anew, and may have mended them."""
        self._judged = {version: judged for version, judged in self._judged.items() if judged.signed is not None}

    def judge(self, store: PolicyStore, version: str) -> PickupVerdict | None:
        """The verdict if it is another one than before; None otherwise. Raises StoreUnreachable and StoreRefused."""
        held = self._judged.get(version)
        if held is not None and not self._may_change(held):
            return None
        judged = self._fetched(store, version) if held is None or held.signed is None else self._again(held)
        self._judged[version] = judged
        same = held is not None and held.verdict.result is judged.verdict.result and judged.verdict.policy is None
        return None if same else judged.verdict

    def restore(self, version: str, signed: SignedCheckpoint) -> None:
        """Loads a saved checkpoint without a drift check; raises TrimtabError."""
        manifest = verify_checkpoint(signed, version, self._rule)
        policy = self._pickup.load(manifest, signed)
        verdict = PickupVerdict(PickupResult.ACCEPTED, ("from this node's disk",), policy)
        self._judged[version] = _Judged(verdict, signed, manifest)

    def _may_change(self, held: _Judged) -> bool:
        if held.verdict.waits_for_traffic:
            return self._recent.seen - held.requests >= self._new_evidence
        # One that does not verify is not fetched at every look: it is large, and does not change.
        return held.absent

    def _fetched(self, store: PolicyStore, version: str) -> _Judged:
        try:
            signed = store.get_checkpoint(version)
            manifest = verify_checkpoint(signed, version, self._rule)
        except (StoreUnreachable, StoreRefused):
            raise
        except TrimtabError as fault:
            absent = isinstance(fault, UnknownCheckpoint)
            return _Judged(PickupVerdict(PickupResult.UNVERIFIED, (str(fault),)), absent=absent)
        return self._again(_Judged(PickupVerdict(PickupResult.UNVERIFIED), signed, manifest))

    def _again(self, held: _Judged) -> _Judged:
        assert held.manifest is not None
        assert held.signed is not None
        verdict = self._pickup.consider(held.manifest, held.signed)
        return _Judged(verdict, held.signed, held.manifest, self._recent.seen)
