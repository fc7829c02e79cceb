"""The producers' tallies, from their topic."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from event_schemas.codec import Codec
from event_schemas.errors import ComponentUnreachable, MalformedRecord, UnknownSchema
from event_schemas.log_record import LogRecord
from event_schemas.records import TALLY
from learner.example_source import ExampleSource
from learner.learner_errors import ExamplesLost
from learner.slice_tallies import SliceTallies

POLL_RECORDS = 10_000
POLL_S = 0.2
SILENCE_S = 30.0


def read_tallies(source: ExampleSource, codec: Codec, clock: Callable[[], float] = time.monotonic) -> SliceTallies:
    """Sum the newest tally of each source, from the start of the topic to its end now.

    A tally is cumulative, so the newest of a source says it all; one that cannot be read, or counts below zero, is
    passed over until the source's next one. Raises ComponentUnreachable, also when nothing comes for 30 s although the
    log holds more.
    """
    newest: dict[str, Mapping[str, int]] = {}
    try:
        for records in _to_end(source, clock):
            newest |= _by_source(records, codec)
    except ExamplesLost as fault:  # no offset of this topic is kept, so the next reading begins at what it holds then
        raise ComponentUnreachable(
            f"the tallies changed while they were read: {fault.what}", mend="the next run reads them again"
        ) from fault
    totals: dict[str, int] = {}
    for counts in newest.values():
        for name, count in counts.items():
            totals[name] = totals.get(name, 0) + count
    return SliceTallies(totals)


def _to_end(source: ExampleSource, clock: Callable[[], float]) -> Iterator[Sequence[LogRecord]]:
    """What the log holds from its start to its end now, in parts."""
    source.start({})
    ends, last_progress = source.ends(), clock()
    while any(position < ends.get(partition, 0) for partition, position in source.positions().items()):
        records = source.poll(POLL_RECORDS, POLL_S)
        yield records
        if records:
            last_progress = clock()
        elif clock() - last_progress > SILENCE_S:
            raise ComponentUnreachable(
                f"no tally came for {SILENCE_S:g} s although the log holds more",
                mend="check the broker; the next run reads them again",
            )


def _by_source(records: Sequence[LogRecord], codec: Codec) -> dict[str, Mapping[str, int]]:
    found: dict[str, Mapping[str, int]] = {}
    for record in records:
        try:
            decoded = codec.decode(record.value)
        except (MalformedRecord, UnknownSchema):
            continue
        if decoded.name != TALLY:
            continue
        counts = {row["slice"]: row["count"] for row in decoded.record["counts"]}
        if all(count >= 0 for count in counts.values()):
            found[decoded.record["source"]] = counts
    return found
