"""The coins of online experiments: who is in one, and in which arm."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schemas.experiment_coins import arm_index, arm_label, is_member

USERS = [f"user-{number}" for number in range(20_000)]
THREE = (0.2, 0.3, 0.5)


def u(purpose: str, user: str) -> float:
    """The coin as the contract writes it."""
    digest = hashlib.sha256(f"pepper\0{purpose}\0{user}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def test_membership_and_arm_are_the_coins_of_the_contract() -> None:
    for user in USERS[:500]:
        assert is_member("pepper", "x1", user, 0.3) == (u("experiment:x1", user) < 0.3)
        place = u("experiment-arm:x1", user)
        assert arm_index("pepper", "x1", user, THREE) == (0 if place < 0.2 else 1 if place < 0.5 else 2)


def test_a_larger_share_adds_users_and_moves_nobody() -> None:
    small = {user for user in USERS if is_member("pepper", "x1", user, 0.05)}
    large = {user for user in USERS if is_member("pepper", "x1", user, 0.4)}
    assert small < large
    assert len(small) / len(USERS) == pytest.approx(0.05, abs=0.006)
    arms = [arm_index("pepper", "x1", user, THREE) for user in sorted(large)]
    shares = [arms.count(place) / len(arms) for place in range(3)]
    assert shares == pytest.approx(THREE, abs=0.02)


def test_the_next_experiment_draws_other_users() -> None:
    one = {user for user in USERS if is_member("pepper", "canary-v1", user, 0.1)}
    two = {user for user in USERS if is_member("pepper", "canary-v2", user, 0.1)}
    assert len(one & two) / len(one) == pytest.approx(0.1, abs=0.03)


def test_everybody_is_in_an_experiment_with_all_users() -> None:
    assert all(is_member("pepper", "x1", user, 1.0) for user in USERS[:100])


@given(st.text(max_size=20), st.lists(st.floats(0.01, 1), min_size=1, max_size=16))
def test_every_user_has_an_arm_whatever_rounding_does(user: str, weights: list[float]) -> None:
    shares = [weight / sum(weights) for weight in weights]
    assert 0 <= arm_index("s", "x", user, shares) < len(shares)
    assert arm_index("s", "x", user, [0.0] * len(shares)) == len(shares) - 1


def test_a_label_names_experiment_and_arm() -> None:
    assert arm_label("alpha-sweep", "a03") == "alpha-sweep/a03"
