"""A whole run: window, training, evaluation, verdict, publication."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract
from learner.checkpoints.checkpoint import CHECKPOINTS_FOLDER
from learner.checkpoints.gate_account import GateAccount
from learner.checkpoints.publishing import Publisher
from learner.checkpoints.run_history import RunHistory, budget_in_force
from learner.checkpoints.serving_checkpoint import ServingCheckpoint
from learner.checkpoints.trained_checkpoints import trained_on
from learner.checkpoints.warm_start import start_from
from learner.examples.forgotten_users import forgotten_decisions
from learner.examples.learner_errors import NothingToLearn
from learner.examples.segment_store import SegmentStore
from learner.examples.slice_tallies import SliceTallies
from learner.examples.stored_files import EXAMPLES_FOLDER, TALLIES_FILE, stored_examples
from learner.examples.tally_shelf import TallyShelf
from learner.examples.training_window import window_bounds
from learner.judgement.gate import Verdict
from learner.judgement.gate_budget import RENEWAL_MS
from learner.learner_run import Learner, RunObserver
from learner.network.algorithm import make_algorithm
from learner.network.training_progress import TrainingProgress
from learner.policy_comparison import Question, compare
from monitoring.metrics import LearnerMetrics
from policy_store.backends.memory_store import MemoryStore
from policy_store.decisions.experiment_reading import running_canary
from policy_store.decisions.governance import publish_checkpoint
from policy_store.records.objective_weights import ObjectiveWeights
from policy_store.records.signing import Role, SigningKey
from tests.answer_graphs import preferring_values
from tests.learner.answering_checkpoints import answering
from tests.learner_samples import tallied, trust_of

NOW = 1_800_000_000_000


def test_a_policy_that_is_better_passes(trained: Any) -> None:
    report = trained.report
    assert report.verdict.verdict is Verdict.PASS
    assert all(lift["relative"] > 0.1 for lift in report.as_dict()["lifts"].values())
    assert report.published is None
    assert report.as_dict()["log"]["verdict"] == "sound"


def test_a_run_after_a_user_was_forgotten_trains_once_without_the_rows_and_spends_no_look(
    trained: Any, tmp_path: Path
) -> None:
    learner = trained.copied_to(tmp_path)
    preference, first = ObjectiveWeights.in_force(learner.experiment), trained.report.checkpoint.manifest
    assert not learner.run(preference).trained
    with SegmentStore(learner.examples_directory, "t.examples", 10**15) as store:
        removed = store.forget_user("u7", 10**15)["request_event_time"]
    rows = removed.is_between(first.window["train_from"], first.window["train_to"] - 1).sum()
    assert trained_on(learner.shelf, forgotten_decisions(learner.examples_directory)).direct == (first.version,)
    report = learner.run(preference)
    made = report.checkpoint.manifest
    assert report.trained and made.window["examples"] == first.window["examples"] - rows
    assert made.evaluation["look"] is None
    assert made.evaluation["budget"]["spent"] == first.evaluation["budget"]["spent"]
    assert not learner.run(preference).trained
    found = trained_on(learner.shelf, forgotten_decisions(learner.examples_directory))
    assert (found.direct, found.inherited) == ((first.version,), (made.version,))


def test_a_run_is_compared_with_a_linear_fit_on_rows_that_it_did_not_train_on(trained: Any) -> None:
    rival = trained.report.rival
    told = json.loads(trained.report.checkpoint.blobs["evaluation.json"])["linear_rival"]
    assert told == rival.as_dict() == trained.report.as_dict()["linear_rival"]
    window = trained.report.checkpoint.manifest.window
    assert window["validation_rows"] == rival.rows and 0.05 < rival.rows / window["examples"] < 0.15
    assert rival.wins == (rival.loss - rival.linear_loss > rival.standard_error)


def _without_runs(learner: Learner) -> Learner:
    """The learner before its first look: its rows were judged by nobody."""
    shutil.rmtree(learner.directory / CHECKPOINTS_FOLDER)
    return learner


def test_without_tallies_nothing_passes(trained: Any, tmp_path: Path, experiment: Experiment) -> None:
    learner = replace(_without_runs(trained.copied_to(tmp_path)), tallies=lambda: SliceTallies({}))
    report = learner.run(ObjectiveWeights.in_force(experiment))
    assert report.verdict.verdict is Verdict.INCONCLUSIVE
    assert report.as_dict()["reason_codes"] == ["completeness_unverified"]
    kept = TallyShelf(tmp_path / TALLIES_FILE).load()
    assert kept.tallies.decisions == 0 and kept.newest_example is not None
    again = learner.run(ObjectiveWeights.in_force(experiment))
    assert not (report.settled or again.settled or again.trained), "it could only find the same"
    counted = replace(learner, tallies=trained.learner.tallies)
    judged = counted.run(ObjectiveWeights.in_force(experiment))
    assert judged.trained and judged.settled, "a look that was not taken is taken when tallies come, without a new row"
    assert judged.checkpoint.manifest.evaluation["look"] == 1
    assert not counted.run(ObjectiveWeights.in_force(experiment)).trained


def test_the_same_examples_give_the_same_network(trained: Any, tmp_path: Path, experiment: Experiment) -> None:
    learner = trained.copied_to(tmp_path)
    again = learner.run(ObjectiveWeights.in_force(experiment), warm=False)
    blobs, first = again.checkpoint.blobs, trained.report.checkpoint.blobs
    assert blobs["weights.safetensors"] == first["weights.safetensors"]
    assert again.checkpoint.manifest.window["start"] == "cold: requested"


def test_a_second_run_continues_the_first_and_counts_its_look(
    trained: Any, tmp_path: Path, experiment: Experiment, world: Any, ingest: Any
) -> None:
    stages: list[str] = []
    ended: dict[str, int] = {}
    epochs: list[TrainingProgress] = []
    registry, key = CollectorRegistry(), SigningKey.generate(Role.LEARNER, "m")
    later = world.examples(2400, first=6000)
    learner = replace(
        trained.copied_to(tmp_path),
        clock=lambda: NOW + 1000,
        tallies=lambda: tallied(experiment, [*world.examples(6000), *later]),
        publisher=Publisher(
            MemoryStore("small", clock=lambda: NOW + 1000),
            key,
            experiment,
            lambda: NOW + 1000,
            trust_of(key, experiment),
        ),
        metrics=LearnerMetrics(registry),
        observer=RunObserver(lambda stage, _: stages.append(stage), epochs.append, ended.__setitem__),
    )
    ingest(world, later, tmp_path)
    assert learner.publisher is not None
    learner.publisher.publish(trained.report.checkpoint, trained.report.verdict)
    learner.publisher.withdraw(trained.report.checkpoint.version, "it makes room")
    report = learner.run(ObjectiveWeights.in_force(experiment))
    content = report.as_dict()
    held_out_rows = content["window"]["holdout_examples"]
    assert content["parent"] == trained.report.checkpoint.version
    assert [entry["version"] for entry in content["window"]["lineage"]] == [trained.report.checkpoint.version]
    evaluation = report.checkpoint.manifest.evaluation
    assert (evaluation["look"], evaluation["run"]) == (2, 2)
    budget = evaluation["budget"]
    assert budget["spent"] == pytest.approx(0.025 + evaluation["share"])
    assert evaluation["share"] == pytest.approx(0.025 * 2400 * 10_000 / RENEWAL_MS)
    assert content["channel"] == "canary"
    assert stages == ["window", "train", "export", "evaluate", "gate", "publish", "publish"]
    assert report.rival is not None
    assert ended == {
        "window": content["window"]["examples"] + held_out_rows,
        "train": content["window"]["examples"] - report.rival.rows,
        "evaluate": held_out_rows,
        "gate": evaluation["rows"],
        "publish": held_out_rows,
    }
    assert len(epochs) == experiment.learner.epochs
    assert registry.get_sample_value("trimtab_learner_gate_total", {"verdict": "pass", "reason": "harmless"}) == 1
    assert registry.get_sample_value("trimtab_learner_last_success_timestamp_seconds") == (NOW + 1000) / 1000
    held_out = registry.get_sample_value("trimtab_learner_window_examples", {"split": "holdout"})
    assert held_out == content["window"]["holdout_examples"]
    p_value = registry.get_sample_value("trimtab_propensity_check_pvalue")
    assert p_value is not None
    assert 0 < p_value <= 1


def test_a_run_is_compared_with_the_checkpoint_that_serves(
    trained: Any, tmp_path: Path, experiment: Experiment
) -> None:
    first = trained.report.checkpoint
    before = trained.report.as_dict()["serving"]
    assert (before["version"], before["lifts"]) == (None, {})
    learner = replace(
        _without_runs(trained.copied_to(tmp_path)),
        clock=lambda: NOW + 1000,
        serving=lambda: ServingCheckpoint(first, f"{first.version} is serving"),
    )
    same = learner.run(ObjectiveWeights.in_force(experiment), warm=False)
    content = same.as_dict()["serving"]
    assert content == json.loads(same.checkpoint.blobs["evaluation.json"])["serving"]
    assert content["version"] == first.version
    for lifts in (content["lifts"], *content["cohort_lifts"].values()):
        assert {name: lift["value"] for name, lift in lifts.items()} == {"repin": 0.0, "p2p": 0.0}
        assert all(lift["gateable"] for lift in lifts.values())
    assert set(content["cohort_lifts"]) == {"CORE", "REST"}
    graph, window = preferring_values(2, 10), {"train_to": 0, "embargo_ms": 0, "lineage": []}
    worse = answering(experiment, "values", graph, "argmax", window=window)
    learner = replace(_without_runs(learner), serving=lambda: ServingCheckpoint(worse, "it is serving"))
    judged = learner.run(ObjectiveWeights.in_force(experiment), warm=False).evaluation
    assert judged is not None
    lifts = judged.serving.lifts
    assert {lift.estimator for lift in lifts.values()} == {"dr"}
    assert all(lift.relative > 0.1 and lift.gateable for lift in lifts.values())


def test_without_new_rows_nothing_is_trained_and_the_checkpoint_stands(
    trained: Any, tmp_path: Path, experiment: Experiment
) -> None:
    """It is published if the store does not have it, once: people may have promoted another one since."""
    store, preference = MemoryStore("small", clock=lambda: NOW), ObjectiveWeights.in_force(experiment)
    key = SigningKey.generate(Role.LEARNER, "m")
    publisher = Publisher(store, key, experiment, lambda: NOW, trust_of(key, experiment))
    learner = replace(trained.copied_to(tmp_path), publisher=publisher)
    first, second = learner.run(preference), learner.run(preference)
    for report in (first, second):
        assert not report.trained
        assert report.checkpoint.version == trained.report.checkpoint.version
        assert report.verdict.as_dict() == trained.report.verdict.as_dict()
    assert first.published is not None and first.published.channel == "canary"
    assert second.published is None
    assert len(learner.shelf.versions()) == 1


def test_a_pass_of_a_learner_that_was_killed_is_published_by_the_next_one(
    trained: Any, tmp_path: Path, experiment: Experiment
) -> None:
    """It was killed between storing the checkpoint and pointing to it; the next one has another data directory."""
    key, passed = SigningKey.generate(Role.LEARNER, "m"), trained.report.checkpoint
    store = MemoryStore("small", clock=lambda: NOW)
    publisher = Publisher(store, key, experiment, lambda: NOW, trust_of(key, experiment))
    learner = replace(trained.copied_to(tmp_path), publisher=publisher)
    budget = budget_in_force(learner.shelf, experiment)
    GateAccount.read(publisher).record_run(1, passed.manifest, budget)
    publish_checkpoint(store, passed.manifest, passed.blobs, key)
    shutil.rmtree(tmp_path / CHECKPOINTS_FOLDER)
    report = learner.run(ObjectiveWeights.in_force(experiment))
    assert report.published is not None and report.published.version == passed.version
    assert running_canary(store, publisher.rule) == f"canary-{passed.version}"


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("rows", [0, 600])
def test_a_pass_that_no_channel_heard_of_is_published_by_a_later_run(
    trained: Any, tmp_path: Path, experiment: Experiment, world: Any, ingest: Any, stored: bool, rows: int
) -> None:
    """After `--no-publish`, a store that was down, or a kill between storing the checkpoint and pointing to it."""
    key, first = SigningKey.generate(Role.LEARNER, "m"), trained.report.checkpoint
    store = MemoryStore("small", clock=lambda: NOW)
    if stored:
        publish_checkpoint(store, first.manifest, first.blobs, key)
    publisher = Publisher(store, key, experiment, lambda: NOW, trust_of(key, experiment))
    learner = replace(trained.copied_to(tmp_path), publisher=publisher)
    in_force = ObjectiveWeights.in_force(experiment)
    if rows:
        ingest(world, world.examples(rows, first=6000), tmp_path)
        in_force = replace(in_force, revision=7)  # people approved the same weights again
    other = replace(in_force, default=(0.5, 0.5))
    budget = budget_in_force(learner.shelf, experiment)
    assert learner._publish_pass(RunHistory(learner.shelf), budget, world.rows(world.examples(1)), other) is None, (
        "nobody judged it under these weights"
    )
    report = learner.run(in_force)
    assert running_canary(store, publisher.rule) == f"canary-{first.version}"
    assert report.trained == bool(rows)
    if rows:
        assert report.published is not None and report.published.version != first.version
    else:
        assert report.as_dict()["channel"] == "canary"


def test_between_two_looks_a_run_trains_and_shows_the_selection_half_only(
    trained: Any, tmp_path: Path, experiment: Experiment, world: Any, ingest: Any
) -> None:
    store = MemoryStore("small", clock=lambda: NOW)
    key = SigningKey.generate(Role.LEARNER, "m")
    publisher = Publisher(store, key, experiment, lambda: NOW, trust_of(key, experiment))
    learner = replace(trained.copied_to(tmp_path), publisher=publisher)
    ingest(world, world.examples(600, first=6000), tmp_path)
    report = learner.run(ObjectiveWeights.in_force(experiment))
    assert report.trained
    assert report.as_dict()["reason_codes"] == ["look_not_due"]
    assert trained.report.checkpoint.version in report.verdict.reasons[0].sentence
    manifest = report.checkpoint.manifest
    assert (manifest.evaluation["look"], manifest.evaluation["run"], manifest.evaluation["lifts"]) == (None, 2, {})
    assert manifest.evaluation["budget"]["spent"] == 0.025
    whole = json.loads(report.checkpoint.blobs["evaluation.json"])
    assert (whole["judgement"], whole["watched"], whole["look"]) == (None, None, None)
    assert whole["selection"]["rows"] > 500
    assert report.as_dict()["channel"] == "shadow"


def test_looser_settings_are_declared_and_get_no_second_first_look(
    trained: Any, tmp_path: Path, make_experiment: Any, world: Any, ingest: Any
) -> None:
    """The same directory under a margin of 0.3 instead of 0.1."""
    gate = {"min_matched_rows": 20, "min_positives": 5, "approval": "auto", "margin": 0.3}
    looser = make_experiment(gate=gate)
    later = world.examples(2400, first=6000)
    tallies = tallied(looser, [*world.examples(6000), *later])
    learner = replace(trained.copied_to(tmp_path), experiment=looser, tallies=lambda: tallies)
    ingest(world, later, tmp_path)
    report = learner.run(ObjectiveWeights.in_force(looser))
    said = report.verdict.reasons[-1]
    assert said.code == "new_budget"
    assert "margin 0.1 → 0.3 (looser); looks before it spent 0.025" in said.sentence
    budget = report.checkpoint.manifest.evaluation["budget"]
    assert (budget["number"], budget["spent_before"]) == (2, 0.025)
    assert budget["spent"] < 0.001
    assert json.loads(report.checkpoint.blobs["evaluation.json"])["budget"] == budget


def test_rare_rewards_end_inconclusive_in_the_shadow(
    make_experiment: Callable[..., Any], make_world: Any, tmp_path: Path, ingest: Callable[..., None]
) -> None:
    experiment = make_experiment(
        weights=[],
        catalogue={
            "production": "b",
            "features": ["size"],
            "arms": [{"name": str(i), "features": [i]} for i in range(20)] + [{"name": "b", "features": [3]}],
        },
        objectives=[{"name": "click", "kinds": ["click"], "attribution": "5m"}],
        preference={},
        gate={"min_matched_rows": 100, "min_positives": 30, "approval": "auto"},
    )
    world = make_world(experiment, truth=lambda users, features: np.full((len(users), 1), 0.004))
    ingest(world, world.examples(4000), tmp_path)
    store = MemoryStore("small", clock=lambda: NOW)
    key = SigningKey.generate(Role.LEARNER, "m")
    publisher = Publisher(store, key, experiment, lambda: NOW, trust_of(key, experiment))
    report = Learner(experiment, tmp_path, lambda: NOW, publisher).run(ObjectiveWeights.in_force(experiment))
    assert report.verdict.verdict is Verdict.INCONCLUSIVE
    assert report.as_dict()["reason_codes"] == ["insufficient_evidence", "completeness_unverified"]
    assert report.as_dict()["log"]["verdict"] == "completeness_unverified"
    assert report.as_dict()["channel"] == "shadow"
    assert report.checkpoint.manifest.evaluation["baseline"] == "logged"


def test_a_harmful_policy_is_refused_and_reaches_no_channel(
    trained: Any, tmp_path: Path, experiment: Experiment, make_world: Any, ingest: Callable[..., None]
) -> None:
    """The world is reversed between training and hold-out, so the learnt policy is harmful."""
    world = make_world(experiment)
    examples = world.examples(6000)
    for example in examples[3840:]:
        for objective in example["outcome"]["objectives"]:
            objective["reward"] = 1.0 - objective["reward"]
    ingest(world, examples, tmp_path)
    store = MemoryStore("small", clock=lambda: NOW)
    key = SigningKey.generate(Role.LEARNER, "m")
    publisher = Publisher(store, key, experiment, lambda: NOW, trust_of(key, experiment))
    report = Learner(experiment, tmp_path, lambda: NOW, publisher).run(ObjectiveWeights.in_force(experiment))
    assert report.verdict.verdict is Verdict.REFUSE
    assert report.as_dict()["channel"] is None
    assert publisher.store.channel("shadow") is None


def test_nothing_stored_is_nothing_to_learn(experiment: Experiment, tmp_path: Path) -> None:
    with pytest.raises(NothingToLearn):
        Learner(experiment, tmp_path, lambda: NOW).run(ObjectiveWeights.in_force(experiment))
    assert stored_examples(tmp_path / EXAMPLES_FOLDER).height == 0


def test_what_was_served_before_is_learned_from_the_log_and_said(
    make_experiment: Callable[..., Experiment], make_world: Any, ingest: Any, tmp_path: Path
) -> None:
    plain = make_experiment()
    features = plain.features.model_copy(update={"previous_length": 2})
    learner_spec = plain.learner.model_copy(update={"epochs": 1})
    experiment = plain.model_copy(update={"features": features, "learner": learner_spec})
    world = make_world(experiment)
    ingest(world, world.examples(3000), tmp_path)
    said: list[str] = []
    learner = Learner(experiment, tmp_path, lambda: NOW, observer=RunObserver(lambda _, detail: said.append(detail)))
    checkpoint = learner.run(ObjectiveWeights.in_force(experiment)).checkpoint
    # Users come back after 997 requests, and none of the requests says so.
    counts = checkpoint.manifest.window["previous"]
    assert counts["echoed"] == 0 < counts["without"] < counts["filled"]
    assert [line for line in said if "filled in from the log" in line]
    assert checkpoint.manifest.feature_spec["previous"]["length"] == 2
    answer = compare(Question("learned"), stored_examples(learner.examples_directory), learner.shelf, experiment)
    assert answer.checkpoint == checkpoint.version

    def next_start(of: Experiment) -> str:
        contract = FeatureContract.from_experiment(of)
        bounds = window_bounds(checkpoint.manifest.window["holdout_to"] - 1, of)
        return start_from(partial(make_algorithm, of, contract), learner.shelf, bounds, (of, contract)).why

    assert next_start(experiment) == f"continues {checkpoint.version}"
    assert "another features" in next_start(plain)


def test_a_pass_beyond_the_bounds_of_the_preference_waits_for_people(
    trained: Any, tmp_path: Path, make_experiment: Callable[..., Experiment]
) -> None:
    bounded = make_experiment(preference={"alpha_objective": "p2p", "alpha": 0.5, "max_changed_arms": 0.01})
    key, now = SigningKey.generate(Role.LEARNER, "m"), NOW + 1000
    store = MemoryStore("small", clock=lambda: now)
    publisher = Publisher(store, key, bounded, lambda: now, trust_of(key, bounded))
    unjudged = _without_runs(trained.copied_to(tmp_path))
    learner = replace(unjudged, experiment=bounded, clock=lambda: now, publisher=publisher)
    report = learner.run(ObjectiveWeights.in_force(bounded))
    assert report.verdict.verdict is Verdict.PASS
    assert report.as_dict()["channel"] == "shadow"
    assert report.as_dict()["held"].startswith("against production, ")
