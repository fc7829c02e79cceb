"""Reads a topic from its start to its current end: small topics that each run reads completely."""

import time
from collections.abc import Callable, Iterator, Sequence

from event_schemas.errors import ComponentUnreachable
from event_schemas.log_record import LogRecord
from learner.examples.example_source import ExampleSource

POLL_RECORDS = 10_000
POLL_S = 0.2
SILENCE_S = 30.0


def whole_topic(
    source: ExampleSource, record: str, clock: Callable[[], float] = time.monotonic
) -> Iterator[Sequence[LogRecord]]:
    """The records of the topic, in batches; `record` is what one of them is called.

    Raises ComponentUnreachable if nothing comes for 30 s although the log has more, and the errors of the source.
    """
    source.start({})
    ends, last_progress = source.ends(), clock()
    while any(position < ends.get(partition, 0) for partition, position in source.positions().items()):
        records = source.poll(POLL_RECORDS, POLL_S)
        yield records
        if records:
            last_progress = clock()
        elif clock() - last_progress > SILENCE_S:
            raise ComponentUnreachable(
                f"no {record} came for {SILENCE_S:g} s although the log has more",
                fix="check the broker; the next run reads them again",
            )
