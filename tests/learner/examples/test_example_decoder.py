"""Good records become columns; bad ones are returned separately."""

from collections.abc import Callable
from typing import Any

import pytest

from event_schemas.codec import Codec
from event_schemas.experiment import Experiment
from event_schemas.records import EXAMPLE, HEARTBEAT
from event_schemas.units import DAY_MS
from learner.examples.example_decoder import ExampleDecoder
from learner.examples.example_rule import REQUEST_ID
from learner.examples.time_limit import TimeLimit


@pytest.fixture
def decoder(codec: Codec, experiment: Experiment) -> ExampleDecoder:
    return ExampleDecoder(codec, experiment.action_space)


def test_a_clean_chunk_keeps_order_and_values(decoder: ExampleDecoder, world: Any) -> None:
    examples = world.examples(20)
    chunk = decoder.decode(world.log(examples))
    assert chunk.bad == ()
    assert chunk.frame[REQUEST_ID].to_list() == [e["request"]["request_id"] for e in examples]
    assert chunk.frame["action_arm"].to_list() == [e["action"]["arm"] for e in examples]
    assert set(chunk.frame["action_slice"]) == {"EXPLORE"}
    assert chunk.frame["request_history"].to_list()[1][0]["action_type"] == "click"


def test_malformed_records_do_not_cost_their_neighbours(decoder: ExampleDecoder, world: Any, codec: Codec) -> None:
    log = world.log(world.examples(6))
    log[1] = log[1]._replace(value=log[1].value[:-3])
    log[3] = log[3]._replace(value=None)
    log[4] = log[4]._replace(value=codec.encode(HEARTBEAT, {"event_time": 1}))
    log[5] = log[5]._replace(value=b"\0\0\0\x03\xe7junk")
    chunk = decoder.decode(log)
    assert chunk.frame[REQUEST_ID].to_list() == ["r000000", "r000002"]
    assert [bad.record.offset for bad in chunk.bad] == [log[i].offset for i in (1, 3, 4, 5)]
    assert "Heartbeat" in chunk.bad[2].detail
    assert "999" in chunk.bad[3].detail


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 2**62])
@pytest.mark.parametrize("others", [0, 3])
def test_a_number_that_fits_no_column_is_one_bad_record(
    decoder: ExampleDecoder, world: Any, value: int, others: int
) -> None:
    """Such a datum decodes by itself: Avro writes an int and a long in the same way."""
    examples = world.examples(1 + others)
    examples[0]["action"]["arm"] = value
    chunk = decoder.decode(world.log(examples))
    assert [bad.record.key for bad in chunk.bad] == [b"r000000"]
    assert "more than 32 bits" in chunk.bad[0].detail and "\n" not in chunk.bad[0].detail
    assert chunk.frame.height == others


def test_a_request_from_the_far_future_is_a_bad_example(codec: Codec, experiment: Experiment, world: Any) -> None:
    decoder = ExampleDecoder(codec, experiment.action_space, max_future_skew_ms=1_000)
    examples = world.examples(4)
    log = [record._replace(append_time=examples[0]["request"]["event_time"]) for record in world.log(examples)]
    ahead = DAY_MS + 1_000 + examples[0]["request"]["event_time"]
    for example, event_time in zip(examples, (ahead, ahead + 1, 2**62, -(2**62)), strict=True):
        example["request"]["event_time"] = event_time
    later = world.log(examples)
    chunk = decoder.decode([old._replace(value=new.value) for old, new in zip(log, later, strict=True)])
    assert [bad.request_id for bad in chunk.bad] == ["r000001", "r000002"]
    assert "is too far after" in chunk.bad[0].detail
    silent = [record._replace(append_time=-1) for record in later]
    assert decoder.decode(silent).bad == (), "a log that does not say when cannot be judged by it"


def test_the_learner_s_own_limit_holds_whatever_the_log_says(codec: Codec, experiment: Experiment, world: Any) -> None:
    examples = world.examples(3)
    latest = examples[0]["request"]["event_time"] + DAY_MS + 5
    limit = TimeLimit(lambda: latest - DAY_MS - 5, max_future_skew_ms=5)
    decoder = ExampleDecoder(codec, experiment.action_space, 5, limit)
    for example, event_time in zip(examples, (latest, latest + 1, 2**63 - 1), strict=True):
        example["request"]["event_time"] = event_time
    for appended in (-1, 2**62):
        chunk = decoder.decode([record._replace(append_time=appended) for record in world.log(examples)])
        assert [bad.request_id for bad in chunk.bad] == ["r000001", "r000002"]
        assert "the latest allowed" in chunk.bad[0].detail


def test_only_bad_records_give_no_columns(decoder: ExampleDecoder, world: Any) -> None:
    [record] = world.log(world.examples(1))
    chunk = decoder.decode([record._replace(value=b"x")])
    assert chunk.frame.height == 0
    assert len(chunk.bad) == 1


@pytest.mark.parametrize(
    ("part", "field", "value", "detail"),
    [
        ("propensity", "propensity", 0.0, "propensity 0.0"),
        ("propensity", "propensity", 1.5, "propensity 1.5"),
        ("propensity", "propensity", float("nan"), "propensity NaN"),
        ("action", "arm", -1, "arm -1"),
        ("action", "arm", 10, "arm 10"),
        ("action", "eligible", [0, 10], "eligible"),
        ("action", "eligible", [-1], "eligible"),
        ("propensity", "propensity", 5e-324, "too small"),
        ("request", "request_id", "", "request_id"),
    ],
)
def test_values_no_one_may_learn_from(
    decoder: ExampleDecoder, world: Any, part: str, field: str, value: object, detail: str
) -> None:
    examples = world.examples(3)
    examples[1][part][field] = value
    chunk = decoder.decode(world.log(examples))
    assert chunk.frame.height == 2
    assert detail in chunk.bad[0].detail


def test_arms_of_another_action_space_are_not_ours_to_judge(decoder: ExampleDecoder, world: Any) -> None:
    [example] = world.examples(1)
    example["action"] |= {"arm": 4000, "action_space": "another"}
    assert decoder.decode(world.log([example])).bad == ()


def test_a_key_that_is_not_the_request_falls_back_and_still_reads(
    decoder: ExampleDecoder, world: Any, codec: Codec, make_world: Callable[..., Any]
) -> None:
    log = world.log(world.examples(2))
    chunk = decoder.decode([log[0]._replace(key=b"someone else"), log[1]])
    assert [bad.detail for bad in chunk.bad] == ["request_id is not the record's key"]
    assert chunk.frame.height == 1
    assert codec.decode(log[0].value).name == EXAMPLE
