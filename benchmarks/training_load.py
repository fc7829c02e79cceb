"""What the benchmark of training measures: a window of stored rows, their encoding, and epochs beside a bare loop.

Each function runs in a process of its own, because memory is measured by the process's peak.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import torch

from benchmarks.process_tree import memory_mb
from event_schemas.experiment import Experiment
from event_schemas.slices import exploration_distribution
from feature_contract import FeatureContract
from learner.examples.learning_rows import LearningRows, encoded_requests
from learner.examples.segment_store import SegmentStore
from learner.examples.training_window import build_window
from learner.examples.window_examples import window_examples
from learner.learner_run import Learner
from learner.network.adam_optimiser import AdamOptimiser
from learner.network.q_network import NetworkShape, QNetwork, arm_inputs, masked_squared_error
from learner.network.training import TrainingTensors, batches_of, step_share, train
from policy_store.records import ObjectiveWeights

START = 1_700_000_000_000
SPACING_MS = 1_000
EMBEDDING, HISTORY, ITEM = 8, 5, 4
SEGMENT_ROWS = 50_000
TOPIC = "examples"
FOREVER = 10**15
WARM_ROWS = 2_000
SEED = 0
MIB = 2**20


def experiment_of(rows: int, epochs: int = 1) -> Experiment:
    """A homefeed of 49 arms and two objectives, with an embedding, a history and two context features.

    The training window has all but the newest tenth of `rows`.
    """
    weights = [
        {"name": "repin", "production": 91.6, "low": 10, "high": 200, "steps": 7},
        {"name": "click", "production": 9.1, "low": 1, "high": 30, "steps": 7},
    ]
    held_out = max(rows * SPACING_MS // 10, 1)
    return Experiment.model_validate(
        {
            "experiment": {"name": "training", "salt": "s", "exploration_rate": 0.5},
            "weights": weights,
            "objectives": [{"name": name, "kinds": [name], "attribution": "1s"} for name in ("repin", "click")],
            "features": {
                "user_embedding_dim": EMBEDDING,
                "history_length": HISTORY,
                "item_embedding_dim": ITEM,
                "context": [{"name": "surface"}, {"name": "hour", "kind": "number"}],
            },
            "join": {"allowed_lateness": "1s", "clock": "replay"},
            "learner": {"epochs": epochs, "train_window": "400d", "holdout_window": f"{held_out}ms"},
            "preference": {"alpha_objective": "click", "alpha": 0.3},
        }
    )


def stored_frame(experiment: Experiment, first: int, rows: int) -> pl.DataFrame:
    """Explored examples number `first` and following, with all columns that the learner reads."""
    rng, space = np.random.default_rng((SEED, first)), experiment.action_space
    design = exploration_distribution(space, (), experiment.production_share)
    arms = rng.choice(space.arms, size=rows, p=design)
    numbers = pl.Series(np.arange(first, first + rows))
    times = START + SPACING_MS * numbers
    hits = pl.DataFrame(rng.random((rows, 2)) < 0.1, schema=["repin", "click"])
    users = pl.Series(rng.normal(size=(rows, EMBEDDING)).astype(np.float32)).arr.to_list()
    return pl.DataFrame({"request_event_time": times, "action_arm": arms.astype(np.int32)}).select(
        pl.format("request-of-the-benchmark-{}", numbers).alias("request_request_id"),
        pl.format("u{}", numbers % 9973).alias("request_user_id"),
        pl.lit(None, dtype=pl.String).alias("request_cohort"),
        "request_event_time",
        users.alias("request_user_embedding"),
        pl.concat_list(
            pl.struct(name=pl.lit("surface"), value=pl.format("s{}", numbers % 7)),
            pl.struct(name=pl.lit("hour"), value=pl.format("{}", numbers % 24)),
        ).alias("request_context"),
        _histories(rng, times),
        pl.lit([], dtype=pl.List(pl.Struct({"event_time": pl.Int64, "weights": pl.List(pl.Float64)}))).alias(
            "request_previous"
        ),
        pl.lit("EXPLORE").alias("action_slice"),
        "action_arm",
        pl.lit([], dtype=pl.List(pl.Int32)).alias("action_eligible"),
        pl.Series("action_weights", space.weights[arms]).arr.to_list(),
        pl.lit(space.digest).alias("action_action_space"),
        pl.Series("propensity_propensity", design[arms]),
        pl.lit(0.5).alias("propensity_slice_probability"),
        pl.lit(1.0).alias("propensity_sampling_rate"),
        pl.lit([], dtype=pl.List(pl.Float64)).alias("propensity_probabilities"),
        pl.lit(None, dtype=pl.Float64).alias("propensity_log_density"),
        pl.lit(None, dtype=pl.String).alias("propensity_exploration"),
        pl.struct(heads=_heads(rng, rows)).alias("ranking"),
        pl.concat_list(
            *(
                pl.struct(
                    objective=pl.lit(name),
                    count=hits[name].cast(pl.Float64),
                    reward=hits[name].cast(pl.Float64),
                    observed=pl.lit(value=True),
                )
                for name in hits.columns
            )
        ).alias("outcome_objectives"),
        pl.lit(value=False).alias("outcome_closed_early"),
        pl.lit(0, dtype=pl.Int32).alias("outcome_partition"),
    )


def write(directory: Path, rows: int) -> None:
    """Segments with so many rows."""
    experiment = experiment_of(rows)
    with SegmentStore(directory, TOPIC, FOREVER) as store:
        for first in range(0, rows, SEGMENT_ROWS):
            count = min(SEGMENT_ROWS, rows - first)
            store.append(stored_frame(experiment, first, count), {0: first + count})


def window_figures(directory: Path, warm: Path, rows: int) -> dict[str, float]:
    """Reading a window: seconds, the process's peak, and bytes and microseconds for each row beyond its tensors.

    `warm` has WARM_ROWS: libraries and their threads take memory once, and are not what is measured.
    """
    _window(warm, WARM_ROWS)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak restarts from here
    before, started = memory_mb([os.getpid()], "VmRSS"), time.perf_counter()
    parts = _window(directory, rows)
    seconds, peak = time.perf_counter() - started, memory_mb([os.getpid()], "VmHWM")
    tensors = sum(_bytes(part) for part in parts)
    return {
        "rows": rows,
        "seconds": round(seconds, 2),
        "us_per_row": round(1e6 * seconds / rows, 2),
        "peak_mb": round(peak, 1),
        "tensors_mb": round(tensors / MIB, 1),
        "bytes_per_row_beyond_tensors": round(((peak - before) * MIB - tensors) / rows, 1),
    }


def run_figures(directory: Path, rows: int) -> dict[str, float]:
    """A whole run on the stored rows, of one epoch and without tallies: its seconds and its process's peak."""
    torch.set_num_threads(1)
    experiment = experiment_of(rows)
    learner = Learner(experiment, directory, lambda: START + rows * SPACING_MS)
    started = time.perf_counter()
    learner.run(ObjectiveWeights.in_force(experiment))
    seconds, peak = time.perf_counter() - started, memory_mb([os.getpid()], "VmHWM")
    return {"rows": rows, "seconds": round(seconds, 1), "peak_mb": round(peak, 1)}


def encoding_us(rows: int) -> float:
    """Microseconds of CPU to encode the features of one row, the best of three."""
    experiment = experiment_of(rows)
    contract, frame = FeatureContract.from_experiment(experiment), stored_frame(experiment, 0, rows)
    return round(1e6 * min(_seconds(lambda: encoded_requests(frame, contract)) for _ in range(3)) / rows, 2)


def training_rates(rows: int, epochs: int, repeats: int) -> dict[str, float]:
    """Rows per CPU second of training and of the bare loop on the same rows, in turns; the best of each."""
    torch.set_num_threads(1)
    experiment = experiment_of(rows, epochs)
    contract = FeatureContract.from_experiment(experiment)
    data = LearningRows.of(stored_frame(experiment, 0, rows), experiment, contract)

    def fresh() -> QNetwork:
        torch.manual_seed(experiment.learner.seed)
        return QNetwork(NetworkShape.of(experiment, contract), arm_inputs(experiment.action_space))

    def ours() -> None:
        network, spec = fresh(), experiment.learner
        train(network, AdamOptimiser.of(network, spec.learning_rate, spec.weight_decay), data, spec)

    def bare() -> None:
        bare_loop(fresh(), data, experiment)

    bare_loop(fresh(), data.take(np.arange(min(rows, 2_000))), experiment)
    times = [(_seconds(ours), _seconds(bare)) for _ in range(repeats)]
    trained, beside = (epochs * rows / min(each) for each in zip(*times, strict=True))
    return {"rows_per_s": round(trained), "bare_rows_per_s": round(beside), "share_of_bare": round(trained / beside, 3)}


def bare_loop(network: QNetwork, rows: LearningRows, experiment: Experiment) -> None:
    """The same batches and step sizes through the same network with torch's AdamW, and nothing else."""
    spec, data = experiment.learner, TrainingTensors.of(rows)
    optimiser = torch.optim.AdamW(network.parameters(), spec.learning_rate, weight_decay=spec.weight_decay)
    generator = torch.Generator().manual_seed(spec.seed)
    network.train()
    for epoch in range(spec.epochs):
        batches = batches_of(torch.randperm(rows.count, generator=generator), spec.batch_size)
        for place, index in enumerate(batches):
            optimiser.param_groups[0]["lr"] = spec.learning_rate * step_share(
                (epoch + place / len(batches)) / spec.epochs
            )
            batch = data.batch(index)
            optimiser.zero_grad()
            values = network.logged(batch.inputs, batch.arms)
            masked_squared_error(values, batch.rewards, batch.observed).backward()  # type: ignore[no-untyped-call]
            optimiser.step()


def _heads(rng: np.random.Generator, rows: int) -> pl.Expr:
    """The mean predictions of two heads."""
    return pl.concat_list(
        *(pl.struct(head=pl.lit(name), mean=pl.lit(pl.Series(rng.beta(2.0, 8.0, rows)))) for name in ("repin", "click"))
    )


def _histories(rng: np.random.Generator, times: pl.Series) -> pl.Series:
    """HISTORY items for each row, newest first."""
    count = len(times) * HISTORY
    ages = np.tile(np.arange(1, HISTORY + 1), len(times)) * 60_000
    items = pl.DataFrame(
        {
            "item_id": pl.Series(rng.integers(0, 10_000, count)).cast(pl.String),
            "action_type": pl.repeat("click", count, eager=True),
            "event_time": np.repeat(times.to_numpy(), HISTORY) - ages,
            "embedding": pl.Series(rng.normal(size=(count, ITEM)).astype(np.float32)).arr.to_list(),
        }
    )
    lists = items.select(pl.struct(pl.all()).reshape((len(times), HISTORY)).arr.to_list().alias("request_history"))
    return lists["request_history"]


def _window(directory: Path, rows: int) -> tuple[LearningRows, LearningRows]:
    experiment = experiment_of(rows)
    frame = window_examples(directory, experiment)
    window = build_window(frame, experiment, FeatureContract.from_experiment(experiment))
    return window.training, window.holdout


def _bytes(rows: LearningRows) -> int:
    arrays = (*rows.inputs.values(), rows.arms, rows.rewards, rows.observed)
    return sum(array.nbytes for array in arrays)


def _seconds(work: Callable[[], object]) -> float:
    """Of the CPU, all threads together: what else runs on the machine changes it less than the clock's."""
    started = time.process_time()
    work()
    return time.process_time() - started
