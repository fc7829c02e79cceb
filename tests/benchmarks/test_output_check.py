"""Reading a peer's output back."""

from __future__ import annotations

from benchmarks.output_check import check_output
from event_schemas.log_record import LogRecord
from tests.benchmarks.test_event_stream import joined, stream


def output() -> tuple[list[LogRecord], object]:
    """The reference join's examples as a topic, and the tally they should have."""
    source = stream()
    examples = joined(source).examples
    records = [
        LogRecord("examples", 0, offset, 1_000 * (offset + 1), key.request_id.encode(), value)
        for offset, (key, value) in enumerate(examples.items())
    ]
    return records, source.reference


def test_the_tally_and_the_instants_of_a_whole_output() -> None:
    records, reference = output()
    found = check_output(records)
    assert found.tally == reference
    assert (found.first_at, found.last_at, found.second_copies) == (1.0, float(len(records)), 0)


def test_a_second_copy_is_counted_and_left_out() -> None:
    records, reference = output()
    found = check_output([*records, records[0]])
    assert found.tally == reference
    assert found.second_copies == 1


def test_a_missing_example_shows() -> None:
    records, reference = output()
    assert check_output(records[1:]).tally != reference


def test_an_empty_output_has_no_instants() -> None:
    assert check_output([]).last_at is None
