"""Where the learner's directory has what it ingested, and the stored examples."""

from pathlib import Path

import polars as pl

from learner.examples.learning_rows import COLUMNS
from learner.examples.segment_reading import read_segments

EXAMPLES_FOLDER = "examples"
EXPLORATIONS_FOLDER = "explorations"
TALLIES_FILE = "tallies.json"


def stored_examples(directory: Path) -> pl.DataFrame:
    """The columns of the segments that the learner reads; an empty frame if there are no segments."""
    return read_segments(directory, list(COLUMNS))
