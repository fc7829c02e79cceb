"""Records that say which checkpoint a channel points to and until when it may be accepted.

A channel record is a decision; a freshness record extends its expiry without a new decision. Under manual approval only
people may sign a `stable` record, but the learner may keep it fresh as long as the decision stands.

A canary that is withdrawn has a record of its own, which names the same version: a channel cannot point to nothing, and
that it was stopped, by whom and why, must be as certain as that it was started.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Self

from pydantic import model_validator

from policy_store.records.canonical_json import canonical_json
from policy_store.records.governed_record import GovernedRecord, Name, Revision
from policy_store.records.store_errors import RecordMalformed


class Channel(StrEnum):
    """The channels: stable serves everybody, canary a share of the users, shadow nobody (its choice is only logged)."""

    STABLE = "stable"
    CANARY = "canary"
    SHADOW = "shadow"


class ChannelRecord(GovernedRecord):
    """Channel `channel` points to checkpoint `version`; nodes must not accept it after `expires_at` (epoch ms).

    If `withdrawn`, the checkpoint serves nobody through this channel from now on; only a canary can be. The field is
    left out of the bytes where it is false, as it was before it existed; nodes of 0.1.0 refuse a record that has it.
    """

    kind: Literal["channel"] = "channel"
    channel: Channel
    version: Name
    expires_at: Revision
    withdrawn: bool = False

    @model_validator(mode="after")
    def _only_a_canary_is_withdrawn(self) -> Self:
        if self.withdrawn and self.channel is not Channel.CANARY:
            raise ValueError(f"channel {self.channel.value} cannot be withdrawn; a kill stops stable")
        return self

    @property
    def slot(self) -> str:
        """`channel:<name>`."""
        return channel_slot(self.channel)

    def canonical(self) -> bytes:
        """The bytes that are signed and stored. Raises RecordMalformed."""
        return canonical_json(self.model_dump(mode="json", exclude=set() if self.withdrawn else {"withdrawn"}))


class FreshnessRecord(GovernedRecord):
    """The channel record of `channel_revision`, still pointing to `version`, may be accepted until `expires_at`."""

    kind: Literal["freshness"] = "freshness"
    channel: Channel
    version: Name
    channel_revision: Revision
    expires_at: Revision

    @property
    def slot(self) -> str:
        """`freshness:<name>`."""
        return freshness_slot(self.channel)


def channel_named(name: str) -> Channel:
    """The channel with this name. Raises RecordMalformed."""
    try:
        return Channel(name)
    except ValueError:
        known = ", ".join(channel.value for channel in Channel)
        raise RecordMalformed(f"there is no channel {name!r}", fix=f"use one of {known}") from None


def channel_slot(channel: Channel) -> str:
    """The slot of a channel's record."""
    return f"channel:{channel.value}"


def freshness_slot(channel: Channel) -> str:
    """The slot of a channel's freshness record."""
    return f"freshness:{channel.value}"
