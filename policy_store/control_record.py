"""The emergency switch: one signed record that stops exploration and the policy for the whole fleet."""

from __future__ import annotations

from typing import Literal

from policy_store.governed_record import GovernedRecord

CONTROL_SLOT = "control"


class ControlRecord(GovernedRecord):
    """`killed` true: nodes serve production weights and draw no exploration until a newer record says false."""

    kind: Literal["control"] = "control"
    killed: bool

    @property
    def slot(self) -> str:
        """`control`."""
        return CONTROL_SLOT
