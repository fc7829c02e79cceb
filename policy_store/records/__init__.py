"""The content of the store: signed records, their canonical bytes, the rules of their order, and the store's errors.

Reads bytes and keys.
Writes nothing but the key files of `trimtab policy keygen`.
Guarantees one byte form for each record, an Ed25519 signature over it, and the numbered rules of `revision_rules`.
Fails with the errors listed at the top of `store_errors`; every refusal names slot and reason.
"""

from policy_store.records.account_record import AccountRecord
from policy_store.records.canonical_json import parse_object
from policy_store.records.channel_record import Channel, ChannelRecord, channel_slot
from policy_store.records.checkpoint_record import (
    BOUND_TOLERANCE,
    EVALUATION_BLOB,
    OUTPUTS,
    POLICY_BLOB,
    PREFERENCE_INPUT,
    SUM_TOLERANCE,
    WEIGHTS_BLOB,
    Answer,
    CheckpointManifest,
    SignedCheckpoint,
    check_blobs,
    describe_blobs,
)
from policy_store.records.control_record import CONTROL_SLOT, ControlRecord
from policy_store.records.experiment_record import (
    CANARY_ARM,
    CANARY_PREFIX,
    CONTROL_ARM,
    EXPERIMENTS_SLOT,
    ExperimentArm,
    ExperimentsRecord,
    OnlineExperiment,
    canary_shares,
)
from policy_store.records.governed_record import SignedRecord, said
from policy_store.records.ledger_record import LEDGER_SLOT, LedgerRecord, Verdict
from policy_store.records.objective_weights import (
    ObjectiveWeights,
    initial_target,
    judged_under,
    same_weights,
    weights_of,
)
from policy_store.records.preference_proposal import PreferenceProposal, ProposalStatus, new_proposal_id
from policy_store.records.preference_record import (
    PREFERENCE_SLOT,
    PreferenceRecord,
    PreferenceTarget,
    parse_weights,
    require_known_cohort,
    weight_options,
)
from policy_store.records.rebase_record import REBASE_SLOT, RebaseRecord
from policy_store.records.revision_rules import DecisionOrder, ReaderMemory, require_clocks_agree
from policy_store.records.signing import Role, SigningKey, TrustedKeys, write_key_pair
from policy_store.records.store_errors import (
    ContractMismatch,
    ExperimentRefused,
    LeaseLost,
    RecordExpired,
    RecordFromFuture,
    RecordMalformed,
    RevisionConflict,
    SignatureInvalid,
    StoreRefused,
    StoreUnreachable,
    UnknownCheckpoint,
)

__all__ = [
    "AccountRecord",
    "Answer",
    "BOUND_TOLERANCE",
    "CANARY_ARM",
    "CANARY_PREFIX",
    "CONTROL_ARM",
    "CONTROL_SLOT",
    "Channel",
    "ChannelRecord",
    "CheckpointManifest",
    "ContractMismatch",
    "ControlRecord",
    "DecisionOrder",
    "EVALUATION_BLOB",
    "EXPERIMENTS_SLOT",
    "ExperimentArm",
    "ExperimentRefused",
    "ExperimentsRecord",
    "LEDGER_SLOT",
    "LeaseLost",
    "LedgerRecord",
    "OUTPUTS",
    "ObjectiveWeights",
    "OnlineExperiment",
    "POLICY_BLOB",
    "PREFERENCE_INPUT",
    "PREFERENCE_SLOT",
    "PreferenceProposal",
    "PreferenceRecord",
    "PreferenceTarget",
    "ProposalStatus",
    "REBASE_SLOT",
    "ReaderMemory",
    "RebaseRecord",
    "RecordExpired",
    "RecordFromFuture",
    "RecordMalformed",
    "RevisionConflict",
    "Role",
    "SUM_TOLERANCE",
    "SignatureInvalid",
    "SignedCheckpoint",
    "SignedRecord",
    "SigningKey",
    "StoreRefused",
    "StoreUnreachable",
    "TrustedKeys",
    "UnknownCheckpoint",
    "Verdict",
    "WEIGHTS_BLOB",
    "canary_shares",
    "channel_slot",
    "check_blobs",
    "describe_blobs",
    "initial_target",
    "judged_under",
    "new_proposal_id",
    "parse_object",
    "parse_weights",
    "require_clocks_agree",
    "require_known_cohort",
    "said",
    "same_weights",
    "weight_options",
    "weights_of",
    "write_key_pair",
]
