"""The stored examples have the columns that the learner reads, and none without segments."""

from pathlib import Path

from event_schemas.experiment import Experiment
from learner.examples.learning_rows import COLUMNS
from learner.examples.segment_store import SegmentStore
from learner.examples.stored_files import stored_examples
from tests.learner_samples import World


def test_only_what_the_learner_reads_is_loaded(world: World, experiment: Experiment, tmp_path: Path) -> None:
    assert stored_examples(tmp_path).height == 0
    with SegmentStore(tmp_path, "t.examples", 10**15) as store:
        store.append(world.decoded(world.examples(12)), {0: 1})
    found = stored_examples(tmp_path)
    assert found.height == 12 and set(found.columns) == set(COLUMNS)
