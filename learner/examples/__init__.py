"""Examples from the topic to rows: decodes them, stores them in segments on disk, and splits them into windows.

Reads `examples`, `tallies` and `explorations`, from its own offsets.
Writes Parquet segments with their manifest, exploration settings and the tallies read last under the data directory,
and dead letters for unusable examples.
Guarantees that a kill at any moment neither loses nor duplicates an example, and that altered files are never used.
Fails with the errors listed at the top of `learner_errors`; one bad row never ends the stage.
"""

from learner.examples.example_decoder import ExampleDecoder
from learner.examples.example_rule import ExampleRule
from learner.examples.example_source import KafkaExampleSource
from learner.examples.exploration_reading import KeptExplorations, read_explorations, require_one_unit
from learner.examples.exploration_shelf import ExplorationShelf
from learner.examples.forgotten_users import forgotten_counts, forgotten_decisions
from learner.examples.ingest import DeadLetters, Ingest
from learner.examples.request_columns import request_columns
from learner.examples.segment_store import SegmentStore
from learner.examples.slice_tallies import SliceTallies
from learner.examples.stored_files import EXAMPLES_FOLDER, EXPLORATIONS_FOLDER, TALLIES_FILE, stored_examples
from learner.examples.tally_reading import read_tallies
from learner.examples.tally_shelf import TallyShelf
from learner.examples.time_limit import TimeLimit
from learner.examples.training_window import rows_since

__all__ = [
    "DeadLetters",
    "EXAMPLES_FOLDER",
    "EXPLORATIONS_FOLDER",
    "ExampleDecoder",
    "ExampleRule",
    "ExplorationShelf",
    "Ingest",
    "KafkaExampleSource",
    "KeptExplorations",
    "SegmentStore",
    "SliceTallies",
    "TALLIES_FILE",
    "TallyShelf",
    "TimeLimit",
    "forgotten_counts",
    "forgotten_decisions",
    "read_explorations",
    "read_tallies",
    "request_columns",
    "require_one_unit",
    "rows_since",
    "stored_examples",
]
