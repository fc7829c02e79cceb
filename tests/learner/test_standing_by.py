"""A learner without the lease stands by: it ingests, and goes on when the other has ended."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from event_schemas.experiment import Experiment
from learner.checkpoints.learner_lease import LeaseHolder
from learner.checkpoints.publishing import Publisher
from learner.examples.example_source import MemoryExampleSource
from learner.learner_service import LearnerService
from monitoring.metrics import LearnerMetrics
from policy_store.backends.memory_store import MemoryStore
from policy_store.records.signing import Role, SigningKey
from tests.learner_samples import NOW, trust_of


def test_a_second_learner_ingests_and_goes_on_when_the_first_has_ended(
    build: Callable[..., LearnerService],
    source: MemoryExampleSource,
    world: Any,
    experiment: Experiment,
    trained: Any,
    tmp_path: Path,
) -> None:
    key, registry = SigningKey.generate(Role.LEARNER, "m"), CollectorRegistry()
    store, metrics = MemoryStore("small", clock=lambda: NOW), LearnerMetrics(registry)
    first = store.acquire_lease("first, process 1", 60.0)
    holder = LeaseHolder("second, process 2", 0.4, metrics.lease_held.set)
    publisher = Publisher(store, key, experiment, lambda: NOW, trust_of(key, experiment), holder)
    service = build(replace(trained.copied_to(tmp_path), publisher=publisher, metrics=metrics), fresh_s=0.0)
    source.extend(world.log(world.examples(1, first=9000), first_offset=6000))
    seen: list[tuple[int, list[str], float | None]] = []

    class Turns:
        """The fifth turn sees what the second learner did meanwhile, and ends the first."""

        turn, stopped = 0, False

        def is_set(self) -> bool:
            return self.stopped

        def wait(self, timeout: float) -> bool:
            self.turn += 1
            if self.turn == 5:
                held = registry.get_sample_value("trimtab_learner_lease_held")
                seen.append((service.ingest.store.rows, store.versions(), held))
                store.release_lease(first)
            threading.Event().wait(0.001)
            return self.stopped

    stop = Turns()
    with capture_logs() as said:
        for report in service.forever(stop):
            assert report.published is not None
            assert registry.get_sample_value("trimtab_learner_lease_held") == 1.0
            stop.stopped = True
    assert seen == [(6001, [], 0.0)]
    assert store.versions() != []
    assert registry.get_sample_value("trimtab_learner_lease_held") == 0.0
    [line] = [line for line in said if line["event"].startswith("without the lease")]
    assert "held by 'first, process 1'" in line["what"]
    assert store.acquire_lease("third", 1.0).token > first.token, "the second gave it back at its end"
