"""Slices, arms and their probabilities: exact coins, exact arithmetic, and frequencies that agree with both."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from event_schemas.action_space import Axis, catalogue_action_space, grid_action_space
from event_schemas.slices import (
    ArmDraw,
    Slice,
    can_be_logged,
    coin,
    draw_arm,
    draw_sampling,
    draw_slice,
    exploration_distribution,
)
from tests.conformance.present_code import answer_arm, answer_slice
from tests.conformance.vector_files import Case, cases

GRID = grid_action_space([Axis("repin", 91.6, 10, 200, 7), Axis("p2p", 9.1, 1, 30, 7)])
CATALOGUE = catalogue_action_space("b", ["x"], {"a": [0.0], "b": [1.0], "c": [2.0]})
IDS = [f"request-{i}" for i in range(20_000)]


@pytest.mark.parametrize("case", cases("coins"), ids=str)
def test_the_coin_is_the_contract_s_hash(case: Case) -> None:
    asked = case.given
    assert coin(asked.salt, asked.purpose, asked.id) == case.expected.draw, case.why


@pytest.mark.parametrize("case", cases("slices"), ids=str)
def test_slices_are_those_of_the_contract(case: Case) -> None:
    assert answer_slice(case.given) == case.expected, case.why


@pytest.mark.parametrize("case", cases("arms"), ids=str)
def test_arms_are_those_of_the_contract(case: Case) -> None:
    assert answer_arm(case.given) == case.expected, case.why


def test_purposes_are_independent_coins() -> None:
    u = np.array([[coin("s", purpose, i) for purpose in ("explore", "arm")] for i in IDS[:5000]])
    assert abs(np.corrcoef(u.T)[0, 1]) < 0.05


def test_slices_are_drawn_in_order_with_their_probabilities() -> None:
    draws = [draw_slice("s", i, exploration_rate=0.2, control_rate=0.1) for i in IDS]
    for drawn, probability in ((Slice.EXPLORE, 0.2), (Slice.CONTROL, 0.8 * 0.1), (Slice.POLICY, 0.8 * 0.9)):
        chosen = [d for d in draws if d.slice is drawn]
        assert len(chosen) / len(IDS) == pytest.approx(probability, abs=4 * (probability / len(IDS)) ** 0.5)
        assert all(d.slice_probability == pytest.approx(probability) for d in chosen)


def test_killed_exploration_explores_nothing() -> None:
    assert not any(draw_slice("s", i, exploration_rate=0, control_rate=0).slice is Slice.EXPLORE for i in IDS)


@pytest.mark.parametrize("eligible", [[], [0, 5, 49], [3, 4], [49]])
def test_arm_frequencies_equal_the_logged_propensities(eligible: list[int]) -> None:
    expected = exploration_distribution(GRID, eligible, 0.125)
    assert expected.sum() == pytest.approx(1)
    draws = [draw_arm(GRID, coin("s", "arm", i), eligible, 0.125) for i in IDS]
    counts = np.bincount([d.arm for d in draws], minlength=GRID.arms)
    assert np.all(np.abs(counts / len(IDS) - expected) <= 5 * np.sqrt(expected / len(IDS)))
    assert all(d.propensity == expected[d.arm] for d in draws)


def test_the_largest_coin_still_draws_an_arm() -> None:
    u = (2**64 - 1) / 2**64
    assert u == 1.0
    assert draw_arm(GRID, u, [GRID.production_arm], 0.125) == ArmDraw(GRID.production_arm, 1.0)
    assert draw_arm(GRID, u, [], 0.125).arm == GRID.production_arm - 1
    assert draw_arm(CATALOGUE, u, [0], 0.0) == ArmDraw(0, 1.0)


def test_production_has_its_own_share_of_a_grid() -> None:
    expected = exploration_distribution(GRID, [], 0.125)
    assert expected[GRID.production_arm] == 0.125
    assert expected[0] == pytest.approx(0.875 / 49)


def test_a_catalogue_is_explored_uniformly() -> None:
    assert exploration_distribution(CATALOGUE, [], 0.5).tolist() == [1 / 3] * 3
    assert {draw_arm(CATALOGUE, u, [], 0.0).arm for u in (0.0, 0.34, 0.99, 1.0)} == {0, 1, 2}


@pytest.mark.parametrize("eligible", [[50], [-1, 2]])
def test_an_arm_outside_the_space_is_named(eligible: list[int]) -> None:
    with pytest.raises(ValueError, match=r"0\.\.49"):
        exploration_distribution(GRID, eligible, 0.125)


def test_only_policy_and_fallback_are_sampled() -> None:
    for drawn in (Slice.EXPLORE, Slice.CONTROL):
        assert draw_sampling("s", "r", drawn, 0.0).logged
    logged = [draw_sampling("s", i, Slice.POLICY, 0.1) for i in IDS]
    assert sum(d.logged for d in logged) / len(IDS) == pytest.approx(0.1, abs=0.01)
    assert {d.sampling_rate for d in logged} == {0.1}


@given(st.text(max_size=12), *[st.floats(0, 1)] * 4)
def test_what_can_be_logged_is_what_some_node_logs(
    request_id: str, rate: float, cap: float, control: float, log: float
) -> None:
    """It holds for every exploration rate up to the experiment's, and fails for ids that no node logs at any rate."""
    assume(not any("\ud800" <= letter <= "\udfff" for letter in request_id))

    def logs(exploration: float) -> bool:
        drawn = draw_slice("s", request_id, exploration_rate=exploration, control_rate=control)
        return draw_sampling("s", request_id, drawn.slice, log).logged

    possible = can_be_logged("s", request_id, exploration_rate=rate, control_rate=control, log_rate=log)
    assert possible or not logs(cap * rate)
    assert possible == (logs(rate) or logs(0))
    coins = [coin("s", purpose, request_id) for purpose in ("explore", "control", "log")]
    assert possible == any(u < r for u, r in zip(coins, (rate, control, log), strict=True))


@given(st.integers(0, 10**6), st.integers(0, 10**6), *[st.floats(0, 1)] * 3)
def test_the_coin_log_may_have_a_unit_of_its_own(
    request: int, user: int, rate: float, control: float, log: float
) -> None:
    names = {"explore": f"r{request}", "control": f"r{request}", "log": f"u{user}"}
    rates = {"exploration_rate": rate, "control_rate": control, "log_rate": log}
    possible = can_be_logged("s", names["explore"], **rates, log_unit=names["log"])
    coins = [coin("s", purpose, name) for purpose, name in names.items()]
    assert possible == any(u < r for u, r in zip(coins, (rate, control, log), strict=True))
