"""The bounds are exactly those of the types: the bound itself can be encoded, and nothing beyond it."""

from __future__ import annotations

import json
import math
import struct

import numpy as np
import pytest

from event_schemas.codec import Codec
from event_schemas.errors import MalformedRecord
from event_schemas.number_bounds import EXACT_INTEGERS, LARGEST_FLOAT, LONGS
from event_schemas.registry import Registry

CODEC = Codec(Registry.bundled())


def test_the_largest_float_is_that_of_32_bits() -> None:
    assert float(np.finfo(np.float32).max) == LARGEST_FLOAT
    assert struct.unpack("<f", struct.pack("<f", LARGEST_FLOAT)) == (LARGEST_FLOAT,)
    with pytest.raises(OverflowError):
        struct.pack("<f", LARGEST_FLOAT * (1 + 2**-23))


@pytest.mark.parametrize("edge", [LONGS[0], LONGS[-1]])
def test_a_time_at_the_edge_of_64_bits_comes_back_and_none_beyond_is_encoded(edge: int) -> None:
    assert CODEC.decode(CODEC.encode("Heartbeat", {"event_time": edge})).record["event_time"] == edge
    with pytest.raises(MalformedRecord):
        CODEC.encode("Heartbeat", {"event_time": edge + int(math.copysign(1, edge))})


def test_whole_numbers_are_exact_up_to_the_bound() -> None:
    assert float(EXACT_INTEGERS - 1) + 1.0 == EXACT_INTEGERS
    assert float(EXACT_INTEGERS) + 1.0 == EXACT_INTEGERS
    assert json.loads(str(EXACT_INTEGERS - 1), parse_int=float) == EXACT_INTEGERS - 1
