"""The errors of the policy store.

TrimtabError
├── ComponentUnreachable
│   └── StoreUnreachable        Redis does not answer, or not in time
│       ├── StoreCertificateRefused     TLS fails (also a CertificateRefused)
│       └── StoreCredentialsRefused     wrong user or password (also a CredentialsRefused)
├── StoreRefused                Redis answers, but with an error (memory, read-only replica)
│   └── StoreRightMissing       this user may not do that (also a RightMissing)
├── UnknownCheckpoint           no checkpoint with that version
│   └── AmbiguousVersion        what was written begins several versions
├── UnknownProposal             no open proposal with that id
├── UnknownKill                 no kill with that hash in the store or in a node's report
├── RevisionConflict            somebody else published first, or the version exists with other content
│   ├── RevisionAhead           the next revision would be more than an hour ahead of the store's clock
│   └── ClocksDisagree          the writer's clock and the store's differ by more than an hour
├── LeaseLost                   the fencing token is not the current one
│   └── LeaseHeld               the lease belongs to somebody else
├── RecordMalformed             bytes that are not the record they should be
├── SignatureInvalid            wrong or unknown key, changed bytes, changed blobs
│   └── RoleForbidden           a valid signature by a role that may not sign this
├── RecordExpired               too old to be accepted
├── RevisionRegressed           older than a record this reader has seen: restored or replayed data
├── RecordFromFuture            more than an hour ahead of this reader's clock
├── RecordVoided                a re-base has voided it
├── NothingToRebase             no revision is more than an hour ahead
├── PromotionRefused            the gate's verdict does not allow the channel
├── ExperimentRefused           an online experiment that cannot be started, enlarged or concluded so
├── ContractMismatch            another experiment, action space or feature contract
├── AuditBroken                 the audit's hash chain is broken
└── LedgerBroken                the same, for the ledger of concluded experiments
"""

from __future__ import annotations

from event_schemas.errors import (
    CertificateRefused,
    ComponentUnreachable,
    CredentialsRefused,
    RightMissing,
    TrimtabError,
)


class StoreUnreachable(ComponentUnreachable):
    """Redis cannot be reached, or did not answer within the time-out."""


class StoreCertificateRefused(StoreUnreachable, CertificateRefused):
    """The certificate of Redis is not trusted, or names another host."""


class StoreCredentialsRefused(StoreUnreachable, CredentialsRefused):
    """Redis does not accept the user and password in its address."""


class StoreRefused(TrimtabError):
    """Redis answered with an error, for example because of its memory limit or as a read-only replica."""


class StoreRightMissing(StoreRefused, RightMissing):
    """The ACL of this Redis user does not allow a command or a key; the error names the action."""


class UnknownCheckpoint(TrimtabError):
    """The store has no checkpoint with the given version."""


class AmbiguousVersion(UnknownCheckpoint):
    """The beginning of more than one version; the error lists them."""


class UnknownProposal(TrimtabError):
    """The store has no open proposal with the given id."""


class UnknownKill(TrimtabError):
    """Neither the store nor any node knows a kill with the given hash."""


class RevisionConflict(TrimtabError):
    """The record to be replaced is not the one that the writer read, or the record may not be published now."""


class RevisionAhead(RevisionConflict):
    """The next revision would be more than an hour ahead of the store's clock, because a known one is far ahead."""


class ClocksDisagree(RevisionConflict):
    """The writer's clock and the store's differ by more than an hour: one of them is wrong."""


class LeaseLost(TrimtabError):
    """The lease with this fencing token has expired or has passed to another owner."""


class LeaseHeld(LeaseLost):
    """The lease cannot be acquired: another owner holds it."""


class RecordMalformed(TrimtabError):
    """Bytes in the store, or values to be written, that do not form a valid record."""


class SignatureInvalid(TrimtabError):
    """Unknown key, wrong signature, or content that differs from what was signed."""


class RoleForbidden(SignatureInvalid):
    """The signature is valid, but its role may not sign this kind of record."""


class RecordExpired(TrimtabError):
    """A record past its expiry: it is no longer accepted, but a policy that already serves keeps serving."""


class RevisionRegressed(TrimtabError):
    """A record with a lower revision than one already seen by this reader."""


class RecordFromFuture(TrimtabError):
    """A revision more than an hour ahead of this reader's clock; the reader tries again later."""


class RecordVoided(TrimtabError):
    """A record that a re-base this reader knows has voided."""


class NothingToRebase(TrimtabError):
    """No revision in the store or reported by a node is more than an hour ahead."""


class PromotionRefused(TrimtabError):
    """The checkpoint's verdict, or the channel's history, does not allow serving it there."""


class ExperimentRefused(TrimtabError):
    """An online experiment that cannot be started, enlarged or concluded as it was asked for."""


class ContractMismatch(TrimtabError):
    """A valid record or checkpoint that belongs to another experiment, action space or feature contract."""


class AuditBroken(TrimtabError):
    """An audit entry was changed, removed or inserted."""


class LedgerBroken(TrimtabError):
    """An entry of the ledger was changed, removed or inserted."""
