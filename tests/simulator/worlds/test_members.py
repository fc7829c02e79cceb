"""Users are the same however many there are; intents last, and embeddings show what they are made of."""

import numpy as np

from simulator.worlds.members import EMBEDDING_DIM, WARM_UP_DAYS, draw_members, shopping_intents
from simulator.worlds.world_shape import WorldShape

SHAPE = WorldShape()


def test_user_k_is_the_same_among_more_users() -> None:
    few, many = draw_members(SHAPE, 5, 50), draw_members(SHAPE, 5, 400)
    for name in ("traits", "topic", "style", "log_rates", "visits", "embedding"):
        assert np.array_equal(getattr(few, name), getattr(many, name)[:50]), name
    assert not np.array_equal(few.traits, draw_members(SHAPE, 6, 50).traits)


def test_collectors_save_more_than_others_in_the_declared_shares() -> None:
    people = draw_members(SHAPE, 5, 4_000)
    collects = people.log_rates[:, 0] > 0
    assert abs(collects.mean() - SHAPE.collector_share) < 0.04
    gap = people.log_rates[collects, 0].mean() - people.log_rates[~collects, 0].mean()
    assert abs(gap - SHAPE.collector_gap) < 0.05


def test_the_embedding_shows_the_traits_and_the_saving_rate_but_not_exactly() -> None:
    people = draw_members(SHAPE, 5, 4_000)
    assert people.embedding.shape == (4_000, EMBEDDING_DIM) and people.embedding.dtype == np.float32
    known = np.column_stack([people.embedding, np.ones(people.size)])
    shown = np.column_stack([people.traits, people.log_rates[:, 0]])
    fit = known @ np.linalg.lstsq(known, shown, rcond=None)[0]
    explained = 1 - (shown - fit).var(axis=0) / shown.var(axis=0)
    assert (explained > 0.3).all() and (explained < 0.99).all()


def test_intents_last_some_days_and_do_not_depend_on_the_run() -> None:
    long, short = shopping_intents(SHAPE, 5, 3_000, 60), shopping_intents(SHAPE, 5, 200, 3)
    assert np.array_equal(long[:200, : WARM_UP_DAYS + 3], short)
    assert abs(long.mean() - SHAPE.lean.shop_share) < 0.02
    # An intent changes when it is drawn again and comes out differently: with probability 1/4 · 1/2.
    changes = (long[:, 1:] != long[:, :-1]).mean()
    assert abs(changes - 0.5 / SHAPE.lean.stay_days) < 0.005
