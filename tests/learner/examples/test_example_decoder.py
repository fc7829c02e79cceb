"""Good records become columns; bad ones are returned separately."""

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_schemas.codec import Codec, frame
from event_schemas.experiment import Experiment
from event_schemas.log_record import LogRecord
from event_schemas.records import EXAMPLE, HEARTBEAT
from event_schemas.registry import Registry, schema_entry
from event_schemas.units import DAY_MS
from learner.examples.example_decoder import ExampleDecoder
from learner.examples.example_rule import REQUEST_ID
from learner.examples.time_limit import TimeLimit
from tests.learner_samples import World


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


VERSIONS = {entry.version: entry for entry in Registry.bundled().versions(EXAMPLE)}
NEW = {
    ("request", "previous"): [{"event_time": 5, "weights": [1.0, 2.0]}, {"event_time": 4, "weights": []}],
    ("action", "shadow_weights"): [91.6, 9.1],
    ("propensity", "log_density"): -1.25,
    ("propensity", "exploration"): "ab12",
}
BAD = {
    "short": lambda record: record._replace(value=record.value[:-3]),
    "long": lambda record: record._replace(value=record.value + b"\0"),
    "no value": lambda record: record._replace(value=None),
    "unknown version": lambda record: record._replace(value=frame(999, record.value[5:])),
    "wrong version": lambda record: record._replace(
        value=frame(sum(entry.schema_id for entry in VERSIONS.values()) - record.value[4], record.value[5:])
    ),
    "other key": lambda record: record._replace(key=b"someone else"),
    "no propensity": None,
}


def written(world: Any, kinds: list[tuple[int, str | None]]) -> tuple[list[LogRecord], list[dict[str, Any]]]:
    """A log with one example of each (version, fault); and the examples in the newest shape, with what each lacks."""
    records, examples = [], world.examples(len(kinds))
    for example, (version, fault) in zip(examples, kinds, strict=True):
        if version == 2:
            for (part, field), value in NEW.items():
                example[part] = example[part] | {field: value}
        if fault == "no propensity":
            example["propensity"] = example["propensity"] | {"propensity": 0.0}
        [record] = world.log([example])
        datum = Codec(Registry([VERSIONS[version]])).encode_datum(EXAMPLE, example)
        record = record._replace(value=frame(VERSIONS[version].schema_id, datum))
        damage = BAD[fault] if fault else None
        records.append(record if damage is None else damage(record))
    return [record._replace(offset=place) for place, record in enumerate(records)], examples


KINDS = st.lists(st.tuples(st.sampled_from([1, 2]), st.sampled_from([None, None, None, *BAD])), max_size=12)


@settings(max_examples=25)
@given(kinds=KINDS)
def test_versions_side_by_side_keep_order_and_values(
    codec: Codec, experiment: Experiment, kinds: list[tuple[int, str | None]]
) -> None:
    records, examples = written(World(experiment, codec), kinds)
    chunk = ExampleDecoder(codec, experiment.action_space).decode(records)
    good = [place for place, (_, fault) in enumerate(kinds) if fault is None]
    assert {bad.record.offset for bad in chunk.bad} == set(range(len(kinds))) - set(good)
    assert chunk.frame.height == len(good)
    if not good:
        return
    assert chunk.frame[REQUEST_ID].to_list() == [examples[place]["request"]["request_id"] for place in good]
    for (part, field), value in NEW.items():
        default: list[Any] | None = [] if isinstance(value, list) else None
        found = chunk.frame[f"{part}_{field}"].to_list()
        assert found == [value if kinds[place][0] == 2 else default for place in good]


def test_older_versions_are_read_by_columns(codec: Codec, experiment: Experiment, world: Any) -> None:
    """A codec that cannot decode a single record shows it; the rows are those of a decoder that reads one by one."""
    decoder = ExampleDecoder(ColumnsOnly(codec.registry), experiment.action_space)
    for kinds in ([1] * 5, [2] * 5, [1, 2, 2, 1, 2]):
        records, _ = written(world, [(version, None) for version in kinds])
        chunk = decoder.decode(records)
        assert chunk.bad == ()
        alone = [ExampleDecoder(codec, experiment.action_space).decode([record]).frame for record in records]
        again = [codec.encode(EXAMPLE, codec.decode(record.value).record) for record in records]
        slow = [record._replace(value=value) for record, value in zip(records, again, strict=True)]
        assert chunk.frame.equals(pl.concat(alone))
        assert chunk.frame.equals(ExampleDecoder(codec, experiment.action_space).decode(slow).frame)


def test_a_version_of_someone_else_is_read_one_by_one(codec: Codec, experiment: Experiment, world: Any) -> None:
    newest = VERSIONS[2]
    device = {"name": "device", "type": ["null", "string"], "default": None}
    foreign = schema_entry(77, newest.subject, 3, {**newest.schema, "fields": [*newest.schema["fields"], device]})
    decoder = ExampleDecoder(Codec(Registry(codec.registry.entries(), [foreign])), experiment.action_space)
    records, examples = written(world, [(1, None), (2, None), (2, None)])
    datum = Codec(Registry([foreign])).encode_datum(EXAMPLE, {**examples[2], "device": "phone"})
    mixed = [*records[:2], records[2]._replace(value=frame(77, datum))]
    chunk = decoder.decode(mixed)
    assert chunk.bad == ()
    assert chunk.frame.equals(ExampleDecoder(codec, experiment.action_space).decode(records).frame)


class ColumnsOnly(Codec):
    """A codec for readers that decode no record by itself."""

    def decode(self, framed: bytes | None) -> Any:
        raise AssertionError("a record was decoded by itself")
