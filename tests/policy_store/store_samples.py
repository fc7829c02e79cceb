"""Keys, manifests and decisions that the tests of the policy store share."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from event_schemas.instant import wall_clock_ms
from policy_store.backends.store import PolicyStore
from policy_store.decisions.governance import approve_proposal, propose_preference
from policy_store.decisions.record_places import Decider
from policy_store.decisions.verification import Approval, TrustRule
from policy_store.records.checkpoint_record import CheckpointManifest, SignedCheckpoint, describe_blobs, sign_checkpoint
from policy_store.records.preference_record import PreferenceRecord, PreferenceTarget
from policy_store.records.signing import Role, SigningKey, TrustedKeys
from tests.policy_store.foreign_hands import ForeignHands

LEARNER = SigningKey.generate(Role.LEARNER, "main")
PEOPLE = SigningKey.generate(Role.GOVERNANCE, "board")
STRANGER = SigningKey.generate(Role.GOVERNANCE, "stranger")
TRUSTED_TEXT = f"{LEARNER.public_text()},{PEOPLE.public_text()}"
TRUSTED = TrustedKeys.parse(TRUSTED_TEXT)
SPACE = "ab" * 32
NOW = 1_700_000_000_000
TTL_MS = 3_600_000
BLOBS = {"policy.onnx": b"\x08\x07graph", "weights.safetensors": bytes(range(256)), "evaluation.json": b"{}"}

_names = itertools.count()


def fresh_experiment() -> str:
    """An experiment name no other test uses."""
    return f"homefeed-{next(_names)}"


def manifest(experiment: str, version: str = "v1", **changes: object) -> CheckpointManifest:
    """A complete manifest for BLOBS."""
    content: dict[str, object] = {
        "version": version,
        "experiment": experiment,
        "created_at": NOW,
        "algorithm": "q_network",
        "action_space": SPACE,
        "arms": 50,
        "objectives": ["repin", "save"],
        "feature_contract": "cd" * 32,
        "evaluation": {"verdict": "pass"},
        "blobs": {name: entry.model_dump() for name, entry in describe_blobs(BLOBS).items()},
    }
    return CheckpointManifest.model_validate(content | changes)


def checkpoint(experiment: str, version: str = "v1", key: SigningKey = LEARNER) -> SignedCheckpoint:
    """A signed checkpoint with BLOBS."""
    return sign_checkpoint(manifest(experiment, version), BLOBS, key)


def rule(experiment: str, approval: Approval = Approval.MANUAL) -> TrustRule:
    """What a serving node of the experiment accepts."""
    return TrustRule(TRUSTED, experiment, SPACE, approval)


def people(now_ms: int | None = None, reason: str = "looks good") -> Decider:
    """A decision by people; `now_ms` is their clock's time, by default this machine's."""
    return Decider(by="ada", reason=reason, now_ms=_clock(now_ms), key=PEOPLE)


def learner(now_ms: int | None = None) -> Decider:
    """A decision by the learner."""
    return Decider(by="learner main", reason="gate passed", now_ms=_clock(now_ms), key=LEARNER)


def set_preference(
    store: PolicyStore,
    target: PreferenceTarget,
    decider: Decider,
    *,
    cohort: str | None = None,
    trust: TrustRule | None = None,
) -> PreferenceRecord:
    """Propose a target for a cohort, or for everybody else, and approve it by a rule, by default `rule`."""
    proposal_id = f"set-{next(_names)}"
    propose_preference(store, proposal_id, cohort, target, decider)
    return approve_proposal(store, proposal_id, target, decider, trust or rule(store.experiment))


def _clock(now_ms: int | None) -> int:
    return wall_clock_ms() if now_ms is None else now_ms


@dataclass(frozen=True)
class StoreBench:
    """A store, a second client of the same contents, a way to let time pass, and what others may do to the store."""

    store: PolicyStore
    second: PolicyStore
    let_pass: Callable[[int], None]
    hands: ForeignHands

    @property
    def experiment(self) -> str:
        """The experiment of both clients."""
        return self.store.experiment
