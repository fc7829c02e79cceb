"""The join worker: reads chunks of events through Faust, joins them, writes the outputs to Kafka and commits.

The commit protocol, with the step numbers of docs/guarantees.md:

0. take over: rebuild the state of each assigned partition from its last commit, without writing outputs
   (`OwnedPartitions.take_partitions`);
1. read: accept a chunk of one partition (`OwnedPartitions.accept`);
2. join: compute examples, dead letters and the position after the chunk in memory (`OwnedPartitions.process`);
3. write: pass the outputs to the idempotent producer (`ExampleWriter.write`);
4. confirm: note which outputs the broker has stored (`ExampleWriter.serve`);
5. commit: store the newest position before which everything is confirmed (`BatchConsumer.force_commit`).
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import structlog
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
)
from faust.types import TP, StreamT

from event_schemas.codec import Codec
from event_schemas.errors import ComponentUnreachable, TrimtabError
from monitoring.metrics import JoinMetrics
from producers.topics import Attempt, TopicError, TopicIdentities, partitions_of_all, right_missing
from stream_processors.audit.earlier_outputs import require_same_log
from stream_processors.audit.join_topics import JoinTopics
from stream_processors.audit.log_reader import LogReader
from stream_processors.partition.commit_position import LogTruncated
from stream_processors.partition.partition_join import StepResult
from stream_processors.partition.stuck_request_ids import StuckRequestIds
from stream_processors.rule.join_rule import JoinRule
from stream_processors.worker.dead_letter_log import DeadLetterLog
from stream_processors.worker.example_writer import AT_ONCE, ExampleWriter
from stream_processors.worker.faust_app import JoinApp
from stream_processors.worker.gc_tuning import tuned_for_joining
from stream_processors.worker.idle_heartbeat import IdleHeartbeat
from stream_processors.worker.owned_partitions import OwnedPartitions
from stream_processors.worker.partition_gauges import PartitionGauges, records_to_rebuild
from stream_processors.worker.record_chunk import RecordChunk
from stream_processors.worker.topic_watch import GUIDE, TopicState, TopicWatch
from stream_processors.worker.worker_health import WorkerHealth
from stream_processors.worker.worker_settings import WorkerSettings
from stream_processors.worker.write_watch import WriteWatch

log = structlog.get_logger(__name__)

SERVE_SECONDS = 0.05
TEND_SECONDS = 1.0
STOP_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class JoinWorkerParts:
    """What a worker is made of besides its settings."""

    rule: JoinRule
    codec: Codec
    metrics: JoinMetrics
    clock: Callable[[], int]
    """Milliseconds since the epoch, for heartbeats."""

    identities: TopicIdentities
    """Ids of topics, by which an events topic is told apart from a later one of the same name."""

    health: WorkerHealth = field(default_factory=WorkerHealth)


class JoinWorker:
    """Runs the join of the partitions assigned to this process. Create and run it inside one event loop."""

    def __init__(self, settings: WorkerSettings, parts: JoinWorkerParts, topics: TopicWatch) -> None:
        self._settings = settings
        self._parts = parts
        self._topics = topics
        self._owned = OwnedPartitions(
            parts.rule, parts.codec, topics.state.identity, lambda: topics.state.output_partitions
        )
        self._writer = ExampleWriter(settings, parts.codec)
        self._heartbeats = IdleHeartbeat(settings.producer_delay_ms)
        self._joining = asyncio.Lock()
        self._stopping = False
        self._gauges = PartitionGauges(parts.metrics)
        self._writes = WriteWatch(parts.metrics.write_seconds)
        self._letters = DeadLetterLog()
        self._stuck = StuckRequestIds(parts.rule.window_ms)
        self._app = JoinApp(settings, self._owned)
        self._app.agent(self._app.events(settings), name="join")(self._join)
        self._app.task(self._tend)
        self._app.task(self._watch_topics)
        self._app.task(self._check_group)
        self._app.on_partitions_revoked.connect(self._settle)
        self._app.on_partitions_revoked.connect(parts.health.revoked)
        self._app.on_partitions_assigned.connect(parts.health.assigned)

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT, then finish the current chunk and commit.

        Raises the error that ended the worker, if it was not a signal.
        """
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        beating = asyncio.create_task(self._parts.health.beat())
        running = asyncio.create_task(self._app.start())
        asked, ended = asyncio.create_task(stop.wait()), asyncio.create_task(self._app.wait_until_stopped())
        try:
            await asyncio.wait({asked, ended}, return_when=asyncio.FIRST_COMPLETED)
            await self._finish()
        finally:
            for task in (running, asked, ended, beating):
                task.cancel()
            await asyncio.gather(running, asked, ended, beating, return_exceptions=True)
            self._writer.close()
        if self._app.crash_reason is not None:
            raise _fault(self._app.crash_reason, self._settings)

    async def _finish(self) -> None:
        self._stopping = True
        self._parts.health.stopping()
        if not self._app.crashed:
            async with self._joining:
                confirmed = await self._writer.drain(self._settings.drain_seconds)
            log.info("stopping", everything_confirmed=confirmed)
        try:
            await asyncio.wait_for(self._app.stop(), STOP_SECONDS)
        except TimeoutError:
            log.warning("the consumer did not stop in time", seconds=STOP_SECONDS)

    async def _join(self, chunks: StreamT[RecordChunk]) -> None:
        """The Faust agent. Faust would only drop the chunk after an exception, so exceptions end the worker here."""
        async for chunk in chunks:
            try:
                async with self._joining:
                    await self._join_chunk(chunk)
            except Exception as fault:
                self._stopping = True
                await self._app.crash(fault)

    async def _join_chunk(self, chunk: RecordChunk) -> None:
        records = None if self._stopping else self._owned.accept(chunk)
        if records is None:
            return
        for result, confirmed in self._owned.process(chunk.partition, records):
            self._count(result)
            self._letters.note(chunk.partition, result.emissions)
            timed = self._writes.timed(confirmed)
            for start in range(0, len(result.emissions), AT_ONCE):
                if self._writer.full:
                    await self._writer.wait_for_room()
                self._writer.write(chunk.partition, result.emissions[start : start + AT_ONCE], timed)
            self._writer.serve()
            # The only point that yields while chunks wait: health checks, fetching and validation must run too.
            await asyncio.sleep(0)

    async def _settle(self, *_: object, **__: object) -> None:
        """Before partitions are revoked: finish the current chunk, wait for its confirmations, and commit."""
        async with self._joining:
            if self._owned.partitions and await self._writer.drain(self._settings.drain_seconds / 3):
                await self._app.consumer.commit()

    async def _tend(self) -> None:
        """Process delivery reports often; update gauges and write heartbeats every second."""
        loop = asyncio.get_running_loop()
        next_round = loop.time()
        while not self._app.should_stop:
            self._writer.serve()
            if self._writer.failure is not None and not self._stopping:
                raise self._writer.failure
            if loop.time() >= next_round:
                next_round = loop.time() + TEND_SECONDS
                self._look_at_partitions()
            await asyncio.sleep(SERVE_SECONDS)

    async def _check_group(self) -> None:
        while not self._app.should_stop:
            await asyncio.sleep(TEND_SECONDS)
            await self._app.check_group()

    async def _watch_topics(self) -> None:
        await self._topics.watch(lambda: self._app.known_partitions(self._settings.events))

    def _look_at_partitions(self) -> None:
        """Update gauges and health, and write due heartbeats, for the partitions owned now."""
        now, owned = self._parts.clock(), self._owned.partitions
        self._heartbeats.keep(owned)
        assigned = self._app.consumer.assignment()
        tps = {partition: TP(self._settings.events, partition) for partition in owned}
        log_ends = {p: self._app.consumer.highwater(tp) if tp in assigned else None for p, tp in tps.items()}
        for partition, state in owned.items():
            self._stuck.warn_if_stuck(partition, state.join.oldest, state.join.watermark)
            log_end = log_ends[partition]
            if log_end is None:
                continue
            event_time = self._heartbeats.due(partition, state.reached, log_end, now)
            if self._settings.live and event_time is not None and not self._stopping:
                self._writer.write_heartbeat(partition, event_time)
        self._gauges.set(owned, log_ends)
        self._report_health()

    def _report_health(self) -> None:
        outstanding, health = self._writer.outstanding, self._parts.health
        self._parts.metrics.outstanding.set(outstanding)
        self._parts.metrics.unread_partitions.set(self._topics.unread)
        health.topics(self._topics.reasons())
        health.rebuilding({p: records_to_rebuild(state) for p, state in self._owned.partitions.items()})
        health.writing(self._writer.failure, self._writes.stalled_seconds(outstanding), outstanding)

    def _count(self, result: StepResult) -> None:
        self._parts.metrics.examples.inc(result.examples)
        for fate, events in result.fates.items():
            self._parts.metrics.events.labels(fate.value).inc(events)
        for reason, events in result.outside.items():
            self._parts.metrics.outside.labels(reason.value).inc(events)


def run_join_worker(settings: WorkerSettings, parts: JoinWorkerParts) -> None:
    """Check the topics, then work until a signal arrives; raises TrimtabError when anything else ends the worker."""
    look = partial(_look_at_topics, settings, parts.identities)
    begun = look()
    if begun.output_partitions < begun.partitions:
        raise TopicError(
            f"an output topic has only {begun.output_partitions} partitions, {settings.events} has {begun.partitions}:"
            " outputs are written to the partition of their events",
            fix=f"give {settings.examples} and {settings.dead_letters} {begun.partitions} partitions; if partitions"
            f" were added to {settings.events}, see {GUIDE} first",
        )
    require_same_log(_topics(settings, begun.identity), parts.codec)
    with tuned_for_joining():
        asyncio.run(_run(settings, parts, TopicWatch(settings.events, begun, look)))


async def _run(settings: WorkerSettings, parts: JoinWorkerParts, topics: TopicWatch) -> None:
    await JoinWorker(settings, parts, topics).run()


def _topics(settings: WorkerSettings, events_id: str) -> JoinTopics:
    """Readers of the worker's topics, outside its consumer group."""
    events, examples, letters = (
        LogReader(settings.client_config, name) for name in (settings.events, settings.examples, settings.dead_letters)
    )
    return JoinTopics(events, examples, letters, settings.group, events_id)


def _look_at_topics(settings: WorkerSettings, identities: TopicIdentities) -> TopicState:
    """The topics' current state on the broker; raises TopicError or ComponentUnreachable."""
    topics = (settings.events, settings.examples, settings.dead_letters)
    events, *outputs = partitions_of_all(settings.client_config, topics).values()
    return TopicState(identities.of(settings.events), events, min(outputs))


def _fault(reason: BaseException, settings: WorkerSettings) -> BaseException:
    """The error that ended the worker, as a TrimtabError with a fix where the cause is known."""
    if isinstance(reason, GroupAuthorizationFailedError | TopicAuthorizationFailedError):
        of_group = isinstance(reason, GroupAuthorizationFailedError)
        kind, name = ("group", settings.group) if of_group else ("topic", settings.events)
        return right_missing(settings.client_config, Attempt("Read", kind, name))
    if isinstance(reason, OffsetOutOfRangeError):
        return LogTruncated(
            f"the log no longer holds the next record to read: {reason}",
            fix="raise the topic's retention; docs/guarantees.md says how to start over and what that costs",
        )
    if isinstance(reason, KafkaError) and not isinstance(reason, TrimtabError):
        return ComponentUnreachable(f"the consumer failed: {reason!r}", fix="check the broker, then restart the worker")
    return reason
