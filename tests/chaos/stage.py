"""All processes and topics of one schedule, and the actions on them."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but re-exported without __all__
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from event_schemas.codec import Codec
from event_schemas.errors import TrimtabError
from event_schemas.experiment import load_experiment
from event_schemas.registry import Registry
from learner.examples.segment_manifest import SegmentManifest
from producers.topics.topic_admin import create_topics
from stream_processors.audit.log_reader import LogReader
from tests.chaos.consumer_group import Members, group_members
from tests.chaos.fragile_broker import FragileBroker
from tests.chaos.observer import Progress, Sample
from tests.chaos.poison import PoisonEvent, poison
from tests.chaos.producer_process import SPACING_MS, Journal, ProducerOrder
from tests.chaos.schedule import Schedule
from tests.chaos.supervised_process import SupervisedProcess, resident_bytes
from tests.components.experiment_sample import HOMEFEED
from tests.components.homefeed_log import HomefeedLog
from tests.components.ingest_process import IngestOrder
from tests.components.join_bench import COMMAND, LARGEST_MESSAGE, JoinBench
from tests.components.small_disk import SmallDisk

ROOT = Path(__file__).parents[2]
PARTITIONS = 6
SESSION_SECONDS = 3.0
TEND_SECONDS = 0.1
JOINED_SECONDS = 90.0
PRODUCER_START_SECONDS = 1.5
"""About the time that a producer process needs before it can send."""
POISON_LOG = 200
"""Number of decisions whose frames are corrupted to make poison."""


class ChaosError(TrimtabError):
    """The chaos experiment itself could not be carried out."""


@dataclass(frozen=True)
class Place:
    """Where a schedule runs: the broker, an empty directory, and the seed of its traffic."""

    broker: FragileBroker
    directory: Path
    seed: int


class Stage:
    """Topics, workers, producers and optionally a learner of one schedule. Leaving the context ends every process."""

    def __init__(self, schedule: Schedule, place: Place) -> None:
        self.schedule = schedule
        self.broker = place.broker
        self.codec = Codec(Registry.bundled())
        self.poisoned: list[PoisonEvent] = []
        self._directory, self._seed = place.directory, place.seed
        experiment_file = place.directory / "trimtab.toml"
        experiment_file.write_text(HOMEFEED, encoding="utf-8")
        self.bench = JoinBench(place.broker.direct, f"{schedule.name}.", experiment_file, place.directory)
        self.workers: dict[str, SupervisedProcess] = {}
        self.producers: dict[str, SupervisedProcess] = {}
        self.orders: dict[str, ProducerOrder] = {}
        self.learner: SupervisedProcess | None = None
        self.disk: SmallDisk | None = None
        self._exits = ExitStack()

    def __enter__(self) -> Self:
        client = self.bench.client_config
        create_topics(client, self.bench.prefix, PARTITIONS, 1)
        self._admin = AdminClient({**client})
        self._allow_large_events()
        self._events, self._examples = self.bench.reader("events"), self.bench.reader("examples")
        if self.schedule.disk_megabytes:
            self.disk = SmallDisk(self.segments, self.schedule.disk_megabytes)
            self.disk.mount()
            self._exits.callback(self.disk.unmount)
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self.broker.restore()
        for actor in self.actors():
            actor.thaw()
            actor.kill()
        self._exits.close()

    @property
    def segments(self) -> Path:
        """Where the learner keeps what it has ingested."""
        return self._directory / "segments"

    def actors(self) -> Iterator[SupervisedProcess]:
        """Every process except the broker."""
        yield from self.workers.values()
        yield from self.producers.values()
        if self.learner is not None:
            yield self.learner

    def actor(self, name: str) -> SupervisedProcess:
        """The process of that name."""
        return next(actor for actor in self.actors() if actor.name == name)

    def open(self) -> None:
        """Start the workers and wait until they share the partitions; then the learner, if there is one."""
        for number in range(1, self.schedule.workers + 1):
            self.start_worker(f"worker-{number}")
        self.wait(self._all_have_partitions, JOINED_SECONDS, "the workers to share the partitions")
        if self.schedule.learner:
            self.learner = self._process("learner", self.learner_order().command())
            self.learner.start()

    def start_worker(self, name: str) -> SupervisedProcess:
        """Start a new worker, or restart one that is down."""
        if name not in self.workers:
            command = [*COMMAND, "join", "--session-seconds", str(SESSION_SECONDS)]
            self.workers[name] = self._process(name, command)
        self.workers[name].start()
        return self.workers[name]

    def start_traffic(self) -> None:
        """Start the producers, and wait until each has an event in the log, so that a kill interrupts its work."""
        traffic = self.schedule.traffic
        for number in range(1, traffic.producers + 1):
            name = f"producer-{number}"
            order = ProducerOrder(
                bootstrap=self.broker.address,
                topic=f"{self.bench.prefix}events",
                experiment_file=str(self.bench.experiment_file),
                journal=str(self._directory / f"{name}.journal"),
                seed=self._seed + number,
                decisions=traffic.decisions,
                rate=traffic.rate,
                began=time.time() + PRODUCER_START_SECONDS,
            )
            self.orders[name] = order
            self.producers[name] = self._process(name, order.command())
            self.producers[name].start()
        self.wait(self._all_have_sent, JOINED_SECONDS, "the producers to begin")

    def _all_have_sent(self) -> bool:
        return all(self.journal(name).acknowledged for name in self.producers)

    def send_poison(self) -> list[PoisonEvent]:
        """Send the poison as another producer would; returns what was sent."""
        experiment = load_experiment(self.bench.experiment_file)
        log = HomefeedLog(experiment, self.codec, POISON_LOG, seed=self._seed + 1_000, spacing_ms=SPACING_MS)
        events = poison(log, self.codec, self._seed)
        self.bench.send(item.event for item in events)
        self.poisoned += events
        return events

    def finish_traffic(self, seconds: float) -> None:
        """Wait until everything the producers sent is acknowledged; then close all windows."""
        self.wait(lambda: all(p.finished for p in self.producers.values()), seconds, "the producers to finish")
        self.bench.close_windows(next(iter(self.orders.values())).log().heartbeat())

    def ends(self, topic: str) -> Mapping[int, int]:
        """The current end offset of each partition of the topic."""
        reader = self._events if topic == "events" else self._examples
        return {partition: span.end for partition, span in reader.ranges().items()}

    def journal(self, producer: str) -> Journal:
        """What a producer has done so far."""
        return Journal.read(Path(self.orders[producer].journal))

    def learner_order(self, fatal_step: int = 0) -> IngestOrder:
        """The order for the learner process."""
        document = tomllib.loads(self.bench.experiment_file.read_text(encoding="utf-8"))
        topic = f"{self.bench.prefix}examples"
        return IngestOrder(self.broker.address, topic, str(self.segments), document, fatal_step, follow=True, chunk=200)

    def look(self) -> Sample:
        """Take a sample of the current progress; raises when the broker does not answer."""
        asked = time.monotonic()
        ends = self.ends("events")
        join = Progress(self._processed(self._events), ends)
        return Sample(asked, time.monotonic(), join, self._learner_progress(), self._members(), self._memory())

    def tend(self) -> None:
        """Let the supervisors restart processes that ended by themselves."""
        for actor in self.actors():
            actor.tend(time.monotonic())

    def rest(self, seconds: float) -> None:
        """Keep calling `tend` for this long."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.tend()
            time.sleep(min(TEND_SECONDS, left))

    def wait(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Keep calling `tend` until the condition holds; on time-out raises ChaosError naming `what`."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise ChaosError(
                    f"schedule {self.schedule.name!r}: waited {seconds:.0f} s for {what}",
                    fix=f"see the logs of its processes in {self._directory}",
                )
            self.rest(TEND_SECONDS)

    def stop_workers(self) -> dict[str, int]:
        """Stop all workers cleanly; returns their exit codes."""
        return {name: worker.stop() for name, worker in self.workers.items() if worker.running}

    def log(self, name: str) -> str:
        """What a process wrote."""
        file = self._directory / f"{name}.log"
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""

    def _process(self, name: str, command: list[str]) -> SupervisedProcess:
        environment = {
            **self.bench.environment(),
            "TRIMTAB_KAFKA_BOOTSTRAP": self.broker.address,
            "PYTHONPATH": str(ROOT),
        }
        return SupervisedProcess(name, command, self._directory / f"{name}.log", environment)

    def _all_have_partitions(self) -> bool:
        with suppress(TrimtabError):
            assigned = [partitions for _, partitions in self._members() if partitions]
            shared = sorted(partition for partitions in assigned for partition in partitions)
            return len(assigned) == self.schedule.workers and shared == list(range(PARTITIONS))
        return False

    def _members(self) -> Members:
        return group_members(self.bench.bootstrap, f"{self.bench.prefix}join")

    def _processed(self, reader: LogReader) -> Mapping[int, int]:
        return {p: at.settled for p, at in reader.committed(f"{self.bench.prefix}join").items()}

    def _learner_progress(self) -> Progress | None:
        if not self.schedule.learner:
            return None
        manifest = SegmentManifest.load(self.segments)
        return Progress({} if manifest is None else manifest.next_offsets, self.ends("examples"))

    def _memory(self) -> Mapping[str, int]:
        lives = {f"{name}#{worker.pid}": resident_bytes(worker.pid) for name, worker in self.workers.items()}
        return {life: size for life, size in lives.items() if size}

    def _allow_large_events(self) -> None:
        """Raise the topic's message limit, so that a poison message of 10 MB can reach the log."""
        entry = ConfigEntry("max.message.bytes", str(LARGEST_MESSAGE), incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, f"{self.bench.prefix}events", incremental_configs=[entry])
        for answer in self._admin.incremental_alter_configs([resource], request_timeout=10).values():
            answer.result()
