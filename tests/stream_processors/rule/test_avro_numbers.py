"""Numbers are spelled as Avro's own writer spells them."""

from __future__ import annotations

import io

from fastavro import schemaless_writer
from hypothesis import example, given
from hypothesis import strategies as st

from stream_processors.rule.avro_numbers import PAIR, spelled


@given(st.integers(-(2**63), 2**63 - 1))
@example(PAIR // 2)
@example(PAIR // 2 - 1)
@example(-PAIR // 2)
@example(PAIR * PAIR // 2)
@example(PAIR * PAIR)
@example(0)
@example(-1)
def test_the_bytes_are_those_of_the_writer(number: int) -> None:
    sink = io.BytesIO()
    schemaless_writer(sink, {"type": "long"}, number)
    assert spelled(number) == sink.getvalue()
