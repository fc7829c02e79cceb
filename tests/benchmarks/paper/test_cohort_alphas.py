"""An α for each cohort, and one for all, of lifts that are known."""

import numpy as np

from benchmarks.paper.cohort_alphas import JUDGED, by_cohort, everywhere, exact_lifts, judged, summary, worst_lift
from benchmarks.paper.lift_points import COHORTS, Point
from benchmarks.paper.replication import ALPHAS, KnownRequests

OWN = {"CORE": 18, "CASUAL": 9, "REST": 12}
"""The place of the only α that degrades neither objective of each cohort."""


def lifts_of_cohort(place: int) -> np.ndarray:
    away = np.abs(np.arange(len(ALPHAS)) - place)
    return np.stack([1.0 - away, 1.0 - 2.0 * away], axis=1)


LIFTS = {name: lifts_of_cohort(place) for name, place in OWN.items()}


def test_each_cohort_has_its_own_best_and_no_global_one_is_harmless() -> None:
    found: dict[str, list[list[Point]]] = {
        name: [[{"lift": each, "true": -each} for each in row] for row in lifts.tolist()]
        for name, lifts in LIFTS.items()
    }
    alphas = by_cohort(found, "lift")
    assert alphas == {name: ALPHAS[place] for name, place in OWN.items()}
    assert worst_lift(LIFTS, alphas) == 1.0
    one = everywhere(LIFTS)
    assert worst_lift(LIFTS, dict.fromkeys(COHORTS, one)) < 0.0


def test_choices_are_judged_on_the_fresh_requests() -> None:
    values = np.ones((3, 2, 2))
    values[:, 1] = [[1.1, 1.2], [0.9, 1.3], [1.05, 0.8]]
    arms = np.zeros((len(ALPHAS), 3), dtype=np.int64)
    arms[3] = 1
    fresh = KnownRequests(np.array(COHORTS, dtype=object), arms, values, production=0)
    assert np.allclose(exact_lifts(fresh)["CASUAL"][3], [-10.0, 30.0])
    nothing: list[list[Point]] = [[{"lift": 0.0, "true": 0.0}] * 2 for _ in ALPHAS]
    tempting: list[list[Point]] = [[{"lift": float(place == 3), "true": 0.0}] * 2 for place in range(len(ALPHAS))]
    run = judged({"CORE": tempting, "CASUAL": tempting, "REST": nothing}, fresh)
    assert np.isclose(run[JUDGED[1]]["worst"], -10.0)
    assert np.isclose(run[JUDGED[5]]["worst"], 0.0) and run[JUDGED[5]]["alphas"]["CORE"] == ALPHAS[3]
    point: Point = {"lift": 1.0, "true": 2.0}
    found = summary([run], [{name: [point, point] for name in ("all", *COHORTS)}])
    assert [row["harmless"] for row in found["rows"]][1::4] == [0, 1]
    assert found["online"]["REST"][1]["true"] == [2.0, None, None]
