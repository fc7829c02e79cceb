"""The process: ingest without end, learn on schedule, survive a store that is down."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from polars.exceptions import PanicException
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from event_schemas.errors import ComponentUnreachable, TrimtabError
from event_schemas.experiment import Experiment
from learner.checkpoints.publishing import Publisher
from learner.examples.example_source import MemoryExampleSource
from learner.examples.learner_errors import (
    CheckpointBroken,
    ExportMismatch,
    LineageOverlap,
    NothingToLearn,
    StoreDamaged,
    StoreUnwritable,
)
from learner.learner_run import RunObserver, RunReport
from learner.learner_service import NEEDS_A_PERSON, LearnerService
from monitoring.metrics import LearnerMetrics
from policy_store.backends.memory_store import MemoryStore
from policy_store.records.signing import Role, SigningKey
from policy_store.records.store_errors import LeaseHeld, LeaseLost, RevisionConflict, SignatureInvalid, StoreUnreachable
from producers.topics.topic_identity import TopicMissing
from tests.learner.service_ticks import Ticks
from tests.learner_samples import trust_of

NOW = 1_800_000_000_000


def test_waiting_ingests_until_there_are_enough(
    build: Callable[..., LearnerService], source: MemoryExampleSource, world: Any
) -> None:
    service = build()
    source.extend(world.log(world.examples(30)))
    service.wait_for(30, 60.0, threading.Event())
    assert service.ingest.store.rows == 30
    with pytest.raises(NothingToLearn, match="30 of 31"):
        service.wait_for(31, 5.0, threading.Event())


def test_a_schedule_of_runs_goes_on_when_a_run_cannot_be_made(
    build: Callable[..., LearnerService], source: MemoryExampleSource, world: Any
) -> None:
    service = build()
    examples = world.examples(3000)
    source.extend(world.log(examples[:10]))
    stop = threading.Event()
    seen: list[str] = []
    service.learner = replace(service.learner, observer=RunObserver(lambda stage, _: grow(stage)))

    def grow(stage: str) -> None:
        """After the first attempt, which finds too little, the rest arrives."""
        seen.append(stage)
        if seen.count("window") == 1 and stage == "window":
            source.extend(world.log(examples)[10:])

    reports = []
    for report in service.forever(stop):
        reports.append(report)
        stop.set()
    assert len(reports) == 1
    assert seen.count("window") == 2


def test_a_service_without_examples_says_once_what_it_waits_for(build: Callable[..., LearnerService]) -> None:
    stop, looks = threading.Event(), iter(range(5))

    class LaterStop:
        def is_set(self) -> bool:
            return next(looks, None) is None

        def wait(self, timeout: float) -> bool:
            return stop.is_set()

    with capture_logs() as said:
        assert list(build().forever(LaterStop())) == []
    (line,) = [line for line in said if line["event"] == "not enough to learn from yet"]
    assert "no example is stored yet" in line["what"]
    assert "the first run can come 6h6m" in line["fix"]


FAULTS: list[BaseException] = [
    LineageOverlap("a parent saw the hold-out", fix="start cold"),
    ExportMismatch("graph and network differ", fix="report it"),
    CheckpointBroken("a weight is not finite", fix="train again"),
    StoreDamaged("a segment is damaged", fix="read again"),
    StoreUnwritable("the disk is full", fix="make room"),
    SignatureInvalid("the preference is not signed", fix="sign it"),
    ZeroDivisionError("nobody thought of this"),
    MemoryError(),
    PanicException("called `Option::unwrap()` on a `None` value"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_no_fault_of_a_run_ends_the_service(
    fault: BaseException,
    build: Callable[..., LearnerService],
    source: MemoryExampleSource,
    world: Any,
    trained: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is logged and counted, and the next run comes on schedule without a new example to wait for."""
    registry = CollectorRegistry()
    service = build()
    service.learner = replace(service.learner, metrics=LearnerMetrics(registry))
    source.extend(world.log(world.examples(10)))
    attempts: list[int] = []

    def once() -> RunReport:
        attempts.append(service.ingest.counts.stored)
        if len(attempts) < 3:
            raise fault
        report: RunReport = trained.report
        return report

    monkeypatch.setattr(service, "once", once)
    stop = threading.Event()
    with capture_logs() as said:
        for _ in service.forever(stop):
            stop.set()
    assert attempts == [10, 10, 10]
    lines = [line for line in said if line["event"].startswith("run failed")]
    assert [line["error"] for line in lines] == [type(fault).__name__] * 2
    assert all("exc_info" in line for line in lines) is not isinstance(fault, TrimtabError)
    counted = registry.get_sample_value("trimtab_learner_failed_runs_total", {"error": type(fault).__name__})
    assert counted == 2


def test_after_a_run_the_next_one_waits_for_an_example(
    build: Callable[..., LearnerService],
    source: MemoryExampleSource,
    world: Any,
    trained: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Runs depend on the rows that came, however many expire in the meantime."""
    service = build()
    source.extend(world.log(world.examples(10)))
    stop, runs = threading.Event(), 0
    monkeypatch.setattr(service, "once", lambda: trained.report)

    def clock(ticks: Callable[[], float] = service.clock) -> float:
        now = ticks()
        if now == 40:
            source.extend(world.log(world.examples(11))[10:])
        if now > 80:
            stop.set()
        return now

    service.clock = clock
    for _ in service.forever(stop):
        runs += 1
    assert runs == 2


class Flaky(MemoryExampleSource):
    """Raises the faults it is given, one at each start, and reads on when there is none left."""

    faults: list[BaseException]

    def start(self, offsets: Mapping[int, int]) -> None:
        if self.faults:
            raise self.faults.pop(0)
        super().start(offsets)


def test_an_ingest_that_may_be_tried_again_is_and_the_runs_go_on(
    build: Callable[..., LearnerService], world: Any, trained: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = CollectorRegistry()
    service = build()
    service.learner = replace(service.learner, metrics=LearnerMetrics(registry))
    away = ComponentUnreachable("Kafka does not answer", fix="start it")
    source = Flaky([])
    source.faults = []
    service.ingest.source = source
    source.extend(world.log(world.examples(10)))
    service.catch_up()
    source.faults = [away] * 40 + [TopicMissing("no topic", fix="create it"), ValueError("nobody thought of this")]
    stop, runs = threading.Event(), 0
    monkeypatch.setattr(service, "once", lambda: trained.report)
    source.extend(world.log(world.examples(20))[10:])
    with capture_logs() as said:
        for _ in service.forever(stop):
            runs += 1
            if service.ingest.store.rows == 20:
                stop.set()
    assert runs == 2, "one while Kafka was away, one over what came afterwards"
    faults = [line["error"] for line in said if line["event"].startswith("examples not ingested")]
    assert faults == ["ComponentUnreachable", "TopicMissing", "ValueError"], "each is said once"
    assert "examples are ingested again" in {line["event"] for line in said}
    name = "trimtab_learner_ingest_failures_total"
    assert registry.get_sample_value(name, {"error": "ComponentUnreachable"}) == 40


@pytest.mark.parametrize("kind", NEEDS_A_PERSON)
def test_what_needs_a_person_ends_the_service(
    kind: type[TrimtabError], build: Callable[..., LearnerService], trained: Any
) -> None:
    service = build()
    source = Flaky([])
    source.faults = [kind("it is broken", fix="see to it")]
    service.ingest.source = source
    with pytest.raises(kind, match="it is broken"):
        list(service.forever(threading.Event()))


def test_waiting_outlasts_a_broker_that_comes_later(
    build: Callable[..., LearnerService], source: MemoryExampleSource, world: Any
) -> None:
    service = build()
    flaky = Flaky(world.log(world.examples(5)))
    service.ingest.source = flaky
    flaky.faults = [ComponentUnreachable("Kafka does not answer", fix="start it")] * 3
    service.wait_for(5, 60.0, threading.Event())
    flaky.faults = [ComponentUnreachable("Kafka does not answer", fix="start it")] * 99
    with pytest.raises(ComponentUnreachable, match="does not answer"):
        service.wait_for(6, 5.0, threading.Event())


class DownStore(MemoryStore):
    """Answers every request for the lease with `fault`."""

    fault: TrimtabError = StoreUnreachable("Redis does not answer", fix="start it")

    def acquire_lease(self, owner: str, ttl_s: float) -> Any:
        raise self.fault

    def channel(self, name: str) -> Any:
        return self.acquire_lease("", 0)


@pytest.mark.parametrize(
    "fault",
    [
        DownStore.fault,
        LeaseHeld("another learner", fix="wait"),
        LeaseLost("expired", fix="wait"),
        RevisionConflict("a person promoted meanwhile", fix="read again"),
    ],
)
def test_a_store_that_does_not_take_the_run_does_not_stop_the_ingest(
    fault: TrimtabError,
    build: Callable[..., LearnerService],
    source: MemoryExampleSource,
    world: Any,
    experiment: Experiment,
    trained: Any,
    tmp_path: Path,
) -> None:
    learner = trained.copied_to(tmp_path)
    store = DownStore("small")
    store.fault = fault
    key = SigningKey.generate(Role.LEARNER, "m")
    publisher = Publisher(store, key, experiment, lambda: NOW, trust_of(key, experiment))
    service = build(replace(learner, publisher=publisher), every_s=1e6, fresh_s=2.0)
    stop = threading.Event()

    def stop_later(ticks: Ticks = service.clock) -> float:  # type: ignore[assignment]
        if ticks.now > 12:
            stop.set()
        return ticks()

    service.clock = stop_later
    source.extend(world.log(world.examples(1, first=9000), first_offset=6000))
    assert list(service.forever(stop)) == []
    assert service.ingest.store.rows >= 6000


def test_tallies_that_may_come_are_a_reason_to_run_again(
    build: Callable[..., LearnerService],
    source: MemoryExampleSource,
    world: Any,
    trained: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a look that was due and not taken, a run comes on schedule without a new example."""
    checkpoint, service = trained.report.checkpoint, build()
    told = checkpoint.manifest.evaluation | {"look": None}
    manifest = checkpoint.manifest.model_copy(update={"evaluation": told})
    unjudged = replace(trained.report, checkpoint=replace(checkpoint, manifest=manifest))
    reports = iter([unjudged, unjudged, trained.report])
    source.extend(world.log(world.examples(10)))
    monkeypatch.setattr(service, "once", lambda: next(reports))
    stop, runs = threading.Event(), 0

    def clock(ticks: Callable[[], float] = service.clock) -> float:
        now = ticks()
        if now > 80:
            stop.set()
        return now

    service.clock = clock
    for _ in service.forever(stop):
        runs += 1
    assert runs == 3


class Watched:
    """A canary step that fails as often as it is told to."""

    def __init__(self, faults: int) -> None:
        self.taken, self.faults = 0, faults

    def take(self) -> None:
        self.taken += 1
        if self.taken <= self.faults:
            raise StoreUnreachable("Redis is away", fix="start it")


@pytest.mark.parametrize("faults", [0, 1])
def test_the_canary_is_looked_at_before_each_run_and_its_trouble_stops_none(
    faults: int, build: Callable[..., LearnerService], trained: Any, tmp_path: Path
) -> None:
    service = build(trained.copied_to(tmp_path), every_s=1e6)
    watched: Any = Watched(faults)
    service.canary = watched
    with capture_logs() as lines:
        service.once()
    assert watched.taken == 1
    assert [line["event"] for line in lines if "canary" in line["event"]] == [
        "canary not judged; the next run looks again"
    ] * faults
