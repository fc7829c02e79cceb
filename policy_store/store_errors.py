"""What can go wrong between a process and the policy store.

TrimtabError
├── ComponentUnreachable
│   └── StoreUnreachable        Redis does not answer, or not in time
├── StoreRefused                Redis answers, but with an error (permissions, memory, read-only replica)
├── UnknownCheckpoint           no checkpoint of that version
├── UnknownProposal             no open proposal of that id
├── RevisionConflict            somebody else published first, or the version exists with other content
├── LeaseLost                   the fencing token is not the current one
│   └── LeaseHeld               the lease belongs to somebody else
├── RecordMalformed             bytes that are not the record they should be
├── SignatureInvalid            wrong or unknown key, changed bytes, changed blobs
│   └── RoleForbidden           a true signature by a role that may not sign this
├── RecordExpired               too old to be accepted anew
├── RevisionRegressed           older than a record this reader has seen: restored or replayed data
├── PromotionRefused            the gate's verdict does not allow the channel
├── ContractMismatch            another experiment, action space or feature contract
└── AuditBroken                 the audit's hash chain does not hold
"""

from __future__ import annotations

from event_schemas.errors import ComponentUnreachable, TrimtabError


class StoreUnreachable(ComponentUnreachable):
    """Redis cannot be reached, or did not answer within the time-out."""


class StoreRefused(TrimtabError):
    """Redis answered with an error of its own: permissions, memory, a read-only replica."""


class UnknownCheckpoint(TrimtabError):
    """The store holds no checkpoint of the named version."""


class UnknownProposal(TrimtabError):
    """The store holds no open proposal of the named id."""


class RevisionConflict(TrimtabError):
    """The record to be replaced is not the one the writer had read."""


class LeaseLost(TrimtabError):
    """The lease with this fencing token has expired or has passed to another owner."""


class LeaseHeld(LeaseLost):
    """The lease cannot be acquired: another owner holds it."""


class RecordMalformed(TrimtabError):
    """Bytes in the store, or values to be written, that do not form a valid record."""


class SignatureInvalid(TrimtabError):
    """Unknown key, false signature, or content that differs from what was signed."""


class RoleForbidden(SignatureInvalid):
    """The signature is true, but its role may not sign this kind of record."""


class RecordExpired(TrimtabError):
    """A record past its expiry: blocks new acceptance, never stops what is already served."""


class RevisionRegressed(TrimtabError):
    """A record with a lower revision than one already seen by this reader."""


class PromotionRefused(TrimtabError):
    """A checkpoint that did not pass its gate is not to be served."""


class ContractMismatch(TrimtabError):
    """A valid record or checkpoint that belongs to another experiment, action space or feature contract."""


class AuditBroken(TrimtabError):
    """An audit entry was changed, removed or inserted."""
