"""Which users are in an online experiment, and in which of its arms.

Two coins on the user's id, both independent of every other experiment: `experiment:<id>` says whether the user is in
it, and `experiment-arm:<id>` in which arm. So a larger share adds users and moves nobody between arms, and the next
experiment draws other users.
"""

from __future__ import annotations

from collections.abc import Sequence

from event_schemas.slices import coin

ARM_SEPARATOR = "/"
"""Between the id of an experiment and the name of an arm in `Action.experiment_arm`."""


def is_member(salt: str, experiment_id: str, user_id: str, share: float) -> bool:
    """Whether the user is in an experiment with this share of all users, in [0, 1]."""
    return share >= 1.0 or coin(salt, f"experiment:{experiment_id}", user_id) < share


def arm_index(salt: str, experiment_id: str, user_id: str, shares: Sequence[float]) -> int:
    """The place of the user's arm among those with these shares of the experiment's users, which sum to 1.

    It is the first arm at which the sum of the shares, in order, exceeds the coin; rounding leaves the rest to the last
    arm.
    """
    u, reached = coin(salt, f"experiment-arm:{experiment_id}", user_id), 0.0
    for place, share in enumerate(shares):
        reached += share
        if u < reached:
            return place
    return len(shares) - 1


def arm_label(experiment_id: str, arm: str) -> str:
    """What `Action.experiment_arm` says: `<id>/<arm>`."""
    return f"{experiment_id}{ARM_SEPARATOR}{arm}"
