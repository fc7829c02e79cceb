"""Agreement with obp 0.4.1 on the Open Bandit Dataset, to 1e-9.

Reads the repository's own copy of the logs; the reference values and the model predictions behind
DM and DR lie in `reference/`. They check agreement with obp only: closeness to the BTS log's mean
click rate proves nothing, for that log came from a policy that kept learning.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from off_policy.estimates import Estimate
from off_policy.importance_weights import importance_weights
from off_policy.intervals import EvidenceRequirements
from off_policy.logged_bandit import LoggedBandit
from off_policy.policy_evaluation import evaluate_policies
from off_policy.target_policies import TargetPolicy, by_position, uniform_policy

HERE = Path(__file__).parent / "reference"
DATA = Path(__file__).parents[2] / "datasets" / "open_bandit"
VALUES: dict[str, Any] = json.loads((HERE / "open_bandit_values.json").read_text())["campaigns"]
NAMES = {"ipw": "ips", "snipw": "snips", "dm": "dm", "dr": "dr", "sndr": "sndr"}
CAMPAIGNS = ("all", "men")


@dataclass(frozen=True)
class Campaign:
    log: LoggedBandit
    position: npt.NDArray[np.int64]
    """From 0."""
    row_index: npt.NDArray[np.int64]


def read_log(policy: str, campaign: str) -> Campaign:
    frame = pl.read_parquet(DATA / f"{policy}_{campaign}.parquet").sort("row_index")
    click = frame["click"].to_numpy().astype(np.float64)[:, None]
    log = LoggedBandit(
        action=frame["item_id"].to_numpy().astype(np.int64),
        propensity=frame["propensity_score"].to_numpy(),
        reward=click,
        observed=np.ones(click.shape, dtype=np.bool_),
        objectives=("click",),
    )
    position = frame["position"].to_numpy().astype(np.int64) - 1
    return Campaign(log, position, frame["row_index"].to_numpy().astype(np.int64))


def bts_policy(campaign: str, position: npt.NDArray[np.int64]) -> TargetPolicy:
    """The dataset's Thompson sampling policy; its weights are position-specific."""
    frame = pl.read_parquet(DATA / "bts_policy.parquet").filter(pl.col("campaign") == campaign)
    table = np.zeros((VALUES[campaign]["arms"], 3))
    table[frame["item_id"].to_numpy(), frame["position"].to_numpy()] = frame["probability"].to_numpy()
    return by_position("bts", table, position)


def predictions(campaign: str, data: Campaign) -> npt.NDArray[np.float64]:
    """q[rows, arms, 1] at each row's position, in the log's order (obp re-sorts by time)."""
    stored = np.load(HERE / f"qhat_random_{campaign}.npz", allow_pickle=False)
    assert np.array_equal(np.sort(stored["row_index"]), data.row_index)
    order = np.empty(len(data.row_index), dtype=np.int64)
    order[stored["row_index"]] = stored["qhat_index"]
    per_position: npt.NDArray[np.float64] = stored["qhat_unique"][order]
    return per_position[np.arange(len(order)), :, data.position][:, :, None]


def estimates(data: Campaign, policy: TargetPolicy, q: npt.NDArray[np.float64] | None = None) -> dict[str, Estimate]:
    report = evaluate_policies(data.log, [policy], policy, q, EvidenceRequirements())
    return dict(report.policies[0].objectives["click"].estimates)


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_the_bts_policy_on_the_random_log(campaign: str) -> None:
    data = read_log("random", campaign)
    found = estimates(data, bts_policy(campaign, data.position), predictions(campaign, data))
    expected = VALUES[campaign]["bts_from_random_log"]
    for theirs, ours in NAMES.items():
        assert found[ours].value == pytest.approx(expected[theirs], abs=1e-9), ours
    assert found["ips"].ess == pytest.approx(expected["ess"], rel=1e-9)
    assert found["ips"].standard_error == pytest.approx(expected["ipw_std_err"], rel=1e-9)
    assert found["ips"].positives == VALUES[campaign]["clicks"]


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_the_random_policy_on_the_bts_log(campaign: str) -> None:
    data = read_log("bts", campaign)
    uniform = uniform_policy("random", data.log.rows, VALUES[campaign]["arms"])
    found = estimates(data, uniform)
    expected = VALUES[campaign]["random_from_bts_log"]
    for name in ("ipw", "snipw"):
        assert found[NAMES[name]].value == pytest.approx(expected[name], abs=1e-9)
    assert found["ips"].ess == pytest.approx(expected["ess"], rel=1e-9)


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_the_random_policy_on_the_random_log_is_the_mean_click(campaign: str) -> None:
    data = read_log("random", campaign)
    uniform = uniform_policy("random", data.log.rows, VALUES[campaign]["arms"])
    np.testing.assert_allclose(importance_weights(data.log, uniform), 1.0, rtol=1e-12)
    found = estimates(data, uniform)
    for name in ("ips", "snips", "reward_at_hit"):
        assert found[name].value == pytest.approx(VALUES[campaign]["mean_click_random"], rel=1e-13)


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_forty_clicks_spread_over_uneven_weights_give_wide_intervals(campaign: str) -> None:
    data = read_log("random", campaign)
    found = estimates(data, bts_policy(campaign, data.position))
    snips = found["snips"]
    expected = np.mean(data.log.reward > 0) * snips.ess
    assert (snips.interval is None) == (expected < 10)
    if snips.interval is not None:
        assert snips.interval.upper - snips.interval.lower > snips.value
