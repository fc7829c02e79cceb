"""A small world for the learner's tests: an experiment, examples from it with a known truth, and a log of them."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from event_schemas.codec import Codec
from event_schemas.experiment import Experiment
from event_schemas.log_record import LogRecord
from event_schemas.records import EXAMPLE
from event_schemas.slices import exploration_distribution
from feature_contract import FeatureContract
from learner.examples.example_decoder import ExampleDecoder
from learner.examples.learning_rows import COLUMNS, LearningRows
from learner.examples.segment_store import SegmentStore
from learner.examples.slice_tallies import SliceTallies
from learner.examples.stored_files import EXAMPLES_FOLDER
from learner.examples.tally_tables import TallyTotals
from learner.judgement.log_soundness import LogSoundness, propensity_parts
from learner.learner_run import Learner, RunReport
from policy_store.decisions.verification import Approval, TrustRule
from policy_store.records.signing import SigningKey, TrustedKeys
from producers.loggers.applied_decision import AppliedDecision
from producers.loggers.decision_tally import DecisionTally
from producers.loggers.recent_units import RecentUnits

START = 1_700_000_000_000
MINUTE = 60_000
NOW = 1_800_000_000_000


def trust_of(key: SigningKey, experiment: Experiment) -> TrustRule:
    """The rule of a learner that trusts its own key only."""
    approval = Approval(experiment.gate.approval)
    return TrustRule(TrustedKeys.of(key), experiment.name, experiment.action_space.digest, approval)


def experiment_document(**sections: Any) -> dict[str, Any]:
    document = {
        "experiment": {"name": "small", "salt": "s", "exploration_rate": 0.5},
        "weights": [
            {"name": "repin", "production": 91.6, "low": 10, "high": 200, "steps": 3},
            {"name": "p2p", "production": 9.1, "low": 1, "high": 30, "steps": 3},
        ],
        "objectives": [
            {"name": "repin", "kinds": ["repin"], "attribution": "5m"},
            {"name": "p2p", "kinds": ["p2p"], "attribution": "5m"},
        ],
        "cohorts": [{"name": "CORE"}, {"name": "REST"}],
        "features": {
            "user_embedding_dim": 4,
            "history_length": 3,
            "item_embedding_dim": 2,
            "hash_buckets": 64,
            "context": [{"name": "surface", "required": True}, {"name": "hour", "kind": "number"}],
        },
        "join": {"allowed_lateness": "1m", "clock": "replay"},
        "learner": {
            "train_window": "12h",
            "holdout_window": "6h",
            "epochs": 4,
            "batch_size": 128,
            "learning_rate": 0.01,
            "state_dim": 8,
            "action_dim": 4,
            "hidden_dims": [16, 16, 8],
            "alpha_steps": 5,
        },
        "gate": {"margin": 0.1, "min_matched_rows": 20, "min_positives": 5, "approval": "auto"},
        "preference": {"alpha_objective": "p2p", "alpha": 0.3},
    }
    return document | sections


@dataclass
class World:
    """Explored decisions of one experiment; `truth(user[n, 4], arm_features[n, 2])` gives float[n, objectives]."""

    experiment: Experiment
    codec: Codec
    seed: int = 0
    truth: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    spacing_ms: int = 10_000

    def examples(self, count: int, first: int = 0) -> list[dict[str, Any]]:
        rng = np.random.default_rng((self.seed, first))
        space = self.experiment.action_space
        design = exploration_distribution(space, (), self.experiment.production_share)
        arms = rng.choice(space.arms, size=count, p=design)
        users = rng.normal(size=(count, 4)).astype(np.float32)
        rates = (self.truth or harmless_truth)(users, space.features[arms])
        rewards = (rng.random(rates.shape) < rates).astype(float)
        return [
            self.example(first + i, int(arms[i]), float(design[arms[i]]), users[i].tolist(), rewards[i].tolist())
            for i in range(count)
        ]

    def example(
        self, number: int, arm: int, propensity: float, user: list[float], rewards: list[float]
    ) -> dict[str, Any]:
        at = START + number * self.spacing_ms
        identity = {"request_id": f"r{number:06d}", "event_time": at}
        history = {"item_id": "i", "action_type": "click", "event_time": at - 5 * MINUTE, "embedding": [0.1, 0.2]}
        heads = [
            {"head": name, "count": 10, "mean": 0.1 + 0.01 * (number % 7), "p10": 0.0, "p50": 0.1, "p90": 0.2}
            for name in self.experiment.objective_names
        ]
        return {
            "request": identity
            | {
                "user_id": f"u{number % 997}",
                "session_id": None,
                "cohort": "CORE" if number % 2 else "REST",
                "user_embedding": user,
                "context": [
                    {"name": "surface", "value": f"s{number % 3}"},
                    {"name": "hour", "value": str(number % 24)},
                ],
                "history": [history] * (number % 3),
            },
            "action": identity
            | {
                "slice": "EXPLORE",
                "arm": arm,
                "shadow_arm": None,
                "eligible": [],
                "weights": self.experiment.action_space.weights[arm].tolist(),
                "action_space": self.experiment.action_space.digest,
                "policy_version": "",
                "config_revision": 0,
                "experiment_arm": None,
                "fallback_reason": None,
            },
            "propensity": identity
            | {"propensity": propensity, "slice_probability": 0.5, "sampling_rate": 1.0, "probabilities": []},
            "ranking": identity | {"ranker_version": "v1", "heads": heads, "served": []},
            "outcome": {
                "objectives": [
                    {"objective": name, "count": reward, "reward": reward, "observed": True}
                    for name, reward in zip(self.experiment.objective_names, rewards, strict=True)
                ],
                "closed_early": False,
                "window_closed_at": at + 6 * MINUTE,
                "partition": number % 2,
                "offset": number,
            },
        }

    def log(self, examples: Sequence[dict[str, Any]], first_offset: int = 0) -> list[LogRecord]:
        """The examples in a two-partition log."""
        offsets = [first_offset, first_offset]
        records = []
        for example in examples:
            partition = example["outcome"]["partition"]
            key = example["request"]["request_id"].encode()
            value = self.codec.encode(EXAMPLE, example)
            appended = example["outcome"]["window_closed_at"]
            records.append(LogRecord("t.examples", partition, offsets[partition], appended, key, value))
            offsets[partition] += 1
        return records

    def frame(self, examples: Sequence[dict[str, Any]]) -> pl.DataFrame:
        """The examples as a run reads them from the store."""
        return self.decoded(examples).select(COLUMNS)

    def decoded(self, examples: Sequence[dict[str, Any]]) -> pl.DataFrame:
        """The examples as the learner stores them."""
        chunk = ExampleDecoder(self.codec, self.experiment.action_space).decode(self.log(examples))
        assert chunk.bad == ()
        return chunk.frame

    def rows(self, examples: Sequence[dict[str, Any]]) -> LearningRows:
        """The examples as a network reads them."""
        return LearningRows.of(self.frame(examples), self.experiment, FeatureContract.from_experiment(self.experiment))


def tallied(experiment: Experiment, examples: Sequence[dict[str, Any]]) -> SliceTallies:
    """What the producers of these explored decisions counted.

    Each decision has its `slice_probability`, 0.5; as many others, which are not logged, did not explore.
    """
    tally, totals = DecisionTally(1, RecentUnits()), TallyTotals()
    for example in examples:
        request, arm = example["request"], example["action"]["arm"]
        for name in ("EXPLORE", "POLICY"):
            unit = f"{name}-{request['request_id']}"
            facts = (name, arm, request["event_time"], experiment.exploration.digest, 0.5, unit)
            tally.add(AppliedDecision(*facts))
    record = tally.record("node", START)
    totals.add({each["slice"]: each["count"] for each in record["counts"]}, record["arms"], record["spans"])
    return totals.result({})


def check_log(rows: LearningRows, experiment: Experiment, control: pl.DataFrame | None = None) -> LogSoundness:
    """The tests of the draws alone."""
    return LogSoundness.of(rows.count, propensity_parts(rows, experiment, control))


def harmless_truth(users: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Both objectives rise with the weights, so the best arm beats production on both."""
    score = -0.5 + 1.5 * features[:, 0] + 1.5 * features[:, 1] + 0.3 * users[:, 0]
    rate = 1 / (1 + np.exp(-score))
    return np.stack([rate, rate], axis=1)


@dataclass(frozen=True)
class Trained:
    """A learner after one run over 6,000 examples, and what the run reported; copy `directory` before changing it."""

    learner: Learner
    report: RunReport

    @property
    def directory(self) -> Path:
        return self.learner.directory

    def copied_to(self, directory: Path) -> Learner:
        """The same learner in a directory of its own."""
        shutil.copytree(self.directory, directory, dirs_exist_ok=True)
        return replace(self.learner, directory=directory)


def ingested(world: World, examples: Sequence[dict[str, Any]], directory: Path) -> None:
    """The examples in the segments of a learner's directory."""
    with SegmentStore(directory / EXAMPLES_FOLDER, "t.examples", 10**15) as store:
        chunk = ExampleDecoder(world.codec, world.experiment.action_space).decode(world.log(examples))
        store.append(chunk.frame, {0: len(examples)})
