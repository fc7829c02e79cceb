"""Ingests the examples topic into the segment store: records are read at least once and stored exactly once.

Each round reads a batch, decodes it, sends dead letters for the bad records, waits until they are delivered, and then
commits rows and offsets together. After a kill before the commit, the same records are read again: their dead letters
may be written twice, but their rows are not.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from event_schemas.codec import Codec
from event_schemas.dead_letter import MALFORMED, dead_letter
from event_schemas.errors import ComponentUnreachable
from event_schemas.log_record import LogRecord
from event_schemas.records import DEAD_LETTER
from learner.examples.example_decoder import BadExample, ExampleDecoder
from learner.examples.example_source import ExampleSource
from learner.examples.segment_store import AppendCounts, SegmentStore
from monitoring.metrics import LearnerMetrics
from producers.delivery import EventSender, OutgoingEvent, fault_of
from producers.topics import TopicError, recreated

CHUNK = 2_000
DELIVERY_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class IngestCounts:
    """Numbers of example records read, by fate: stored, duplicate, expired (past retention), forgotten,
    malformed."""

    stored: int = 0
    duplicate: int = 0
    expired: int = 0
    malformed: int = 0
    forgotten: int = 0

    @property
    def total(self) -> int:
        """All records read."""
        return self.stored + self.duplicate + self.expired + self.malformed + self.forgotten

    def plus(self, rows: AppendCounts, malformed: int) -> "IngestCounts":
        """The counts plus those of one more round."""
        return IngestCounts(
            self.stored + rows.stored,
            self.duplicate + rows.duplicate,
            self.expired + rows.expired,
            self.malformed + malformed,
            self.forgotten + rows.forgotten,
        )


class DeadLetters:
    """Writes unusable records to the dead-letters topic and waits for delivery."""

    def __init__(self, codec: Codec, sender: EventSender, topic: str) -> None:
        self._codec = codec
        self._sender = sender
        self._topic = topic

    def send(self, bad: Sequence[BadExample]) -> None:
        """Returns when all letters are delivered; raises ComponentUnreachable if one is not."""
        before = self._sender.counts()
        for example in bad:
            letter = dead_letter(example.record, MALFORMED, example.detail, example.request_id)
            value = self._codec.encode(DEAD_LETTER, letter)
            self._sender.send(OutgoingEvent(self._topic, letter["key"], value, DEAD_LETTER))
        after = self._sender.flush(DELIVERY_TIMEOUT_S)
        if after.in_flight or after.dropped > before.dropped:
            fault = fault_of(self._sender)
            raise ComponentUnreachable(
                f"{len(bad)} dead letters were not delivered to {self._topic!r}{f': {fault}' if fault else ''}",
                fix="check the broker and this user's rights, and start again: nothing was committed, so the same "
                "records are read again",
            )


@dataclass
class Ingest:
    """Reads `source` into `store`, from the offsets that the store has committed."""

    source: ExampleSource
    decoder: ExampleDecoder
    store: SegmentStore
    dead_letters: DeadLetters
    metrics: LearnerMetrics | None = None
    counts: IngestCounts = field(default_factory=IngestCounts)
    _topic_id: str = field(default="", init=False)

    def start(self) -> None:
        """Position the source at the committed offsets.

        Raises ExamplesLost if the log does not have these offsets or is another log, ClockMismatch if a stored example
        is in the future, ComponentUnreachable, and TopicError if the topic or its id is missing.
        """
        self.store.require_times()
        self._topic_id = self.source.topic_id()
        self.store.require_topic(self._topic_id)
        self.source.start(self.store.next_offsets)
        self.store.adopt_topic(self._topic_id)

    def round(self, timeout_s: float) -> int:
        """Read and commit one batch; returns the number of records. Raises like `start`, or StoreUnwritable."""
        records = self.source.poll(CHUNK, timeout_s)
        if not records:
            return 0
        self._require_same_topic()
        chunk = self.decoder.decode(records)
        if chunk.bad:
            self.dead_letters.send(chunk.bad)
        rows = self.store.append(chunk.frame, _next_offsets(records))
        self.counts = self.counts.plus(rows, len(chunk.bad))
        self._export(rows, len(chunk.bad))
        return len(records)

    def to_end(self, timeout_s: float = 30.0, clock: Callable[[], float] = time.monotonic) -> Iterator[IngestCounts]:
        """Run rounds until everything in the log now is ingested; yields the counts after each round.

        Raises ComponentUnreachable if nothing comes for `timeout_s` although the log has more.
        """
        ends = self.source.ends()
        last_progress = clock()
        while self._behind(ends):
            if self.round(0.2):
                last_progress = clock()
                yield self.counts
            elif clock() - last_progress > timeout_s:
                raise ComponentUnreachable(
                    f"no example came for {timeout_s:g} s although the log has more ({self.counts.total} read)",
                    fix="check the broker and start again: ingest continues where it stopped",
                )

    def _require_same_topic(self) -> None:
        """Raise an error unless the records just polled came from the topic that `start` found."""
        topic_id = self.source.topic_id()
        self.store.require_topic(topic_id)
        if topic_id != self._topic_id:
            raise TopicError(
                recreated("of examples", self._topic_id, topic_id),
                fix="start again: nothing was stored yet, and the new topic is read from its first record",
            )

    def _behind(self, ends: Mapping[int, int]) -> bool:
        positions = self.source.positions()
        return any(position < ends.get(partition, 0) for partition, position in positions.items())

    def _export(self, rows: AppendCounts, malformed: int) -> None:
        if self.metrics is not None:
            for fate, count in {**asdict(rows), "malformed": malformed}.items():
                self.metrics.ingested.labels(fate=fate).inc(count)


def _next_offsets(records: Sequence[LogRecord]) -> dict[int, int]:
    return {record.partition: record.offset + 1 for record in records}
