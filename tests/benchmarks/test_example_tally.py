"""A tally tells sets of examples apart and not their order."""

from __future__ import annotations

from benchmarks.example_tally import ExampleFacts, ExampleTally

FIRST = ExampleFacts("a", 3, 0.5, 64, 20, ((1.0, 1.0), (3.0, 2.0)))
SECOND = ExampleFacts("b", 4, 0.25, 64, 20, ((0.0, 0.0), (1.0, 1.0)))


def tally(*examples: ExampleFacts) -> ExampleTally:
    found = ExampleTally()
    for example in examples:
        found.add(example)
    return found


def test_order_does_not_matter() -> None:
    assert tally(FIRST, SECOND) == tally(SECOND, FIRST)


def test_rewards_add_up_by_objective() -> None:
    assert tally(FIRST, SECOND).rewards == [1.0, 3.0]


def test_every_fact_matters() -> None:
    changed = [
        FIRST._replace(request_id="c"),
        FIRST._replace(arm=4),
        FIRST._replace(propensity=0.5000001),
        FIRST._replace(embedding_length=0),
        FIRST._replace(history_length=19),
        FIRST._replace(outcomes=((1.0, 1.0), (4.0, 2.0))),
    ]
    assert all(tally(other) != tally(FIRST) for other in changed)


def test_a_missing_example_matters() -> None:
    assert tally(FIRST) != tally(FIRST, SECOND)
