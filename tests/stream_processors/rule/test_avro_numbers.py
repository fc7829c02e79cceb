"""Numbers are spelled as Avro's own writer spells them."""

from __future__ import annotations

import io

from fastavro import schemaless_writer
from hypothesis import example, given
from hypothesis import strategies as st

from stream_processors.rule.avro_numbers import PAIR, spelled


def written(number: int) -> bytes:
    sink = io.BytesIO()
    schemaless_writer(sink, {"type": "long"}, number)
    return sink.getvalue()


@given(st.integers(-(2**63), 2**63 - 1))
@example(PAIR * PAIR // 2)
@example(PAIR * PAIR)
def test_the_bytes_are_those_of_the_writer(number: int) -> None:
    assert spelled(number) == written(number)


def test_every_number_of_one_to_three_bytes_is_spelled_as_the_writer_does() -> None:
    assert [number for number in range(-PAIR, PAIR + 1) if spelled(number) != written(number)] == []
