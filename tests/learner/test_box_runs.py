"""Runs over a box of weights: the log is ingested and checked, and it is said that nothing learns it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import polars as pl
import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from event_schemas.codec import Codec
from event_schemas.registry import Registry
from learner.asked_policies import UnknownArm
from learner.checkpoints.checkpoint import CheckpointShelf
from learner.examples.example_decoder import ExampleDecoder
from learner.examples.example_source import MemoryExampleSource
from learner.examples.ingest import DeadLetters, Ingest
from learner.examples.learner_errors import BoxNotLearnt, NothingToLearn, UnitChanged
from learner.examples.segment_store import SegmentStore
from learner.examples.slice_tallies import SliceTallies
from learner.examples.stored_files import stored_examples
from learner.judgement.evaluation import judging_half
from learner.judgement.gate import UNSOUND_P_VALUE
from learner.learner_run import Learner
from learner.learner_service import LearnerService, Schedule
from learner.policy_comparison import Question, compare
from monitoring.metrics import LearnerMetrics
from policy_store.records.objective_weights import ObjectiveWeights
from producers.delivery.memory_log import MemoryLog
from tests.answer_graphs import proposing_graph
from tests.box_samples import DrawnWorld, box_experiment
from tests.learner.answering_checkpoints import answering
from tests.learner_samples import NOW, World, ingested

CODEC = Codec(Registry.bundled())
BOX = box_experiment()
PREFERENCE = ObjectiveWeights.in_force(BOX)


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Learner:
    directory = tmp_path_factory.mktemp("box")
    ingested(World(BOX, CODEC), DrawnWorld(BOX, CODEC).examples(900), directory)
    return Learner(BOX, directory, lambda: NOW)


def test_a_box_is_checked_and_nothing_learns_it(learner: Learner, tmp_path: Path) -> None:
    with pytest.raises(BoxNotLearnt, match=r"'q_network' scores arms .* gives p = ") as refused:
        learner.run(PREFERENCE)
    assert "trimtab evaluate --policy FILE" in refused.value.fix
    assert "weight repin: Kolmogorov-Smirnov" in refused.value.what
    with pytest.raises(NothingToLearn, match="no example is stored yet"):
        replace(learner, directory=tmp_path).run(PREFERENCE)


def test_the_tallies_of_a_box_are_tested_too(learner: Learner) -> None:
    tallies = SliceTallies({"EXPLORE": 900, "POLICY": 100})
    registry = CollectorRegistry()
    metrics = LearnerMetrics(registry)
    with pytest.raises(BoxNotLearnt, match="900 of 1000 tallied decisions explored"):
        replace(learner, tallies=lambda: tallies, metrics=metrics).run(PREFERENCE)
    p_value = registry.get_sample_value("trimtab_propensity_check_pvalue")
    assert p_value is not None and p_value < UNSOUND_P_VALUE


def test_decisions_by_another_unit_are_refused(learner: Learner, tmp_path: Path) -> None:
    other = replace(learner, directory=tmp_path)
    other.exploration_shelf.save(replace(BOX.exploration, unit="request"))
    with pytest.raises(UnitChanged, match="decisions were drawn by request"):
        other.run(PREFERENCE)


def test_a_service_says_so_once_for_the_same_examples_and_goes_on(tmp_path: Path) -> None:
    class Looks(Event):
        """Ends the service after a few looks at the topic."""

        def __init__(self, looks: int) -> None:
            super().__init__()
            self.left = looks

        def wait(self, timeout: float | None = None) -> bool:
            self.left -= 1
            return self.left < 0

        def is_set(self) -> bool:
            return self.left < 0

    learner = Learner(BOX, tmp_path, lambda: NOW)
    source = MemoryExampleSource(World(BOX, CODEC).log(DrawnWorld(BOX, CODEC).examples(60)))
    with SegmentStore(learner.examples_directory, "t.examples", 10**15) as store, capture_logs() as logs:
        ingest = Ingest(source, ExampleDecoder(CODEC, BOX.action_space), store, DeadLetters(CODEC, MemoryLog(), "dl"))
        service = LearnerService(ingest, learner, lambda: PREFERENCE, Schedule(every_s=0.0, poll_s=0.0))
        assert list(service.forever(Looks(4))) == []
        assert store.rows > 20
    assert [line["log_level"] for line in logs if line["event"] == "nothing learns a box"] == ["info"]


def test_the_only_arm_of_a_box_is_production(learner: Learner) -> None:
    frame, shelf = stored_examples(learner.examples_directory), CheckpointShelf(learner.directory / "none")
    report = compare(Question("arm:production", every_row=True), frame, shelf, BOX).report
    assert [policy.name for policy in report.policies] == ["production", "logged"]
    with pytest.raises(UnknownArm, match="arm:vector is any vector of the box"):
        compare(Question("arm:vector"), frame, shelf, BOX)
    with pytest.raises(BoxNotLearnt):
        compare(Question("learned"), frame, shelf, BOX)


@pytest.mark.parametrize("selection", ["sample", "argmax"])
def test_a_checkpoint_that_proposes_is_judged_as_the_same_proposals_from_a_file(
    learner: Learner, tmp_path: Path, selection: str
) -> None:
    frame, shelf = stored_examples(learner.examples_directory), CheckpointShelf(tmp_path / "none")
    checkpoint = answering(BOX, "proposal", proposing_graph([100.0, 12.0], [40.0, 6.0], 0.0), selection)
    learned = compare(Question("learned", checkpoint=checkpoint), frame, shelf, BOX)
    assert learned.checkpoint == checkpoint.version
    sds = {"sd.repin": [40.0], "sd.p2p": [6.0]} if selection == "sample" else {}
    pl.DataFrame({"repin": [100.0], "p2p": [12.0]} | sds).write_parquet(tmp_path / "same.parquet")
    stated = compare(Question(str(tmp_path / "same.parquet"), every_row=True), frame, shelf, BOX)
    one, other = (each.report.policies[0].objectives["repin"].estimates for each in (learned, stated))
    assert {name: each.value for name, each in one.items()} == pytest.approx(
        {name: each.value for name, each in other.items()}, rel=1e-4
    )


def test_a_session_without_a_user_is_judged_in_one_half(learner: Learner) -> None:
    examples = [each for each in DrawnWorld(BOX, CODEC).examples(300) if each["action"]["slice"] == "EXPLORE"]
    rows = World(BOX, CODEC).rows(examples)
    halves = judging_half(rows)
    assert len(np.unique(rows.units[halves])) + len(np.unique(rows.units[~halves])) == len(np.unique(rows.units))
