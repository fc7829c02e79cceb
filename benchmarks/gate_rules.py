"""Rules for spending an error budget over daily looks, compared on standard normal daily means.

A day gives one number: the estimated lift above -margin over the standard deviation of one day's estimate. So its mean
is 0 for a policy at -margin, and the `signal` for a better one. A rule says on which day a policy first passes.

Normal mixtures: Howard, Ramdas, McAuliffe and Sekhon 2021, equation 14 (one-sided). E-processes that restart: Shin,
Ramdas and Rinaldo 2023, "E-detectors", section 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr, ndtri

from event_schemas.units import DAY_MS
from learner.judgement.gate_budget import GateBudget
from off_policy.numeric_arrays import FloatArray, IntArray

BUDGET, SPAN, WAIT, POWER = 0.05, 90, 14, 0.8
NEVER = 10**6
Rule = Callable[[FloatArray], IntArray]
"""From daily numbers float[runs, days] to the day, from 1, of the first pass; NEVER if there is none."""


@dataclass(frozen=True, slots=True)
class RuleFigures:
    """What a rule costs, from simulated runs.

    error         share of runs in which a policy at -margin ever passes in 90 days
    signal        with which 80 % of fresh policies pass within 14 days
    rows          rows a day for that, relative to one look at the full error after 14 days
    fresh, after  mean days to a pass at this signal: of a fresh learner, and after 90 days at -margin
    """

    rule: str
    error: float
    signal: float
    rows: float
    fresh: float
    after: float


def rules() -> Mapping[str, Rule]:
    """The alternatives by what people call them."""
    return {
        "6/(π²k²) at each daily look, hold-out of 7 days": _looks(7, [(day, _basel(day - 6)) for day in range(7, 400)]),
        "even over 90 daily looks, hold-out of 14 days": _looks(14, [(day, BUDGET / SPAN) for day in range(14, 400)]),
        "one lifelong confidence sequence": lambda days: _first(_mixture(days, math.log(1.0 / BUDGET))),
        "e-processes restarted weekly": _restarted,
        "one look per fresh 7 days, even": _looks(7, [(day, BUDGET * 7 / SPAN) for day in range(7, 400, 7)]),
        "one look per fresh 14 days, even": _looks(14, [(day, BUDGET * 14 / SPAN) for day in range(14, 400, 14)]),
        "shipped, hold-out of 7 days": _looks(7, list(shipped_looks(7, 400))),
        "shipped, hold-out of 14 days": _looks(14, list(shipped_looks(14, 400))),
    }


def shipped_looks(window: int, days: int, budget: float = BUDGET) -> Iterator[tuple[int, float]]:
    """(day, share) of the looks of a learner that runs daily: `GateBudget` with a hold-out of `window` days."""
    state = GateBudget({"error_budget": budget})
    for day in range(window, days + 1):
        look = state.look_at((day - window) * DAY_MS, day * DAY_MS)
        if look is not None:
            yield day, look.share
            state = state.after(look, day * DAY_MS, "", {})


def measure_rule(name: str, runs: int, seed: int) -> RuleFigures:
    """Of the rule `name`, by `runs` runs for the days, and ten times as many for the error and the signal."""
    rule = rules()[name]
    rng = np.random.default_rng([seed, *name.encode()])
    error = float(np.mean(rule(rng.normal(size=(10 * runs, SPAN))) <= SPAN))
    short = rng.normal(size=(10 * runs, WAIT))
    low, high = 0.1, 4.0
    for _ in range(20):
        middle = (low + high) / 2.0
        if float(np.mean(rule(short + middle) <= WAIT)) >= POWER:
            high = middle
        else:
            low = middle
    single = (-ndtri(BUDGET) - ndtri(1.0 - POWER)) / math.sqrt(WAIT)
    onset = SPAN + rng.integers(0, WAIT, runs)
    days = np.arange(3 * SPAN)
    late = rng.normal(size=(runs, len(days))) + high * (days[None, :] >= onset[:, None])
    passed = rule(late)
    waited = np.minimum(passed - onset, 2 * SPAN)[passed > onset]
    fresh = np.minimum(rule(rng.normal(size=(runs, 2 * SPAN)) + high), 2 * SPAN)
    return RuleFigures(name, error, high, (high / single) ** 2, float(fresh.mean()), float(waited.mean()))


def _basel(look: int) -> float:
    return BUDGET * 6.0 / (math.pi * look) ** 2


def _looks(window: int, looks: list[tuple[int, float]]) -> Rule:
    def rule(days: FloatArray) -> IntArray:
        sums = np.cumsum(np.pad(days, ((0, 0), (1, 0))), axis=1)
        first = np.full(len(days), NEVER)
        for day, share in looks:
            if day > days.shape[1]:
                break
            mean = (sums[:, day] - sums[:, day - window]) / math.sqrt(window)
            first = np.where((mean > -ndtri(share)) & (first == NEVER), day, first)
        return first

    return rule


def _mixture(days: FloatArray, threshold: float, levels: int = 1) -> FloatArray:
    """log E - threshold of the one-sided normal mixture, tuned to WAIT days at BUDGET / levels; float[runs, days]."""
    error = BUDGET / levels
    tuned = WAIT / (2.0 * math.log(1.0 / (2.0 * error)) + math.log(1.0 + 2.0 * math.log(1.0 / (2.0 * error))))
    sums, time = np.cumsum(days, axis=1), np.arange(1, days.shape[1] + 1) + tuned
    log_e = 0.5 * np.log(tuned / time) + np.square(sums) / (2.0 * time) + math.log(2.0)
    return np.asarray(log_e + log_ndtr(sums / np.sqrt(time)) - threshold)


def _restarted(days: FloatArray) -> IntArray:
    """Each week a new e-process with a 13th of the budget's weight; they add up."""
    starts = math.ceil(SPAN / 7)
    total = np.zeros_like(days)
    for start in range(0, days.shape[1], 7):
        log_e = _mixture(days[:, start:], 0.0, starts)
        total[:, start:] += np.exp(np.minimum(log_e, 60.0)) / starts
    return _first(np.log(np.maximum(total, 1e-300)) - math.log(1.0 / BUDGET))


def _first(excess: FloatArray) -> IntArray:
    hit = excess > 0.0
    return np.asarray(np.where(hit.any(axis=1), hit.argmax(axis=1) + 1, NEVER))
