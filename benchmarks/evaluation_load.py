"""`python evaluation_load.py '{"part": …, "rows": …, "arms": …}'`: one part of an evaluation, measured in this process.

Prints one JSON object: seconds, the peak of the memory above what the input takes, and values that any version of the
code must give alike. It imports nothing of the benchmarks, so that it runs on the code of another checkout too. Only
the evaluation loads torch.
"""

from __future__ import annotations

import gc
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from event_schemas.experiment import Experiment
from event_schemas.slices import exploration_distribution
from feature_contract import FeatureContract
from learner.examples.learning_rows import LearningRows
from learner.judgement.log_soundness import LogSoundness, propensity_parts
from policy_store.records import POLICY_BLOB, CheckpointManifest, describe_blobs

if TYPE_CHECKING:
    from learner.checkpoints.checkpoint import Checkpoint

EMBEDDING = 8
HISTORY_ITEM: dict[str, Any] = {
    "item_id": pl.String,
    "action_type": pl.String,
    "event_time": pl.Int64,
    "embedding": pl.List(pl.Float32),
}
PREVIOUS_ENTRY: dict[str, Any] = {"event_time": pl.Int64, "weights": pl.List(pl.Float64)}
START = 1_700_000_000_000
VERSION = "20231114T221320Z-00000000"
Measured = Callable[[], dict[str, Any]]


def experiment_of(arms: int) -> Experiment:
    """Two weights whose grid and production make so many arms."""
    grid = arms - 1
    steps = next(size for size in range(math.isqrt(grid), 0, -1) if grid % size == 0)
    weights = [
        {"name": "repin", "production": 91.6, "low": 10, "high": 200, "steps": grid // steps},
        {"name": "p2p", "production": 9.1, "low": 1, "high": 30, "steps": steps},
    ]
    objectives = [{"name": name, "kinds": [name], "attribution": "5m"} for name in ("repin", "p2p")]
    return Experiment.model_validate(
        {
            "experiment": {"name": "many_arms", "salt": "s", "exploration_rate": 0.5},
            "weights": weights,
            "objectives": objectives,
            "features": {"user_embedding_dim": EMBEDDING},
            "preference": {"alpha_objective": "p2p", "alpha": 0.3},
        }
    )


def stored_frame(experiment: Experiment, rows: int, *, declared: bool) -> pl.DataFrame:
    """Explored examples as the learner reads them; with `declared` each logs the probabilities of all arms."""
    rng, space = np.random.default_rng(0), experiment.action_space
    design = exploration_distribution(space, (), experiment.production_share)
    arms = rng.choice(space.arms, size=rows, p=design)
    numbers = pl.Series(range(rows))
    outcomes = [
        [{"objective": name, "count": 1.0 * hit, "reward": 1.0 * hit, "observed": True} for name in ("repin", "p2p")]
        for hit in rng.random(rows) < 0.1
    ]
    listed = np.tile(design, (rows, 1)) if declared else np.zeros((rows, 0))
    users = pl.Series(rng.normal(size=(rows, EMBEDDING)).astype(np.float32)).arr.to_list()
    frame = pl.DataFrame({"request_event_time": START + 1000 * numbers, "action_arm": arms})
    return frame.with_columns(
        pl.format("r{}", numbers).alias("request_request_id"),
        pl.format("u{}", numbers % 997).alias("request_user_id"),
        pl.lit(None, dtype=pl.String).alias("request_cohort"),
        users.alias("request_user_embedding"),
        pl.lit([], dtype=pl.List(pl.Struct({"name": pl.String, "value": pl.String}))).alias("request_context"),
        pl.lit([], dtype=pl.List(pl.Struct(HISTORY_ITEM))).alias("request_history"),
        pl.lit([], dtype=pl.List(pl.Struct(PREVIOUS_ENTRY))).alias("request_previous"),
        pl.lit("EXPLORE").alias("action_slice"),
        pl.lit([], dtype=pl.List(pl.Int32)).alias("action_eligible"),
        pl.Series("action_weights", space.weights[arms]).arr.to_list(),
        pl.lit(space.digest).alias("action_action_space"),
        pl.Series("propensity_propensity", design[arms]),
        pl.lit(0.5).alias("propensity_slice_probability"),
        pl.lit(1.0).alias("propensity_sampling_rate"),
        pl.lit(None, dtype=pl.Float64).alias("propensity_log_density"),
        pl.lit(None, dtype=pl.String).alias("propensity_exploration"),
        pl.Series("propensity_probabilities", listed).arr.to_list(),
        pl.lit(None).alias("ranking"),
        pl.Series("outcome_objectives", outcomes),
        pl.lit(value=False).alias("outcome_closed_early"),
        pl.lit(0, dtype=pl.Int32).alias("outcome_partition"),
    )


def untrained_checkpoint(experiment: Experiment, rows: LearningRows) -> Checkpoint:
    """A checkpoint with the network's first weights; all rows are later than its training."""
    from learner.checkpoints.checkpoint import Checkpoint
    from learner.network.algorithm import make_algorithm

    contract = FeatureContract.from_experiment(experiment)
    algorithm = make_algorithm(experiment, contract)
    blobs = {POLICY_BLOB: algorithm.export(rows.inputs)}
    manifest = CheckpointManifest(
        version=VERSION,
        experiment=experiment.name,
        created_at=START,
        algorithm=algorithm.name,
        action_space=experiment.action_space.digest,
        arms=experiment.action_space.arms,
        objectives=list(experiment.objective_names),
        feature_contract=contract.digest,
        feature_spec=contract.as_dict(),
        window={"holdout_from": START},
        parent=None,
        evaluation={},
        blobs=describe_blobs(blobs),
        reference={},
        policy={},
    )
    return Checkpoint(manifest, blobs, b"")


def log_check(experiment: Experiment, frame: pl.DataFrame, _: Path) -> Measured:
    """The test of the logged arms."""
    rows = LearningRows.of(frame, experiment, FeatureContract.from_experiment(experiment))

    def check() -> dict[str, Any]:
        parts = propensity_parts(rows, experiment)
        return {"p_value": LogSoundness.of(rows.count, parts).p_value}

    return check


def evaluation(experiment: Experiment, frame: pl.DataFrame, directory: Path) -> Measured:
    """The learned policies, 25 values of alpha, as `trimtab evaluate` compares them with production."""
    from learner.checkpoints.checkpoint import CheckpointShelf
    from learner.policy_comparison import Question, compare

    rows = LearningRows.of(frame.head(256), experiment, FeatureContract.from_experiment(experiment))
    question = Question("learned", checkpoint=untrained_checkpoint(experiment, rows))

    def judge() -> dict[str, Any]:
        report = compare(question, frame, CheckpointShelf(directory), experiment).report
        estimates = report.policies[0].objectives["repin"].estimates
        return {name: estimates[name].value for name in ("snips", "dm", "dr")}

    return judge


PARTS: dict[str, tuple[Callable[[Experiment, pl.DataFrame, Path], Measured], bool]] = {
    "log_check": (log_check, False),
    "declared_log_check": (log_check, True),
    "evaluation": (evaluation, False),
}
"""What is measured, by name, and whether the log declares probabilities."""


def measured(part: str, rows: int, arms: int) -> dict[str, Any]:
    """Prepare the input, then measure the part on it."""
    experiment = experiment_of(arms)
    prepare, declared = PARTS[part]
    with TemporaryDirectory() as folder:
        # A few rows first: libraries and their threads take memory once, and are not what is measured.
        prepare(experiment, stored_frame(experiment, 64, declared=declared), Path(folder))()
        run = prepare(experiment, stored_frame(experiment, rows, declared=declared), Path(folder))
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak restarts from here
        before, started = _memory_kb("VmRSS"), time.perf_counter()
        values = run()
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "peak_mb": max(0, _memory_kb("VmHWM") - before) / 1024, "values": values}


def _memory_kb(key: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{key}:"))


if __name__ == "__main__":
    print(json.dumps(measured(**json.loads(sys.argv[1]))))  # noqa: T201  read by the benchmark
