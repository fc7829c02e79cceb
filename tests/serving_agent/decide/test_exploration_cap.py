"""The cap holds for every traffic and every draw, follows spikes, and is used up; ids explored are nested in ε_t."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from event_schemas.exploration import ExplorationDraws
from event_schemas.slices import Slice, SliceDraw
from monitoring.metrics import ServingMetrics
from serving_agent.decide.exploration_cap import ExplorationCap, RatedDraws, shares_worth
from tests.serving_samples import serving_experiment

CAPS = st.one_of(
    st.sampled_from([1 / 63, 1 / 60, 0.1, 1 / 3, 0.345, 1.0, 20.0]),
    st.floats(min_value=0.001, max_value=50.0, allow_nan=False),
)


class Always:
    """The worst of all draws: everything explores that may."""

    def slice(self, request_id: str, exploration_rate: float | None = None) -> SliceDraw:
        return SliceDraw(Slice.EXPLORE if exploration_rate else Slice.POLICY, exploration_rate or 0.0)


def busiest(explored: list[float], span: float) -> int:
    """The most of the ascending times that lie in any [t, t + span)."""
    most, first = 0, 0
    for last, at in enumerate(explored):
        while at - explored[first] >= span:
            first += 1
        most = max(most, last - first + 1)
    return most


def poisson(rate: float, seconds: float, seed: int, start: float = 0.0) -> Iterable[float]:
    """Times of requests at `rate` per second, from `start` on."""
    drawn, now = random.Random(seed), start
    while (now := now + drawn.expovariate(rate)) < start + seconds:
        yield now


def explored(cap: ExplorationCap, times: Iterable[float], seed: int) -> tuple[list[float], list[tuple[float, float]]]:
    """The times of explored requests, drawn at ε_t, and (time, ε_t) of all."""
    drawn, found, rates = random.Random(seed), [], []
    for now in times:
        rate = cap.rate(now)
        rates.append((now, rate))
        if drawn.random() < rate:
            cap.note_explored()
            found.append(now)
    return found, rates


@given(
    allowed=CAPS,
    traffic=st.lists(
        st.tuples(st.floats(min_value=0.0, max_value=70.0), st.integers(1, 400), st.floats(0.0, 0.1)),
        min_size=1,
        max_size=12,
    ),
    seed=st.one_of(st.none(), st.integers(0, 9)),
)
def test_no_traffic_and_no_draws_pass_the_cap(
    allowed: float, traffic: list[tuple[float, int, float]], seed: int | None
) -> None:
    """Bursts after idle gaps, with everything exploring that may (no seed), or by coins."""
    cap, now, found = ExplorationCap(1.0, allowed, lambda: 1.0), 0.0, list[float]()
    coin = None if seed is None else random.Random(seed)
    for gap, requests, apart in traffic:
        now += gap
        for _ in range(requests):
            now += apart
            rate = cap.rate(now)
            if rate > 0.0 if coin is None else coin.random() < rate:
                cap.note_explored()
                found.append(now)
    assert busiest(found, 60.0) <= math.floor(1.05 * 60.0 * allowed + 1e-6)
    if allowed >= 0.35:
        for span in (0.1, 1.0, 10.0):
            assert busiest(found, span) <= allowed * (span + 3.0) + 1e-6


@pytest.mark.parametrize("allowed", [0.0254, 0.0499, 0.32, 1.0, 7.0, 60.0])
def test_endless_traffic_uses_the_cap_up_and_never_passes_it(allowed: float) -> None:
    seconds = 400.0 if allowed >= 1.0 else 2_000.0
    found, rates = explored(ExplorationCap(0.5, allowed, lambda: 1.0), poisson(max(20.0, 4 * allowed), seconds, 3), 4)
    assert busiest(found, 60.0) <= 63.0 * allowed
    steady = [at for at in found if at > 60.0]
    assert len(steady) >= 0.9 * min(allowed, math.floor(63 * allowed) / 60.1) * (seconds - 60.0)
    assert {rate <= 0.5 for _, rate in rates} == {True}


def test_below_the_cap_the_rate_is_the_experiment_s_own() -> None:
    _, rates = explored(ExplorationCap(0.1, 10.0, lambda: 1.0), poisson(60.0, 120.0, 1), 2)
    settled = [rate for at, rate in rates if at > 5.0]
    assert sum(rate == 0.1 for rate in settled) > 0.99 * len(settled)


@pytest.mark.parametrize("allowed", [20.0, 100.0])
def test_a_spike_is_corrected_within_two_seconds(allowed: float) -> None:
    """Ten times the traffic from second 60 on: the rate falls to what it allows, and the cap holds all along."""
    times = [*poisson(10 * allowed, 60.0, 5), *poisson(100 * allowed, 70.0, 6, start=60.0)]
    found, rates = explored(ExplorationCap(0.5, allowed, lambda: 1.0), times, 7)
    assert busiest(found, 60.0) <= 63.0 * allowed

    def mean(start: float, end: float) -> float:
        chosen = [rate for at, rate in rates if start <= at < end]
        return sum(chosen) / len(chosen)

    assert mean(50.0, 60.0) == pytest.approx(0.1, rel=0.15)
    for second in range(62, 70):
        assert mean(second, second + 1.0) <= 0.01 * 1.5
    assert mean(62.0, 130.0) == pytest.approx(0.01, rel=0.1)
    assert sum(60.0 <= at < 62.0 for at in found) <= 5 * allowed


def test_the_rate_is_a_function_of_the_past_alone() -> None:
    """Two runs with the same past have the same rate, whatever comes later; the request that asks does not count."""
    times = list(poisson(200.0, 30.0, 8))
    whole, part = ExplorationCap(0.5, 3.0, lambda: 1.0), ExplorationCap(0.5, 3.0, lambda: 1.0)
    _, rates = explored(whole, times, 9)
    _, first = explored(part, times[:3_000], 9)
    assert first == rates[:3_000]


def test_a_start_has_no_credit_and_a_share_that_moves_keeps_the_cap() -> None:
    """A node takes over all of the cap from another; together they stay within it in every 60 s."""
    shares = [1.0, 0.0]
    nodes = [ExplorationCap(1.0, 4.0, lambda: shares[0]), ExplorationCap(1.0, 4.0, lambda: shares[1])]
    found, now = list[float](), 0.0
    while now < 300.0:
        now += 0.01
        if round(now, 2) in (40.0, 95.0, 130.0, 131.0, 132.0):
            shares.reverse()
        for node in nodes:
            if node.rate(now) > 0.0:
                node.note_explored()
                found.append(now)
    assert found[0] > 0.2, "the first request has to be earned"
    assert busiest(found, 60.0) <= 63.0 * 4.0
    assert len(found) >= 0.9 * 4.0 * 300.0


def test_a_share_earns_nothing_for_the_time_before_it() -> None:
    shares = [0.0]
    cap = ExplorationCap(1.0, 10.0, lambda: shares[0])
    assert cap.rate(0.0) == 0.0
    shares[0] = 1.0
    assert [cap.rate(now) for now in (60.0, 60.15, 60.25)] == [0.0, 1.0, 1.0]


def test_nothing_explores_without_a_share() -> None:
    found, _ = explored(ExplorationCap(1.0, 100.0, lambda: 0.0), poisson(50.0, 20.0, 1), 1)
    assert found == []


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.sampled_from(["request", "session"]))
def test_ids_explored_at_a_lower_rate_are_a_subset(one: float, other: float, unit: str) -> None:
    experiment = serving_experiment(experiment={"exploration_unit": unit})
    draws = ExplorationDraws(experiment.action_space, experiment.exploration)
    ids = [f"s{number // 3}~{number}" for number in range(300)]
    low, high = (
        {each for each in ids if draws.slice(each, rate).slice is Slice.EXPLORE} for rate in sorted((one, other))
    )
    assert low <= high


def test_draws_say_the_rate_they_were_drawn_with_and_show_it() -> None:
    experiment, registry = serving_experiment(), CollectorRegistry()
    draws = ExplorationDraws(experiment.action_space, experiment.exploration)
    rated = RatedDraws(draws, 0.5, ExplorationCap(0.5, 2.0, lambda: 0.5), ServingMetrics(registry))
    rates = set()
    for number, now in enumerate(poisson(100.0, 20.0, 1)):
        drawn, rate = rated.draw(f"r{number}", now)
        assert drawn == draws.slice(f"r{number}", rate)
        rates.add(rate)
    assert len(rates) > 10
    drawn, rate = rated.draw("last", 20.0, killed=True)
    assert (rate, drawn.slice is Slice.EXPLORE) == (0.0, False)
    assert registry.get_sample_value("trimtab_serving_exploration_rate") == 0.0
    assert registry.get_sample_value("trimtab_serving_exploration_share") == 0.5


def test_without_a_cap_the_rate_never_moves() -> None:
    registry = CollectorRegistry()
    rated = RatedDraws(Always(), 0.25, metrics=ServingMetrics(registry))
    assert [rated.draw("r", now, killed)[1] for now, killed in ((0.0, False), (0.1, True), (0.2, False))] == [
        0.25,
        0.0,
        0.25,
    ]
    assert registry.get_sample_value("trimtab_serving_exploration_rate") == 0.25


def test_threads_never_spend_the_same_credit() -> None:
    """No time passes, so what was earned before is all there is, whatever the order of the threads."""
    rated = RatedDraws(Always(), 1.0, ExplorationCap(1.0, 100.0, lambda: 1.0))
    rated.draw("first", 0.0)
    rated.draw("second", 10.0)
    with ThreadPoolExecutor(8) as threads:
        drawn = list(threads.map(lambda number: rated.draw(f"r{number}", 10.0)[0].slice, range(4_000)))
    assert sum(each is Slice.EXPLORE for each in drawn) == 289, "290 are kept, and the second took one"


def test_a_forked_child_begins_without_credit() -> None:
    rated = RatedDraws(Always(), 1.0, ExplorationCap(1.0, 100.0, lambda: 1.0))
    for now in (0.0, 10.0):
        rated.draw("r", now)
    rated.after_fork()
    assert rated.draw("r", 10.0)[1] == 0.0
    assert rated.draw("r", 10.2)[1] == 1.0


def test_a_cap_is_split_among_as_many_as_have_a_request_a_minute() -> None:
    assert [shares_worth(cap) for cap in (0.001, 1 / 60, 0.5, 3.0)] == [1, 1, 30, 180]
