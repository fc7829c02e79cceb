"""The seed determines the users, and their visible features reveal their taste."""

import numpy as np

from simulator.user_population import COHORTS, TASTES, draw_population


def test_a_seed_fixes_the_users() -> None:
    first, second, other = draw_population(3, 200), draw_population(3, 200), draw_population(4, 200)
    assert np.array_equal(first.embedding, second.embedding) and np.array_equal(first.taste, second.taste)
    assert not np.array_equal(first.embedding, other.embedding)


def test_the_embedding_tells_the_taste_apart() -> None:
    people = draw_population(7, 2000)
    centres = np.stack([people.embedding[people.taste == k].mean(axis=0) for k in range(len(TASTES))])
    nearest = np.linalg.norm(people.embedding[:, None] - centres, axis=2).argmin(axis=1)
    assert (nearest == people.taste).mean() > 0.9


def test_every_cohort_and_taste_has_members() -> None:
    people = draw_population(7, 2000)
    assert np.bincount(people.cohort, minlength=len(COHORTS)).min() > 200
    shares = np.bincount(people.taste) / people.size
    assert np.allclose(shares, [taste.share for taste in TASTES], atol=0.04)
    assert people.save.max() < 1.5 and people.p2p.min() > 0
