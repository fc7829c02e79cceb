"""Reads the stored examples for a run: of rows that it cannot use, only what is counted and what was served.

A run needs all stored rows to see what users were served before and how many decisions are stored, but features and
distributions only of its window. These are most of a row: elsewhere they are null, and take no memory. Of the history
the items' ids are left out.
"""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from event_schemas.experiment import Experiment
from learner.examples.example_rule import EVENT_TIME
from learner.examples.learning_rows import COLUMNS, ENCODED_COLUMNS
from learner.examples.segment_manifest import SegmentManifest
from learner.examples.segment_reading import over_segments, stacked
from learner.examples.stored_counts import ALWAYS_LOGGED, SLICE
from learner.examples.training_window import window_bounds

HISTORY = "request_history"
LARGE_COLUMNS = (*ENCODED_COLUMNS, "ranking", "propensity_probabilities", "outcome_objectives")
"""The columns that are null in rows which a run cannot use."""


def window_examples(directory: Path, experiment: Experiment) -> pl.DataFrame:
    """All stored rows with COLUMNS, in order; an empty frame if there are none. Raises StoreDamaged.

    LARGE_COLUMNS are null in rows that are before the training window or of slices that a run does not use.
    """
    manifest = SegmentManifest.load(directory)
    if manifest is None or not manifest.segments:
        since = -(2**62)  # whatever a writer may have stored meanwhile is whole
    else:
        newest = max(segment.last_event_time for segment in manifest.segments)
        since = window_bounds(newest, experiment).train_from  # later rows only move the window on
    used = (pl.col(EVENT_TIME) >= since) & pl.col(SLICE).is_in(ALWAYS_LOGGED)

    def together(parts: Iterator[pl.DataFrame]) -> pl.DataFrame:
        thinned = [_encoded_history(part).with_columns(pl.when(used).then(pl.col(LARGE_COLUMNS))) for part in parts]
        return stacked(thinned, directory) if thinned else pl.DataFrame()

    return over_segments(directory, together, list(COLUMNS))


def _encoded_history(part: pl.DataFrame) -> pl.DataFrame:
    """The part with those fields of the history that are encoded: without the items' ids."""
    element = pl.element().struct
    encoded = pl.struct(element.field("action_type", "event_time", "embedding"))
    return part.with_columns(pl.col(HISTORY).list.eval(encoded))
