"""The data set as checked in: complete, as published, and fit for its mapping and experiments."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from datasets.open_bandit.rebuild import CAMPAIGNS, COLUMNS, POLICIES, arm_features
from event_schemas.codec import Codec
from event_schemas.experiment import load_experiment
from event_schemas.registry import Registry
from producers.delivery.memory_log import MemoryLog
from producers.replay.column_mapping import load_mapping
from producers.replay.log_rows import read_rows
from producers.replay.replay_run import ReplayPlan, replay_rows

DATA = Path(__file__).parents[2] / "datasets" / "open_bandit"
REFERENCE = Path(__file__).parent / "reference" / "bts_action_dist.json"
ITEMS = {"all": 80, "men": 34, "women": 46}
CLICKS = {
    ("random", "all"): 38,
    ("random", "men"): 46,
    ("random", "women"): 46,
    ("bts", "all"): 42,
    ("bts", "men"): 69,
    ("bts", "women"): 46,
}


@pytest.mark.parametrize("campaign", CAMPAIGNS)
@pytest.mark.parametrize("policy", POLICIES)
def test_logs_are_as_published(policy: str, campaign: str) -> None:
    log = pl.read_parquet(DATA / f"{policy}_{campaign}.parquet")
    assert log.schema == pl.Schema(COLUMNS)
    assert (log.height, log["click"].sum(), log.null_count().sum_horizontal().item()) == (
        10_000,
        CLICKS[policy, campaign],
        0,
    )
    assert log["row_index"].to_list() == list(range(10_000))
    assert (log["item_id"].min(), log["item_id"].max()) == (0, ITEMS[campaign] - 1)
    assert sorted(log["position"].unique()) == [1, 2, 3]
    days = log["timestamp"].dt.date().unique().sort()
    assert [str(day) for day in days] == [f"2019-11-{day}" for day in range(24, 31)]


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_the_random_log_was_uniform(campaign: str) -> None:
    log = pl.read_parquet(DATA / f"random_{campaign}.parquet")
    np.testing.assert_allclose(log["propensity_score"], 1 / ITEMS[campaign], rtol=1e-12)


@pytest.mark.parametrize("campaign", ["all", "men"])
def test_the_bts_policy_is_obps_to_the_last_bit(campaign: str) -> None:
    table = pl.read_parquet(DATA / "bts_policy.parquet").filter(pl.col("campaign") == campaign)
    ours = table.sort("item_id", "position")["probability"].to_numpy().reshape(ITEMS[campaign], 3)
    theirs = json.loads(REFERENCE.read_text())[campaign]
    np.testing.assert_array_equal(ours, np.array(theirs))


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_experiments_hold_the_items_as_arms(campaign: str) -> None:
    experiment = load_experiment(DATA / "experiments" / f"{campaign}.toml")
    items = pl.read_parquet(DATA / f"item_context_{campaign}.parquet")
    names, rows = arm_features(items)
    space = experiment.action_space
    assert space.arm_names == tuple(str(item) for item in range(ITEMS[campaign]))
    assert experiment.catalogue is not None
    assert experiment.catalogue.features == tuple(names)
    np.testing.assert_array_equal(space.features, np.array(rows, dtype=np.float32))
    shown = pl.read_parquet(DATA / f"bts_{campaign}.parquet")["item_id"].value_counts(sort=True)["item_id"][0]
    assert space.arm_names[space.production_arm] == str(shown), "production is the item BTS showed most often"


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_the_mapping_fits_every_experiment(campaign: str) -> None:
    experiment = load_experiment(DATA / "experiments" / f"{campaign}.toml")
    load_mapping(DATA / "mapping.toml").check_against(experiment)


def test_a_whole_log_replays_without_a_bad_row() -> None:
    mapping = load_mapping(DATA / "mapping.toml")
    experiment = load_experiment(DATA / "experiments" / "all.toml")
    log = MemoryLog(partitions=4)
    rows = read_rows(DATA / "random_all.parquet", mapping)
    plan = ReplayPlan(mapping, experiment, Codec(Registry.bundled()), rows.file, "events", "dead-letters", 4)
    summary = replay_rows(rows, plan, log)
    assert (summary.decisions, summary.bad_rows, summary.events["Engagement"]) == (10_000, 0, 38)
    assert summary.events["Request"] == summary.events["Action"] == summary.events["Propensity"] == 10_000
    assert len({record.key for record in log.records("events") if record.key}) == 10_000


def test_the_folder_is_small_and_carries_licence_and_attribution() -> None:
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) < 3_000_000
    assert "Apache License" in (DATA / "LICENSE").read_text()
    readme = (DATA / "README.md").read_text()
    for words in ("arXiv:2008.07146", "Saito", "Changes from the original", "Synthetic"):
        assert words in readme
