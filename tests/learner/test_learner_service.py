"""The process: ingest without end, learn on schedule, survive a store that is down."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from event_schemas.codec import Codec
from event_schemas.errors import TrimtabError
from event_schemas.experiment import Experiment
from learner.example_decoder import ExampleDecoder
from learner.example_source import MemoryExampleSource
from learner.ingest import DeadLetters, Ingest
from learner.learner_errors import NothingToLearn
from learner.learner_run import EXAMPLES_FOLDER, Learner, RunObserver
from learner.learner_service import LearnerService, Schedule
from learner.preference_in_force import PreferenceInForce
from learner.publishing import Publisher
from learner.segment_store import SegmentStore
from policy_store.memory_store import MemoryStore
from policy_store.signing import Role, SigningKey
from policy_store.store_errors import LeaseHeld, LeaseLost, RevisionConflict, StoreUnreachable
from producers.memory_log import MemoryLog

NOW = 1_800_000_000_000


class Ticks:
    """A clock that moves a second with every look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture
def source() -> MemoryExampleSource:
    return MemoryExampleSource([])


@pytest.fixture
def build(
    codec: Codec, experiment: Experiment, tmp_path: Path, source: MemoryExampleSource
) -> Callable[..., LearnerService]:
    def build(learner: Learner | None = None, **schedule: float) -> LearnerService:
        store = SegmentStore(tmp_path / EXAMPLES_FOLDER, "t.examples", 10**15)
        decoder = ExampleDecoder(codec, experiment.action_space)
        ingest = Ingest(source, decoder, store, DeadLetters(codec, MemoryLog(), "dl"))
        return LearnerService(
            ingest,
            learner or Learner(experiment, tmp_path, lambda: NOW),
            lambda: PreferenceInForce.of_experiment(experiment),
            Schedule(**{"poll_s": 0.0, "every_s": 5.0, **schedule}),
            Ticks(),
        )

    return build


def test_waiting_ingests_until_there_are_enough(
    build: Callable[..., LearnerService], source: MemoryExampleSource, world: Any
) -> None:
    service = build()
    source.extend(world.log(world.examples(30)))
    service.wait_for(30, 60.0, threading.Event())
    assert service.ingest.store.rows == 30
    with pytest.raises(NothingToLearn, match="30 of the 31"):
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


class DownStore(MemoryStore):
    """Answers every request for the lease with `fault`."""

    fault: TrimtabError = StoreUnreachable("Redis does not answer", mend="start it")

    def acquire_lease(self, owner: str, ttl_s: float) -> Any:
        raise self.fault

    def channel(self, name: str) -> Any:
        return self.acquire_lease("", 0)


@pytest.mark.parametrize(
    "fault",
    [
        DownStore.fault,
        LeaseHeld("another learner", mend="wait"),
        LeaseLost("expired", mend="wait"),
        RevisionConflict("a person promoted meanwhile", mend="read again"),
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
    publisher = Publisher(store, SigningKey.generate(Role.LEARNER, "m"), experiment, lambda: NOW)
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
