"""Mapping is total and pure: whatever a record contains, it gets one fate, the same every time."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from event_schemas.bridge_section import BridgeSpec
from event_schemas.codec import Codec
from event_schemas.dead_letter import MALFORMED, dead_letter
from event_schemas.errors import ComponentUnreachable, MalformedRecord
from event_schemas.event_bounds import request_id_fault
from event_schemas.experiment_sections import ExperimentSpec
from event_schemas.exploration import ExplorationDraws
from event_schemas.log_record import LogRecord
from event_schemas.records import DEAD_LETTER, ENGAGEMENT
from event_schemas.registry import Registry
from event_schemas.slices import can_be_logged, coin
from producers.bridge.engagement_mapping import BridgeFate, EngagementMapper, value_at
from producers.bridge.raised_log_rates import RaisedLogRates
from producers.bridge.source_decoding import decode_json
from tests.producers.bridge_samples import RATES, SECTION, TOPIC, action, mapper, source_record
from tests.serving_samples import serving_experiment

SOURCE = BridgeSpec.model_validate(SECTION)
CODEC = Codec(Registry.bundled())
ALL = ExperimentSpec(name="all", salt="pepper", log_rate=1.0)
NAMES = st.sampled_from(["request", "at", "type", "pin", "a", "b.c"])
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("SAVE")
JSON = PLAIN | st.lists(PLAIN, max_size=2) | st.dictionaries(NAMES, PLAIN, max_size=2)
ACTIONS = st.fixed_dictionaries({}, optional={"request": JSON, "at": JSON, "type": JSON, "pin": JSON})


def mapped(value: bytes | None, rates: ExperimentSpec = ALL, **changes: Any) -> Any:
    return mapper(rates, **changes).map(source_record(value, offset=17, partition=2))


def test_all_fields_are_mapped() -> None:
    fields = {
        "request_id": "context.request", "event_time": "at", "kind": "type",
        "engagement_id": "id", "item_id": "pin.id", "value": "amount",
    }  # fmt: skip
    said = {"context": {"request": 5}, "at": "2023-11-13T12:00:00Z", "type": "SAVE", "id": "e", "pin": {"id": "p"}}
    outcome = mapped(json.dumps({**said, "amount": "2.5"}).encode(), fields=fields)
    assert outcome.fate is BridgeFate.BRIDGED
    assert outcome.engagement == {
        "engagement_id": "e",
        "request_id": "5",
        "event_time": int(datetime(2023, 11, 13, 12, tzinfo=UTC).timestamp() * 1000),
        "kind": "repin",
        "item_id": "p",
        "value": 2.5,
    }


def test_without_an_id_the_place_is_the_id() -> None:
    assert mapped(action()).engagement["engagement_id"] == f"{TOPIC}/2/17"


@given(value=st.binary(max_size=40) | ACTIONS.map(lambda said: json.dumps(said).encode()))
@example(b"[" * 100_000)
@example(b'{"request": "\\ud800"}')
@example(b"1" * 5_000)
@example(b'{"request": "r", "at": 1e999, "type": "SAVE"}')
@example(b'{"request": "r", "at": "' + b"9" * 5_000 + b'", "type": "SAVE"}')
@example(b'{"request": "r", "at": 1, "type": "SAVE", "pin": "\\udfff"}')
def test_every_value_has_one_fate_and_its_output_can_be_encoded(value: bytes) -> None:
    for sampled in (True, False):
        outcome = mapped(value, RATES, sampled=sampled)
        assert mapped(value, RATES, sampled=sampled) == outcome
        if outcome.fate is BridgeFate.BRIDGED:
            CODEC.encode(ENGAGEMENT, outcome.engagement)
            assert outcome.engagement["request_id"].encode()
            assert math.isfinite(outcome.engagement["value"])
        elif outcome.fate is BridgeFate.DEAD_LETTER:
            assert " | fix: " in outcome.fault
            CODEC.encode(DEAD_LETTER, dead_letter(source_record(value), MALFORMED, outcome.fault, outcome.request_id))
        else:
            assert outcome.engagement is None


@given(request_id=st.text(st.characters(codec="utf-8"), max_size=8).filter(lambda text: request_id_fault(text) is None))
def test_unsampled_is_what_no_node_can_have_logged(request_id: str) -> None:
    explored, log_rate = RATES.exploration_rate, RATES.log_rate
    logged = can_be_logged(RATES.salt, request_id, exploration_rate=explored, control_rate=0.0, log_rate=log_rate)
    assert mapped(action(request_id), RATES).fate is (BridgeFate.BRIDGED if logged else BridgeFate.UNSAMPLED)
    assert mapped(action(request_id, at=None), RATES).fate is (
        BridgeFate.DEAD_LETTER if logged else BridgeFate.UNSAMPLED
    )
    assert mapped(action(request_id), RATES, sampled=False).fate is BridgeFate.BRIDGED


def test_with_sessions_exactly_what_a_node_can_log_is_bridged() -> None:
    """A node logs or leaves out whole sessions; ids without a session, or with a placeholder, are on their own."""
    rates = RATES.model_copy(update={"exploration_unit": "session", "control_rate": 0.1})
    experiment = serving_experiment(experiment=rates.model_dump())
    draws = ExplorationDraws(experiment.action_space, experiment.exploration)
    ids = [f"{unit}~{n}" for unit in ("null", "", *(f"s{n}" for n in range(60)), "a~b") for n in range(3)] + ["s1", "x"]
    passed = {name for name in ids if mapped(action(name), rates).fate is BridgeFate.BRIDGED}
    can = {
        name for name in ids for ever in (0.0, 0.05, 0.3) if draws.sampling(name, draws.slice(name, ever).slice).logged
    }
    assert passed == can and 0 < len(can) < len(ids)
    sessions = [{f"s{unit}~{n}" for n in range(3)} for unit in range(60)]
    assert all(session <= passed or session.isdisjoint(passed) for session in sessions)
    alone = {f"null~{n}" for n in range(3)} | {f"~{n}" for n in range(3)}
    as_requests = {name for name in alone if mapped(action(name), RATES).fate is BridgeFate.BRIDGED}
    assert as_requests <= alone & passed


def test_by_user_a_record_passes_unless_its_user_is_known_and_not_logged() -> None:
    rates = RATES.model_copy(update={"log_unit": "user", "exploration_rate": 0.0})
    fields = {**SECTION["fields"], "user_id": "who.id"}

    def fate(who: Any, request_id: str = "r-1") -> BridgeFate:
        found: BridgeFate = mapped(action(request_id, who={"id": who}), rates, fields=fields).fate
        return found

    in_log = {number: coin("pepper", "log", str(number)) < rates.log_rate for number in range(100)}
    assert coin("pepper", "log", "r-1") >= rates.log_rate
    assert {n: fate(n) is BridgeFate.BRIDGED for n in range(1, 100)} == {n: in_log[n] for n in range(1, 100)}
    assert fate(1) is fate("1") and fate("  1") is not BridgeFate.DEAD_LETTER
    for unknown in (None, "", "null", 0, 1.5, True, ["u"], "\ud800"):
        assert fate(unknown) is BridgeFate.BRIDGED, unknown
    without = mapped(action("r-1"), rates, fields=fields)
    assert without.fate is BridgeFate.BRIDGED
    before_login = next(f"q{n}" for n in range(100) if coin("pepper", "log", f"q{n}") < rates.log_rate)
    assert fate(next(n for n, kept in in_log.items() if n and not kept), before_login) is BridgeFate.BRIDGED


def test_a_raised_rate_counts_for_engagements_of_its_time() -> None:
    """The time is that of the engagement; a record that says it happened after it was written has the record's."""
    settings = serving_experiment(experiment=RATES.model_dump()).exploration
    raised, written = RaisedLogRates(settings, 60_000), source_record(None).append_time
    raised.note(settings.with_log_rate(1.0), written - 100_000)
    unsampled = next(f"r{n}" for n in range(100) if mapped(action(f"r{n}"), RATES).fate is BridgeFate.UNSAMPLED)

    def fate(at: Any, rates: RaisedLogRates = raised) -> str:
        found = mapper(RATES, rates).map(source_record(action(unsampled, at=at)))
        return f"{found.fate}"

    last = written - 40_000
    assert [fate(at) for at in (last - 9_000_000, last, last + 1, written, written + 1)] == [
        BridgeFate.BRIDGED,
        BridgeFate.BRIDGED,
        BridgeFate.UNSAMPLED,
        BridgeFate.UNSAMPLED,
        BridgeFate.UNSAMPLED,
    ]
    assert fate("soon") == BridgeFate.UNSAMPLED, "the record's time is known"
    raised.note(settings.with_log_rate(1.0), written)
    assert (fate(written + 86_400_000 // 2), fate("soon")) == (BridgeFate.BRIDGED, BridgeFate.DEAD_LETTER)
    assert fate(written, RaisedLogRates(settings, 60_000)) == BridgeFate.UNSAMPLED


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (None, "value is null (a tombstone)"),
        (b"{", "value is not JSON"),
        (action(None), "request is missing"),
        (action(""), "request is missing"),
        (action(1.5), "request = 1.5 is not text"),
        (action(True), "request = True is not text"),
        (action("\ud800"), "request is not UTF-8 text"),
        (action(at=None), "at = None is not a time"),
        (action(at="soon"), "at = 'soon' is not a time"),
        (action(at=True), "at = True is not a time"),
        (action(at=float("nan")), "at = nan is not a time"),
        (action(type=None), "type is missing"),
        (action(pin={"id": 1}), "pin = {'id': 1} is not text"),
        (action(pin=["x" * 1_000]), "…"),
    ],
)
def test_what_cannot_be_mapped_says_why(value: bytes | None, fault: str) -> None:
    outcome = mapped(value)
    assert outcome.fate is BridgeFate.DEAD_LETTER
    assert fault in outcome.fault


@given(
    time=st.integers(1_600_000_000_000, 1_699_999_999_999),
    wrong=st.sampled_from([("s", "ms"), ("ms", "s"), ("us", "ms"), ("ms", "us"), ("ns", "us"), ("s", "ns")]),
)
def test_a_time_in_another_unit_is_a_dead_letter_that_names_it(time: int, wrong: tuple[str, str]) -> None:
    written, declared = wrong
    per_ms = {"s": 1e-3, "ms": 1, "us": 1_000, "ns": 1_000_000}
    outcome = mapped(action(at=int(time * per_ms[written])), time_unit=declared)
    assert (outcome.fate, outcome.event_time) == (BridgeFate.DEAD_LETTER, None)
    words = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
    assert f"it looks like {words[written]}; times are {words[declared]} since the epoch | fix: " in outcome.fault
    assert mapped(action(at=int(time * per_ms[written])), time_unit=written).fate is BridgeFate.BRIDGED


@pytest.mark.parametrize(("at", "days_ahead"), [("2024-11-25", 377), (20231113, None)])
def test_a_time_far_from_its_records_time_is_a_dead_letter(at: Any, days_ahead: int | None) -> None:
    outcome = mapped(action(at=at))
    assert outcome.fate is BridgeFate.DEAD_LETTER
    assert ("too long after 2023-11-14" if days_ahead else "a date written as digits") in outcome.fault
    timeless = LogRecord(TOPIC, 0, 0, -1, b"user", action(at=at))
    assert mapper(ALL).map(timeless).fate is BridgeFate.BRIDGED, "there is nothing to compare it with"


def test_a_dead_letter_knows_what_could_be_read() -> None:
    outcome = mapped(action("r-9", pin=[]))
    assert (outcome.request_id, outcome.event_time) == ("r-9", 1_700_000_000_000)


@pytest.mark.parametrize(
    ("other_kinds", "fate", "kind"),
    [
        ("dead_letter", BridgeFate.DEAD_LETTER, None),
        ("ignore", BridgeFate.IGNORED, None),
        ("keep", BridgeFate.BRIDGED, "VIEW"),
    ],
)
def test_other_kinds(other_kinds: str, fate: BridgeFate, kind: str | None) -> None:
    outcome = mapped(action(type="VIEW"), other_kinds=other_kinds)
    assert outcome.fate is fate
    assert (outcome.engagement or {}).get("kind") == kind


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"request": "r-9\n"}, "control characters"),
        ({"request": "x" * 257}, "request_id has 257 characters"),
        ({"type": "Repin "}, "'repin' is"),
        ({"amount": -1}, "value = -1.0 is not between 0"),
        ({"amount": 1e13}, "value = 10000000000000.0 is not between 0"),
        ({"at": 1_700_000_000}, "looks like seconds"),
        ({"at": 1_700_000_000_000_000}, "looks like microseconds"),
    ],
)
def test_what_the_rule_for_values_refuses_is_a_dead_letter(changes: dict[str, Any], words: str) -> None:
    fields = {**SECTION["fields"], "value": "amount"}
    spec = BridgeSpec.model_validate({**SECTION, "fields": fields, "kinds": {}})
    outcome = EngagementMapper(spec, ALL, decode_json, ["repin"]).map(
        source_record(action(**{"type": "repin", **changes}))
    )
    assert outcome.fate is BridgeFate.DEAD_LETTER
    assert words in outcome.fault and " | fix: " in outcome.fault


def test_without_a_table_kinds_are_taken_over() -> None:
    assert mapped(action(type=3), kinds={}).engagement["kind"] == "3"


def test_defaults_fill_what_is_missing() -> None:
    defaults = {"kind": "repin", "item_id": "none", "value": 0.5}
    fields = {**SECTION["fields"], "value": "amount"}
    found = mapped(action(type=None, amount=None), defaults=defaults, fields=fields).engagement
    assert (found["kind"], found["item_id"], found["value"]) == ("repin", "none", 0.5)


@pytest.mark.parametrize(
    ("amount", "value"),
    [(2, 2.0), ("2.5", 2.5), (True, 1.0), (float("inf"), None), ("x", None), ([], None), (10**400, None)],
)
def test_values_are_finite_numbers(amount: Any, value: float | None) -> None:
    outcome = mapped(action(amount=amount), fields={**SECTION["fields"], "value": "amount"})
    assert (outcome.engagement or {}).get("value") == value
    assert outcome.fate is (BridgeFate.DEAD_LETTER if value is None else BridgeFate.BRIDGED)


@pytest.mark.parametrize(("unit", "number"), [("s", 1_700_000_000), ("ms", 1_700_000_000_000), ("us", 17 * 10**14)])
def test_numbers_are_times_in_the_declared_unit(unit: str, number: int) -> None:
    assert mapped(action(at=number), time_unit=unit).engagement["event_time"] == 1_700_000_000_000


def test_key_and_timestamp_of_the_record() -> None:
    fields = {**SECTION["fields"], "request_id": "$key", "event_time": "$timestamp"}
    found = mapper(ALL, fields=fields, time_unit="s").map(source_record(action(), key=b"r-7")).engagement
    assert found is not None
    assert (found["request_id"], found["event_time"]) == ("r-7", 1_700_000_000_500)
    for key, append_time in ((None, 0), (b"\xff", 0), (b"r", -1)):
        record = LogRecord(TOPIC, 0, 0, append_time, key, action())
        assert mapper(ALL, fields=fields).map(record).fate is BridgeFate.DEAD_LETTER


def test_a_registry_that_is_down_is_no_fate() -> None:
    def down(_: bytes) -> Any:
        raise ComponentUnreachable("no answer", fix="wait")

    with pytest.raises(ComponentUnreachable):
        EngagementMapper(SOURCE, ALL, down).map(source_record(b"x"))


def test_an_unreadable_value_is_a_fate() -> None:
    def broken(_: bytes) -> Any:
        raise MalformedRecord("torn", fix="write it whole")

    outcome = EngagementMapper(SOURCE, ALL, broken).map(source_record(b"x"))
    assert (outcome.fate, outcome.fault) == (BridgeFate.DEAD_LETTER, "torn | fix: write it whole")


@pytest.mark.parametrize(
    ("path", "found"),
    [("a", {"b": 1}), ("a.b", 1), ("c.d", 2), ("e.f.g", 3), ("a.b.c", None), ("x", None), ("x.y", None)],
)
def test_paths(path: str, found: Any) -> None:
    assert value_at({"a": {"b": 1}, "c.d": 2, "e": {"f.g": 3}}, path) == found
    assert value_at([1], path) is None
