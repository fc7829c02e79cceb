"""The learner's small world as fixtures (see tests/learner_samples.py)."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from event_schemas.codec import Codec
from event_schemas.experiment import Experiment
from event_schemas.registry import Registry
from learner.examples.example_decoder import ExampleDecoder
from learner.examples.example_source import MemoryExampleSource
from learner.examples.ingest import DeadLetters, Ingest
from learner.examples.segment_store import SegmentStore
from learner.examples.stored_files import EXAMPLES_FOLDER
from learner.learner_run import Learner
from learner.learner_service import LearnerService, Schedule
from policy_store.records.objective_weights import ObjectiveWeights
from producers.delivery.memory_log import MemoryLog
from tests.learner.service_ticks import Ticks
from tests.learner_samples import NOW, Trained, World, experiment_document, ingested, tallied


@pytest.fixture(scope="session", autouse=True)
def single_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def codec() -> Codec:
    return Codec(Registry.bundled())


@pytest.fixture(scope="session")
def make_experiment() -> Callable[..., Experiment]:
    return lambda **sections: Experiment.model_validate(experiment_document(**sections))


@pytest.fixture(scope="session")
def experiment(make_experiment: Callable[..., Experiment]) -> Experiment:
    return make_experiment()


@pytest.fixture
def world(experiment: Experiment, codec: Codec) -> World:
    return World(experiment, codec)


@pytest.fixture
def ingest() -> Callable[[World, Sequence[dict[str, Any]], Path], None]:
    return ingested


@pytest.fixture(scope="session")
def trained(
    single_thread: None, experiment: Experiment, codec: Codec, tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    directory = tmp_path_factory.mktemp("learner")
    world = World(experiment, codec)
    examples = world.examples(6000)
    ingested(world, examples, directory)
    learner = Learner(experiment, directory, lambda: NOW, tallies=lambda: tallied(experiment, examples))
    return Trained(learner, learner.run(ObjectiveWeights.in_force(experiment)))


@pytest.fixture
def make_world(codec: Codec) -> Callable[..., World]:
    return lambda experiment, **options: World(experiment, codec, **options)


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
            lambda: ObjectiveWeights.in_force(experiment),
            Schedule(**{"poll_s": 0.0, "every_s": 5.0, **schedule}),
            Ticks(),
        )

    return build
