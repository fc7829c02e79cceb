"""A thousand arms from the log to the decision: learned, judged, exported, picked up, drawn and served."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from event_schemas.codec import Codec
from event_schemas.experiment import Experiment
from event_schemas.registry import Registry
from event_schemas.slices import draw_arm
from feature_contract import FeatureContract
from learner.examples.stored_files import stored_examples
from learner.judgement.reference_sketches import REFERENCE_VALUES
from learner.judgement.table_policy import TableLayout
from learner.learner_run import Learner, RunReport
from learner.policy_comparison import Answer, Question, compare
from policy_store.backends.memory_store import MemoryStore
from policy_store.decisions.verification import TrustRule
from policy_store.decisions.verified_reading import read_channel_verified
from policy_store.records.channel_record import Channel
from policy_store.records.objective_weights import ObjectiveWeights
from serving_agent.decide.policy_networks import ValueNetwork
from serving_agent.decide.recent_traffic import RecentTraffic
from serving_agent.decide.scoring import best_arm
from serving_agent.pickup.checkpoint_pickup import CheckpointPickup, PickupResult
from serving_agent.pickup.drift_check import DriftCheck
from tests.learner_samples import NOW, World, experiment_document, ingested
from tests.serving_samples import NOW as SERVED_AT
from tests.serving_samples import TRUSTED, StoreDesk

ARMS, EXAMPLES, HOLDOUT = 32 * 32 + 1, 180, 60


@dataclass(frozen=True)
class Run:
    """A learner with its run, and the requests that it learned from."""

    learner: Learner
    report: RunReport
    examples: list[dict[str, dict[str, object]]]

    @property
    def experiment(self) -> Experiment:
        return self.learner.experiment

    def ask(self, policy: str, **options: bool | TableLayout) -> Answer:
        frame = stored_examples(self.learner.examples_directory)
        return compare(Question(policy, **options), frame, self.learner.shelf, self.experiment)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    document = experiment_document()
    weights = [weight | {"steps": 32} for weight in document["weights"]]
    learning = document["learner"] | {"epochs": 1, "train_window": "2h", "holdout_window": "1h"}
    experiment = Experiment.model_validate(document | {"weights": weights, "learner": learning})
    directory, world = tmp_path_factory.mktemp("arms"), World(experiment, Codec(Registry.bundled()), spacing_ms=60_000)
    examples = world.examples(EXAMPLES)
    ingested(world, examples, directory)
    learner = Learner(experiment, directory, lambda: NOW)
    yield Run(learner, learner.run(ObjectiveWeights.in_force(experiment)), examples)
    torch.set_num_threads(threads)


def test_a_run_learns_exports_and_judges(run: Run) -> None:
    manifest = run.report.checkpoint.manifest
    assert manifest.arms == ARMS
    assert manifest.window["holdout_examples"] == HOLDOUT
    assert manifest.evaluation["log_p_value"] > 0.001
    assert ARMS * HOLDOUT <= manifest.reference["q_heads"]["repin"]["total"] <= REFERENCE_VALUES


def test_policies_are_compared_on_the_log(run: Run, tmp_path: Path) -> None:
    answer = run.ask("learned")
    learned = answer.report
    assert learned.rows + answer.withheld == HOLDOUT and learned.rows > HOLDOUT / 3
    assert 0.0 < learned.policies[0].objectives["repin"].estimates["dm"].value < 1.0
    table, names = tmp_path / "even.parquet", run.experiment.action_space.arm_names
    pl.DataFrame({"item_id": names, "probability": np.full(ARMS, 1 / ARMS)}).write_parquet(table)
    [even], [uniform] = (run.ask(policy).report.policies for policy in (str(table), "uniform"))
    assert even.objectives["repin"].estimates["dr"].value == pytest.approx(
        uniform.objectives["repin"].estimates["dr"].value, rel=1e-12
    )
    assert even.most_common_share == pytest.approx(1 / ARMS)


def test_a_node_picks_it_up_and_serves_the_best_arm(run: Run) -> None:
    experiment, checkpoint = run.experiment, run.report.checkpoint
    contract, desk = FeatureContract.from_experiment(experiment), StoreDesk(experiment, MemoryStore(experiment.name))
    desk.publish("v1", checkpoint.blobs["policy.onnx"], reference=checkpoint.manifest.reference)
    desk.point(Channel.STABLE, "v1")
    space = experiment.action_space
    rule = TrustRule(TRUSTED, experiment.name, space.digest, feature_contracts=frozenset({contract.digest}))
    found = read_channel_verified(desk.store, Channel.STABLE, rule, now_ms=SERVED_AT)
    assert found is not None
    recent, requests = RecentTraffic(), [example["request"] for example in run.examples[-HOLDOUT:]]
    for request in requests:
        recent.note_request(request)  # type: ignore[arg-type]
    verdict = CheckpointPickup(experiment, DriftCheck(experiment, recent)).consider(found.manifest, found.signed)
    assert verdict.result is PickupResult.ACCEPTED, verdict.notes
    assert verdict.policy is not None
    assert isinstance(verdict.policy.network, ValueNetwork)
    q = verdict.policy.network.score(contract.encode(requests[:1]).feeds())[0]  # type: ignore[arg-type]
    assert best_arm(q, (0.7, 0.3), ()) == int((0.7 * q[:, 0].astype(float) + 0.3 * q[:, 1].astype(float)).argmax())
    assert draw_arm(space, 1.0, (), 0.125).arm == ARMS - 2
