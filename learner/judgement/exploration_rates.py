"""Tests whether decisions explored at their rates: by the producers' own counts, day by day and all days together.

Each day is held against the rates of its own decisions, so a rate that was lowered, raised or killed makes no
difference, and a day that explored too much is not hidden among the others.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from event_schemas.instant import utc_day
from event_schemas.slices import Slice
from learner.examples.binomial_tails import p_at_least, p_at_most
from learner.examples.slice_tallies import RatedDecisions, SliceTallies
from learner.examples.stored_counts import StoredCounts
from learner.judgement.tested_part import TestedPart, smallest_of

ORDINARY_LOSS = 0.02
"""The share of decisions that may be missing from the log, or from the tallies."""


@dataclass(frozen=True, slots=True)
class Exploration:
    """How decisions explore, as far as the tests of counts must know it.

    highest        the highest rate in force at any time; only decisions of unknown rates are held against it
    design_effect  of exploration units, at least 1 (`design_effect`)
    may_be_fewer   whether fewer than Σ ε_t may explore: sessions under a cap, which looks at what explored before
    """

    highest: float
    design_effect: float = 1.0
    may_be_fewer: bool = False


def rate_parts(tallies: SliceTallies, days: range, exploration: Exploration) -> list[TestedPart]:
    """The tests of the tallied decisions of these UTC days, and of those of no known day; none without decisions."""
    parts = []
    rated = {day: found for day, found in tallies.rated.items() if day in days and found.decisions}
    if rated:
        parts.append(_rated_part(rated, exploration))
    unrated = [tallies.by_day[day] for day in tallies.by_day if day in days and day not in rated]
    for counts in (*unrated, tallies.undated):
        explored, decisions = counts.get(Slice.EXPLORE, 0), sum(counts.values())
        if decisions:
            p_value = p_at_least(explored, decisions, exploration.highest, exploration.design_effect)
            detail = f"{explored} of {decisions} tallied decisions explored, allowed share {exploration.highest:g}"
            parts.append(TestedPart(p_value, "rates", detail))
    return parts


def settings_part(
    tallies: SliceTallies, stored: StoredCounts, days: Iterable[int], exploration: Exploration
) -> TestedPart | None:
    """The stored explored decisions of each exploration settings and whole day against their Σ ε_t; None without any.

    Fewer or more than that by up to ORDINARY_LOSS, of the log or of the tallies, are no evidence. Settings that no
    stored decision names are not tested: older records name none.
    """
    whole, found = set(days), {}
    named = {key.exploration for key in stored.explored}
    for key, total in tallies.spans.items():
        if key.day in whole and total.decisions and key.exploration in named:
            explored, rate = stored.explored.get(key, 0), min(1.0, total.rate_sum / total.decisions)
            effect = exploration.design_effect
            fewer_tallied, lossy = min(1.0, rate / (1.0 - ORDINARY_LOSS)), (1.0 - ORDINARY_LOSS) * rate
            too_many = p_at_least(min(explored, total.decisions), total.decisions, fewer_tallied, effect)
            too_few = 1.0 if exploration.may_be_fewer else p_at_most(explored, total.decisions, lossy, effect)
            found[key] = min(1.0, 2.0 * min(too_many, too_few if explored <= total.decisions else 1.0))
    if not found:
        return None
    worst = min(found, key=lambda key: found[key])
    detail = (
        f"exploration settings {worst.exploration[:12]}… on {utc_day(worst.day)}: {stored.explored.get(worst, 0)}"
        f" explored decisions are stored, expected {tallies.spans[worst].rate_sum:.1f}"
    )
    return TestedPart(smallest_of(list(found.values())), "rates", detail)


def _rated_part(rated: dict[int, RatedDecisions], exploration: Exploration) -> TestedPart:
    def tested(decisions: RatedDecisions) -> float:
        return decisions.p_value(exploration.design_effect, may_be_fewer=exploration.may_be_fewer)

    total = RatedDecisions()
    for decisions in rated.values():
        total = total.plus(decisions)
    by_day = {day: tested(decisions) for day, decisions in rated.items()}
    worst = min(by_day, key=lambda day: by_day[day])
    detail = (
        f"{total.explored} of {total.decisions} tallied decisions explored, expected {total.rate_sum:.1f}; furthest off"
        f" on {utc_day(worst)}: {rated[worst].explored} of {rated[worst].decisions}, expected"
        f" {rated[worst].rate_sum:.1f}"
    )
    return TestedPart(smallest_of([tested(total), smallest_of(list(by_day.values()))]), "rates", detail)
