"""Errors for unusable input in a request for a decision, or in its confirmation.

TrimtabError
└── InvalidDecision           the caller's input is wrong; nothing was drawn or logged
    ├── InvalidRequest        a field of the decision request
    └── InvalidConfirmation   a field of the confirmation (heads)

A fault of a policy, Redis or Kafka is never an error here: the decision is then FALLBACK with its reason.
"""

from event_schemas.errors import TrimtabError


class InvalidDecision(TrimtabError):
    """The caller's input is wrong; nothing was drawn or logged."""


class InvalidRequest(InvalidDecision):
    """A field of a decision request is unusable."""


class InvalidConfirmation(InvalidDecision):
    """A field of a confirmation is unusable."""
