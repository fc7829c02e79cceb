"""Rebuilds this folder's tables from the wheel `obp==0.4.1`, which carries the Open Bandit Dataset's 10,000-row sample.

With the locked versions of polars and numpy the files come out byte for byte as they are checked in.

Example: python datasets/open_bandit/rebuild.py [--wheel obp-0.4.1-py3-none-any.whl] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

HERE = Path(__file__).parent
REQUIREMENT = "obp==0.4.1"
WHEEL = "obp-0.4.1-py3-none-any.whl"
WHEEL_SHA256 = "87dec9caf4283c25ab13036532e0a24566f1c7bdcad1653a8ded43b2f5ef8208"
POLICIES, CAMPAIGNS = ("random", "bts"), ("all", "men", "women")
POSITIONS = 3
SIMULATIONS, SEED = 100_000, 12_345
COLUMNS: dict[str, pl.DataType] = {
    "row_index": pl.Int32(),
    "timestamp": pl.Datetime("us", "UTC"),
    "item_id": pl.Int16(),
    "position": pl.Int8(),
    "click": pl.Int8(),
    "propensity_score": pl.Float64(),
    "user_feature_0": pl.String(),
    "user_feature_1": pl.String(),
    "user_feature_2": pl.String(),
    "user_feature_3": pl.String(),
}
Prior = Mapping[str, Mapping[str, list[float]]]


def rebuild(wheel: Path, out: Path, simulations: int = SIMULATIONS) -> list[Path]:
    """Writes every table from the wheel's files into `out` and returns their paths.

    `simulations` is the number of Thompson draws behind `bts_policy.parquet`.
    """
    written: list[Path] = []
    with zipfile.ZipFile(wheel) as archive:
        policies = []
        prior = parse_prior(archive.read("obp/policy/conf/prior_bts.yaml").decode())
        for campaign in CAMPAIGNS:
            for policy in POLICIES:
                log = impressions(archive.read(f"obp/dataset/obd/{policy}/{campaign}/{campaign}.csv"))
                written.append(_write_parquet(log, out / f"{policy}_{campaign}.parquet"))
            items = item_context(archive.read(f"obp/dataset/obd/random/{campaign}/item_context.csv"))
            written.append(_write_parquet(items, out / f"item_context_{campaign}.parquet"))
            written.append(_write_arms(items, out / "experiments" / f"{campaign}.arms.csv"))
            policies.append(bts_policy(campaign, prior[campaign], simulations))
        written.append(_write_parquet(pl.concat(policies), out / "bts_policy.parquet"))
    return written


def impressions(text: bytes) -> pl.DataFrame:
    """A log in the file's own order; the sparse user-item affinity columns are left out."""
    frame = pl.read_csv(text, infer_schema=False)
    timestamps = frame["timestamp"].str.to_datetime("%Y-%m-%d %H:%M:%S%.f%z", time_unit="us", time_zone="UTC")
    complete = frame.with_columns(timestamps, row_index=pl.int_range(frame.height))
    return complete.select([pl.col(name).cast(kind) for name, kind in COLUMNS.items()])


def item_context(text: bytes) -> pl.DataFrame:
    """The items with their features, by item id."""
    frame = pl.read_csv(text).drop("")
    return frame.cast({"item_id": pl.Int16}).sort("item_id")


def arm_features(items: pl.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Feature names, and one row per item: its number, then a one-hot code per hashed category.

    Categories are numbered in the order in which the items, by id, first show them, so the salt of the hash is
    immaterial.
    """
    names = ["item_feature_0"]
    columns: list[list[str]] = [[repr(value) for value in items["item_feature_0"].to_list()]]
    for feature in ("item_feature_1", "item_feature_2", "item_feature_3"):
        values = items[feature].to_list()
        for number, category in enumerate(dict.fromkeys(values)):
            names.append(f"{feature}_{number}")
            columns.append(["1" if value == category else "0" for value in values])
    return names, [list(row) for row in zip(*columns, strict=True)]


def parse_prior(text: str) -> Prior:
    """Campaign → `alpha` and `beta` per item, from the three-level YAML list that obp ships."""
    prior: dict[str, dict[str, list[float]]] = {}
    campaign = parameter = ""
    for line in filter(str.strip, text.splitlines()):
        content = line.strip()
        if content.startswith("- "):
            prior[campaign][parameter].append(float(content[2:]))
        elif line.startswith(" "):
            parameter = content.rstrip(":")
            prior[campaign][parameter] = []
        else:
            campaign = content.rstrip(":")
            prior[campaign] = {}
    return prior


def bts_probabilities(prior: Mapping[str, list[float]], simulations: int) -> NDArray[np.float64]:
    """P(item | position) of Bernoulli Thompson sampling under its initial prior, shape [items, 3].

    The same Monte Carlo as obp's `BernoulliTS.compute_batch_action_dist(n_sim=simulations)` with `random_state=12345`,
    draw for draw: each simulation ranks the items by one Beta sample each and fills the three positions.
    """
    alpha, beta = np.array(prior["alpha"]), np.array(prior["beta"])
    random = np.random.RandomState(SEED)  # the legacy stream, which obp uses and numpy has frozen
    counts = np.zeros((len(alpha), POSITIONS))
    for _ in range(simulations):
        best = random.beta(alpha, beta).argsort()[::-1][:POSITIONS]
        counts[best, np.arange(POSITIONS)] += 1
    probabilities: NDArray[np.float64] = counts / simulations
    return probabilities


def bts_policy(campaign: str, prior: Mapping[str, list[float]], simulations: int) -> pl.DataFrame:
    """One row per item and position: `campaign`, `item_id`, `position` (from 0), `probability`."""
    probabilities = bts_probabilities(prior, simulations)
    items = len(probabilities)
    return pl.DataFrame(
        {
            "campaign": pl.Series([campaign] * items * POSITIONS, dtype=pl.String),
            "item_id": pl.Series(np.repeat(np.arange(items), POSITIONS), dtype=pl.Int16),
            "position": pl.Series(np.tile(np.arange(POSITIONS), items), dtype=pl.Int8),
            "probability": pl.Series(probabilities.ravel(), dtype=pl.Float64),
        }
    )


def download_wheel(folder: Path) -> Path:
    """Fetches the wheel with pip into `folder` and checks its SHA-256; exits with a fix when that fails."""
    pip = shutil.which("pip")
    command = [pip] if pip else [sys.executable, "-m", "pip"]
    try:
        subprocess.run([*command, "download", "--quiet", "--no-deps", "--dest", folder, REQUIREMENT], check=True)
    except (OSError, subprocess.CalledProcessError) as fault:
        sys.exit(f"error: {REQUIREMENT} cannot be downloaded: {fault}\nfix: download it yourself and pass --wheel")
    return folder / WHEEL


def check_wheel(wheel: Path) -> None:
    """Exits with a fix unless the wheel is the one these tables were built from."""
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != WHEEL_SHA256:
        sys.exit(f"error: {wheel} has SHA-256 {found}, not {WHEEL_SHA256}\nfix: use {WHEEL} as published")


def main() -> None:
    """Rebuilds the tables in place, or into `--out`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path, help="the wheel, if it is here already; else pip downloads it")
    parser.add_argument("--out", type=Path, default=HERE, help="where to write (default: this folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wheel = options.wheel or download_wheel(Path(folder))
        check_wheel(wheel)
        for path in rebuild(wheel, options.out):
            sys.stdout.write(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(options.out)}\n")


def _write_parquet(frame: pl.DataFrame, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(path, compression="zstd", compression_level=19, statistics=False)
    return path


def _write_arms(items: pl.DataFrame, path: Path) -> Path:
    names, rows = arm_features(items)
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(["name", *names])
    writer.writerows([str(item), *row] for item, row in zip(items["item_id"], rows, strict=True))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(sink.getvalue(), encoding="utf-8")
    return path


if __name__ == "__main__":
    main()
