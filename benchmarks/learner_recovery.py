"""How many examples of a new taste it takes until a warm-started network has half the regret that a shift left it with.

The parent was trained on two weeks of the old taste. As examples of the new one come, the window keeps its length and
loses the oldest rows, and a network starts from the parent as a run of `trimtab learn` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import t as student

from benchmarks.shifting_world import ShiftingWorld, joined
from learner.examples.learning_rows import LearningRows
from learner.network.q_learning import QLearning

SHARES = (0.25, 0.5, 1.0, 1.5, 2.0)
"""Examples of the new taste, as shares of a week's rows; at 2 the window has no other."""


def recoveries(seeds: Sequence[int], rows: int, shares: Sequence[float] = SHARES) -> Iterator[dict[str, Any]]:
    """For each seed the regret after the shift without new examples, then with each of `shares`."""
    for seed in seeds:
        world = ShiftingWorld(seed, rows)
        old, new = (
            joined(world.week(number, taste), world.week(number + 1, taste)) for number, taste in ((0, 0), (2, 1))
        )
        parent = network(world, 0)
        parent.fit(old)
        regrets = [world.regret(parent.score(world.tested), 1)]
        for share in shares:
            continued = network(world, 1)
            continued.restore(parent.weights(), {})
            continued.fit(window(old, new, round(share * rows)))
            regrets.append(world.regret(continued.score(world.tested), 1))
        yield {"seed": seed, "regrets": [round(each, 5) for each in regrets]}


def network(world: ShiftingWorld, number: int) -> QLearning:
    """An untrained network as it ships; seed and number draw its first weights."""
    spec = world.experiment.learner.model_copy(update={"seed": 1_000 * world.seed + number})
    return QLearning(world.experiment.model_copy(update={"learner": spec}), world.contract)


def window(old: LearningRows, new: LearningRows, count: int) -> LearningRows:
    """The first `count` rows of `new` after the last ones of `old`, as many together as `old` has."""
    fresh = new.take(np.arange(count))
    return fresh if count >= old.count else joined(old.take(np.arange(count, old.count)), fresh)


def recovery(runs: Sequence[Mapping[str, Any]], rows: int) -> dict[str, Any]:
    """`examples` and `regret` ([mean, lower, upper], Student's 95 % over seeds), and how many examples halve it.

    `halved_at` is interpolated between the measured numbers; None if the regret never halves.
    """
    regrets = np.array([run["regrets"] for run in runs])
    means, count = regrets.mean(axis=0), len(regrets)
    half = student.ppf(0.975, count - 1) * regrets.std(axis=0, ddof=1) / np.sqrt(count)
    examples = [0, *(round(share * rows) for share in SHARES)]
    table = np.stack([means, means - half, means + half], axis=1).round(3)
    return {
        "seeds": count,
        "examples": examples,
        "regret": table.tolist(),
        "halved_at": halved_at(examples, means.tolist()),
        "runs": list(runs),
    }


def halved_at(examples: Sequence[int], regrets: Sequence[float]) -> int | None:
    """Where the broken line through the points first falls to half of its first value."""
    goal = regrets[0] / 2
    for place in range(1, len(examples)):
        if regrets[place] <= goal:
            step = (regrets[place - 1] - goal) / (regrets[place - 1] - regrets[place])
            return round(examples[place - 1] + step * (examples[place] - examples[place - 1]))
    return None
