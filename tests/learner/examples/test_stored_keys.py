"""The dedupe keys in memory."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from learner.examples.stored_keys import StoredKeys

KEYS = st.lists(st.tuples(st.sampled_from(["a", "b", "c", ""]), st.integers(0, 4)), max_size=12)


def frame(keys: list[tuple[str, int]]) -> pl.DataFrame:
    return pl.DataFrame(keys, schema={"request_request_id": pl.String, "request_event_time": pl.Int64}, orient="row")


@given(KEYS, KEYS, KEYS)
def test_a_key_is_held_as_long_as_a_kept_segment_has_it(
    first: list[tuple[str, int]], second: list[tuple[str, int]], asked: list[tuple[str, int]]
) -> None:
    keys = StoredKeys()
    keys.add("first", frame(first))
    keys.add("second", frame(second))
    assert keys.are_stored(frame(asked)).to_list() == [key in {*first, *second} for key in asked]
    assert keys.lacking(asked) == set(asked) - {*first, *second}
    keys.only({"second"})
    assert keys.are_stored(frame(asked)).to_list() == [key in second for key in asked]
