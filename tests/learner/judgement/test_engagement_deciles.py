"""Tenths of users by engagement, by hand."""

import numpy as np
import pytest

from learner.judgement.engagement_deciles import engagement_deciles


def test_users_are_ranked_by_their_mean_count() -> None:
    """Twenty users with two decisions each; user u has u and 0 engagements."""
    counts = np.ravel([(float(user), 0.0) for user in range(20)])
    found = engagement_deciles(counts, np.repeat(np.arange(20), 2), np.ones(40, dtype=bool), clip=1.0)
    assert [(each.users, each.decisions) for each in found.deciles] == [(2, 4)] * 10
    assert [each.mean for each in found.deciles] == pytest.approx([(4 * tenth + 1) / 4 for tenth in range(10)])
    assert sum(each.share for each in found.deciles) == pytest.approx(1.0)
    assert found.deciles[-1].share == pytest.approx(37 / 190)
    assert (found.decisions, found.at_most_clip, found.rewarded) == (40, 22 / 40, 19 / 40)
    assert found.clipped_away == pytest.approx(171 / 190)


def test_unknown_counts_are_left_out_and_nothing_known_is_said() -> None:
    found = engagement_deciles(np.array([5.0, 1.0]), np.array([0, 1]), np.array([False, True]), clip=1.0)
    assert [(each.users, each.mean) for each in found.deciles] == [(1, 1.0)]
    nothing = engagement_deciles(np.ones(2), np.arange(2), np.zeros(2, dtype=bool), clip=1.0)
    assert nothing.refusal is not None and nothing.deciles == ()


def test_nobody_engaged() -> None:
    found = engagement_deciles(np.zeros(20), np.arange(20), np.ones(20, dtype=bool), clip=1.0)
    assert {each.share for each in found.deciles} == {0.0} and found.clipped_away == 0.0
