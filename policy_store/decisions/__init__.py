"""Writes the decisions of people and the learner, and verifies them before readers use them.

Reads and writes signed records through a PolicyStore.
Guarantees that every decision is signed by a role that may make it, that everything read is verified from signature to
blob, and that a kill is never refused.
Fails with the errors of `policy_store.records.store_errors`; after any of them nothing has changed.
"""

from policy_store.decisions.account_keeping import FoundAccount, RunAccount, keep_account, read_account_verified
from policy_store.decisions.canary_runs import CanaryRun, canary_runs
from policy_store.decisions.control_reading import ControlReader
from policy_store.decisions.experiment_decisions import conclude_experiment, enlarge_experiment, start_experiment
from policy_store.decisions.experiment_reading import (
    planned_experiment,
    read_experiments_verified,
    read_ledger_verified,
    running_canary,
)
from policy_store.decisions.file_differences import ONE_FILE, FileDifference, file_differences
from policy_store.decisions.governance import (
    approve_proposal,
    find_open_proposal,
    keep_fresh,
    point_channel,
    propose_preference,
    publish_checkpoint,
    reject_proposal,
    require_served_before,
    rollback_version,
    withdraw_canary,
)
from policy_store.decisions.inspection import SLOTS, Finding, inspect_store, require_slot
from policy_store.decisions.kill_decisions import UNSIGNED, KillState, OpenKill, kill, kill_state, kills_to_lift, resume
from policy_store.decisions.node_refusals import Refusal, node_refusals
from policy_store.decisions.overview import EMPTY, VALID, WITHDRAWN, channel_overview, store_overview
from policy_store.decisions.rebase_reading import remembered_rebases, verified_rebases
from policy_store.decisions.rebasing import plan_rebase, rebase
from policy_store.decisions.record_places import Decider, Statement
from policy_store.decisions.releases import Ending, Release, keep_release, kept_releases
from policy_store.decisions.verification import (
    Approval,
    TrustRule,
    VerifiedCheckpoint,
    require_promotable,
    verify_channel,
    verify_checkpoint,
    verify_decision,
    verify_record,
)
from policy_store.decisions.verified_reading import read_preference_verified
from policy_store.decisions.version_references import NAMES, resolve_version

__all__ = [
    "Approval",
    "CanaryRun",
    "ControlReader",
    "Decider",
    "EMPTY",
    "Ending",
    "FileDifference",
    "Finding",
    "FoundAccount",
    "KillState",
    "NAMES",
    "ONE_FILE",
    "OpenKill",
    "Refusal",
    "Release",
    "RunAccount",
    "SLOTS",
    "Statement",
    "TrustRule",
    "UNSIGNED",
    "VALID",
    "VerifiedCheckpoint",
    "WITHDRAWN",
    "approve_proposal",
    "canary_runs",
    "channel_overview",
    "conclude_experiment",
    "enlarge_experiment",
    "file_differences",
    "find_open_proposal",
    "inspect_store",
    "keep_account",
    "keep_fresh",
    "keep_release",
    "kept_releases",
    "kill",
    "kill_state",
    "kills_to_lift",
    "node_refusals",
    "plan_rebase",
    "planned_experiment",
    "point_channel",
    "propose_preference",
    "publish_checkpoint",
    "read_account_verified",
    "read_experiments_verified",
    "read_ledger_verified",
    "read_preference_verified",
    "rebase",
    "reject_proposal",
    "remembered_rebases",
    "require_promotable",
    "require_served_before",
    "require_slot",
    "resolve_version",
    "resume",
    "rollback_version",
    "running_canary",
    "start_experiment",
    "store_overview",
    "verified_rebases",
    "verify_channel",
    "verify_checkpoint",
    "verify_decision",
    "verify_record",
    "withdraw_canary",
]
