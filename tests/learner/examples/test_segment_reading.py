"""Reading without the writer's lock; more with the writer in test_segment_store.py."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from learner.examples.learner_errors import StoreDamaged
from learner.examples.segment_reading import over_segments, read_segments, segment_files, stacked
from tests.learner.segment_samples import ROWS, SEGMENTS, filled, rows


def test_readers_get_all_rows_in_order_and_only_the_columns_they_ask_for(tmp_path: Path) -> None:
    assert read_segments(tmp_path).height == 0
    files = filled(tmp_path)
    assert segment_files(tmp_path) == [path.name for path in files]
    read = read_segments(tmp_path, ["request_event_time"])
    assert read.columns == ["request_event_time"]
    assert read["request_event_time"].to_list() == list(range(SEGMENTS * ROWS))

    def first_times(parts: Iterator[pl.DataFrame]) -> list[int]:
        return [part["request_event_time"][0] for part in parts]

    assert over_segments(tmp_path, first_times, span=(ROWS, 2 * ROWS)) == [ROWS]


def test_parts_of_one_column_with_two_types_do_not_fit_together(tmp_path: Path) -> None:
    other = rows(5, 2).with_columns(action_weights=pl.lit("text"))
    with pytest.raises(StoreDamaged, match="do not fit together"):
        stacked([rows(0, 5), other], tmp_path)
