"""The rebuild script, run on a wheel of the same layout that this test packs itself."""

from __future__ import annotations

import hashlib
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from datasets.open_bandit import rebuild

LOG = """\
,timestamp,item_id,position,click,propensity_score,user_feature_0,user_feature_1,user_feature_2,user_feature_3,user-item_affinity_0
0,2019-11-24 00:00:34.762830+00:00,1,3,0,0.0125,aa,bb,cc,dd,0.0
1,2019-11-24 00:00:33.000001+00:00,0,1,1,4.5e-05,aa,bb,cc,ee,1.0
"""
ITEMS = """\
,item_id,item_feature_0,item_feature_1,item_feature_2,item_feature_3
0,1,0.25,x,p,m
1,0,-0.6771831139635117,y,p,m
"""
PRIOR = """\
all:
  alpha:
    - 1.0
    - 20.0
    - 1.0
    - 1.0
  beta:
    - 20.0
    - 1.0
    - 20.0
    - 20.0
"""


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "obp.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("obp/policy/conf/prior_bts.yaml", "".join(PRIOR.replace("all", c) for c in rebuild.CAMPAIGNS))
        for policy in rebuild.POLICIES:
            for campaign in rebuild.CAMPAIGNS:
                folder = f"obp/dataset/obd/{policy}/{campaign}"
                archive.writestr(f"{folder}/{campaign}.csv", LOG)
                archive.writestr(f"{folder}/item_context.csv", ITEMS)
    return path


def test_it_writes_every_table_and_the_same_bytes_each_time(wheel: Path, tmp_path: Path) -> None:
    digests = []
    for folder in ("one", "two"):
        written = rebuild.rebuild(wheel, tmp_path / folder, simulations=50)
        names = {str(path.relative_to(tmp_path / folder)) for path in written}
        digests.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in written])
    assert digests[0] == digests[1]
    assert names == {
        *(f"{policy}_{campaign}.parquet" for policy in rebuild.POLICIES for campaign in rebuild.CAMPAIGNS),
        *(f"item_context_{campaign}.parquet" for campaign in rebuild.CAMPAIGNS),
        *(f"experiments/{campaign}.arms.csv" for campaign in rebuild.CAMPAIGNS),
        "bts_policy.parquet",
    }


def test_impressions_keep_order_values_and_microseconds() -> None:
    frame = rebuild.impressions(LOG.encode())
    assert frame.columns == list(rebuild.COLUMNS)
    assert frame["row_index"].to_list() == [0, 1]
    assert frame["timestamp"][0] == datetime(2019, 11, 24, 0, 0, 34, 762_830, tzinfo=UTC)
    assert frame["propensity_score"].to_list() == [0.0125, 4.5e-05]
    assert frame["user_feature_3"].to_list() == ["dd", "ee"]


def test_arm_features_are_a_number_and_one_hot_codes_by_first_appearance() -> None:
    names, rows = rebuild.arm_features(rebuild.item_context(ITEMS.encode()))
    assert names == ["item_feature_0", "item_feature_1_0", "item_feature_1_1", "item_feature_2_0", "item_feature_3_0"]
    assert rows == [["-0.6771831139635117", "1", "0", "1", "1"], ["0.25", "0", "1", "1", "1"]]


def test_thompson_probabilities_add_up_per_position() -> None:
    probabilities = rebuild.bts_probabilities(rebuild.parse_prior(PRIOR)["all"], simulations=400)
    assert probabilities.shape == (4, 3)
    np.testing.assert_allclose(probabilities.sum(axis=0), 1)
    assert probabilities[1, 0] > 0.95, "the item whose prior is far better comes first"


def test_another_wheel_is_refused(wheel: Path) -> None:
    with pytest.raises(SystemExit, match=r"fix: use obp-0\.4\.1"):
        rebuild.check_wheel(wheel)


def test_positions_count_from_zero_in_the_policy_table() -> None:
    frame = rebuild.bts_policy("men", rebuild.parse_prior(PRIOR)["all"], 20)
    assert frame.select("item_id", "position").rows()[:4] == [(0, 0), (0, 1), (0, 2), (1, 0)]
    assert frame["campaign"].unique().to_list() == ["men"]
    assert frame.schema["probability"] == pl.Float64
