"""A run's window is the same whether rows that it cannot use are whole or thinned."""

from pathlib import Path

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract
from learner.examples.learning_rows import COLUMNS
from learner.examples.row_digest import row_digest
from learner.examples.segment_reading import read_segments
from learner.examples.segment_store import SegmentStore
from learner.examples.training_window import LearningWindow, build_window
from learner.examples.window_examples import LARGE_COLUMNS, window_examples
from tests.learner_samples import World


def test_the_window_is_that_of_the_whole_rows(world: World, experiment: Experiment, tmp_path: Path) -> None:
    examples = world.examples(9_000)  # 25 hours, of which the window has 18 and an embargo
    for example in examples[::3]:
        example["action"]["slice"] = "POLICY"
    for example in examples[1::30]:
        example["action"]["slice"] = "CONTROL"
    with SegmentStore(tmp_path, "t.examples", 10**15) as store:
        store.append(world.decoded(examples[5_000:]), {0: 1})
        store.append(world.decoded(examples[:5_000]), {0: 2})
    whole, thinned = read_segments(tmp_path, list(COLUMNS)), window_examples(tmp_path, experiment)
    few = [name for name in COLUMNS if name not in LARGE_COLUMNS]
    assert thinned.select(few).equals(whole.select(few))
    assert thinned["request_history"].null_count() > 3_000 > whole["request_history"].null_count()
    contract = FeatureContract.from_experiment(experiment)
    first, second = (build_window(frame, experiment, contract) for frame in (whole, thinned))
    assert told(first) == told(second)
    for frame, other in ((first.control, second.control), (first.holdout.frame, second.holdout.frame)):
        assert frame.drop("request_history").equals(other.drop("request_history")) and frame.height > 0
        fields = [field.name for field in other.schema["request_history"].inner.fields]  # type: ignore[attr-defined]
        assert fields == ["action_type", "event_time", "embedding"], "the items' ids are not encoded"


def told(window: LearningWindow) -> tuple[object, ...]:
    digests = row_digest(window.training), row_digest(window.holdout)
    return digests, window.bounds, window.left_out, window.heavy, window.stored


def test_nothing_stored_is_an_empty_frame(experiment: Experiment, tmp_path: Path) -> None:
    assert window_examples(tmp_path, experiment).height == 0
    SegmentStore(tmp_path, "t", 10).close()
    assert window_examples(tmp_path, experiment).height == 0
