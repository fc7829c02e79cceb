"""The constants fit together."""

from simulator.worlds.world_shape import (
    HEADS,
    KINDS,
    PRODUCTION_WEIGHTS,
    TUNED_HEADS,
    WEIGHT_HIGH,
    WEIGHT_LOW,
    WorldShape,
)


def test_two_of_at_least_four_heads_are_tuned() -> None:
    assert len(HEADS) >= 4 and HEADS[:2] == TUNED_HEADS and set(KINDS) <= set(HEADS)
    assert len(WorldShape().fixed_weights) == len(HEADS) - len(TUNED_HEADS)


def test_production_lies_inside_the_bounds() -> None:
    bounds = zip(WEIGHT_LOW, PRODUCTION_WEIGHTS, WEIGHT_HIGH, strict=True)
    assert all(low < production < high for low, production, high in bounds)


def test_no_chance_can_exceed_one() -> None:
    shape = WorldShape()
    assert all(0 < rate < 1 for rate in shape.rates) and 0 <= shape.mix <= 1 and shape.served <= shape.candidates
