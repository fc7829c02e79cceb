"""No single row ends a run: generated examples through the real decoder, store, window, training, export and gate."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from event_schemas.codec import Codec
from event_schemas.experiment import Experiment
from event_schemas.log_record import LogRecord
from event_schemas.registry import Registry
from learner.examples.example_decoder import ExampleDecoder
from learner.examples.example_source import MemoryExampleSource
from learner.examples.ingest import DeadLetters, Ingest
from learner.examples.segment_store import SegmentStore
from learner.examples.stored_files import EXAMPLES_FOLDER
from learner.examples.tally_reading import ABSURD, read_tallies
from learner.examples.tally_tables import MOST_DECISIONS
from learner.learner_run import Learner, RunReport
from monitoring.metrics import LearnerMetrics
from policy_store.records.checkpoint_record import EVALUATION_BLOB
from policy_store.records.objective_weights import ObjectiveWeights
from producers.delivery.memory_log import MemoryLog
from tests.absurd_samples import changed, one_change
from tests.learner_samples import NOW, World, experiment_document

SOUND_ROWS = 330
SMALL = {"epochs": 1, "batch_size": 64, "hidden_dims": [4, 4, 4]}
EXPERIMENT = Experiment.model_validate(
    experiment_document(
        learner={**experiment_document()["learner"], **SMALL}, features={**experiment_document()["features"]}
    )
)
WORLD = World(EXPERIMENT, Codec(Registry.bundled()), spacing_ms=180_000)
SOUND = WORLD.examples(SOUND_ROWS)
LAST_APPENDED = SOUND[-1]["outcome"]["window_closed_at"]
Absurd = tuple[tuple[str, Any], int]


def ingested(examples: list[dict[str, Any]], directory: Path) -> int:
    """The examples stored below `directory`; how many became dead letters instead."""
    letters = MemoryLog()
    records = [record._replace(append_time=LAST_APPENDED) for record in WORLD.log(examples)]
    with SegmentStore(directory / EXAMPLES_FOLDER, "t.examples", EXPERIMENT.learner.retention) as store:
        decoder = ExampleDecoder(WORLD.codec, EXPERIMENT.action_space, EXPERIMENT.join.max_future_skew)
        ingest = Ingest(MemoryExampleSource(records), decoder, store, DeadLetters(WORLD.codec, letters, "dl"))
        ingest.start()
        for _ in ingest.to_end():
            pass
        assert ingest.counts.total == len(examples), "every record has a fate"
        assert ingest.counts.malformed == len(letters.records("dl"))
        return ingest.counts.malformed


def learnt(examples: list[dict[str, Any]], directory: Path) -> RunReport:
    shutil.rmtree(directory, ignore_errors=True)
    ingested(examples, directory)
    return Learner(EXPERIMENT, directory, lambda: NOW).run(ObjectiveWeights.in_force(EXPERIMENT))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> RunReport:
    torch.set_num_threads(1)
    return learnt(SOUND, tmp_path_factory.mktemp("plain"))


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(one_change(), st.integers(0, SOUND_ROWS - 1)), min_size=1, max_size=12))
def test_rows_that_nobody_means_do_not_end_a_run(plain: RunReport, tmp_path: Path, absurd: list[Absurd]) -> None:
    """Beside sound rows: the sound ones are learnt from as if the others were not there, or were ordinary."""
    examples = list(SOUND)
    for number, ((field, value), place) in enumerate(absurd):
        example = changed(SOUND[place], field, value)
        for part in ("request", "action", "propensity", "ranking"):
            example[part]["request_id"] = f"absurd{number}"
        examples.append(example)
    report = learnt(examples, tmp_path / "learner")
    window = json.loads(json.dumps(report.as_dict(), allow_nan=False))["window"]
    expected = plain.checkpoint.manifest.window
    assert window["holdout_from"] == expected["holdout_from"], "the window stays where it was"
    assert window["examples"] + window["holdout_examples"] >= expected["examples"] + expected["holdout_examples"]
    assert report.verdict.verdict == plain.verdict.verdict
    manifest = report.checkpoint.manifest
    assert manifest.canonical()
    assert set(manifest.reference["ranker_heads"]) == {"repin", "p2p"}
    assert manifest.evaluation["log_p_value"] is None or 0.0 <= manifest.evaluation["log_p_value"] <= 1.0


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(constant=st.sampled_from(["hour", "embedding", "history", "rewards"]), value=st.floats(-1e6, 1e6, width=32))
def test_a_constant_column_does_not_end_a_run(tmp_path: Path, constant: str, value: float) -> None:
    """Whatever the constant is: there is nothing to normalise by."""
    item = {"item_id": "i", "action_type": "a", "event_time": 0, "embedding": [value, value]}
    examples = []
    for example in SOUND:
        at = example["request"]["event_time"]
        field, given_value = {
            "hour": ("hour", repr(value)),
            "embedding": ("right_embedding", [value] * 4),
            "history": ("history", [{**item, "event_time": at - 1}] * 3),
            "rewards": ("objectives", [{**o, "reward": value} for o in example["outcome"]["objectives"]]),
        }[constant]
        examples.append(changed(example, field, given_value))
    report = learnt(examples, tmp_path / "learner")
    assert json.loads(json.dumps(report.as_dict(), allow_nan=False))["verdict"] == report.verdict.verdict


def test_absurd_tallies_change_no_verdict(plain: RunReport, tmp_path: Path) -> None:
    def said(at: int, source: str, explored: int, exploited: int) -> LogRecord:
        counts = [{"slice": "EXPLORE", "count": explored}, {"slice": "POLICY", "count": exploited}]
        value = WORLD.codec.encode("Tally", {"event_time": 2**63 - 1, "source": source, "counts": counts})
        return LogRecord("t.tallies", 0, at, 0, source.encode(), value)

    largest = 2**63 - 1
    records = [said(0, "sound", 1, 10_000), said(1, "loud", largest, largest), said(2, "sound", -1, largest)]
    records += [said(3 + at, f"node-{at}", 0, MOST_DECISIONS) for at in range(20)]
    metrics = LearnerMetrics(CollectorRegistry())
    ingested(SOUND, tmp_path)
    learner = Learner(
        EXPERIMENT,
        tmp_path,
        lambda: NOW,
        metrics=metrics,
        tallies=lambda: read_tallies(MemoryExampleSource(records), WORLD.codec),
    )
    report = learner.run(ObjectiveWeights.in_force(EXPERIMENT))
    assert report.verdict.verdict == plain.verdict.verdict
    assert f"1 of {20 * MOST_DECISIONS + 10_001} tallied" in report.checkpoint.blobs[EVALUATION_BLOB].decode()
    assert metrics.left_out_tallies.labels(reason=ABSURD)._value.get() == 2
