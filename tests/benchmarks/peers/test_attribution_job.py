"""The peers' constants are those of the experiment file, and their Example is the contract's."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.bench_broker import EXPERIMENT
from benchmarks.input_log import PARTITIONS
from benchmarks.peers import attribution_job as job
from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.experiment import load_experiment
from event_schemas.registry import Registry
from tests.benchmarks.test_event_stream import stream

CODEC = Codec(Registry.bundled())


def test_the_rule_is_that_of_the_experiment_file() -> None:
    experiment = load_experiment(EXPERIMENT)
    assert (experiment.longest_attribution_ms, experiment.window_ms) == (job.ATTRIBUTION_MS, job.WINDOW_MS)
    declared = tuple((o.name, frozenset(o.kinds), o.clip) for o in experiment.objectives)
    assert declared == job.OBJECTIVES
    assert all(o.attribution == job.ATTRIBUTION_MS for o in experiment.objectives)
    assert job.PARTITIONS == PARTITIONS


def test_an_example_decodes_as_the_contract_has_it() -> None:
    parts: dict[str, r.Record] = {}
    for event in stream().events():
        decoded = CODEC.decode(event.value)
        assert job.decode(event.value) == decoded.record
        parts.setdefault(decoded.name, decoded.record)
    example = job.build_example(parts, [], 2, 9)
    record = CODEC.decode(job.encode_example(example)).record
    assert record["request"] == parts[r.REQUEST]
    assert (record["outcome"]["partition"], record["outcome"]["offset"]) == (2, 9)


def test_the_job_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JOB_EVENT_COUNT", "12")
    monkeypatch.setenv("JOB_START_FILE", str(tmp_path / "start"))
    told = job.Job.from_environment()
    told.started()
    first = (tmp_path / "start").read_text(encoding="utf-8")
    told.started()
    assert told.event_count == 12
    assert (tmp_path / "start").read_text(encoding="utf-8") == first
