"""The claims that are read in columns are those of the records one by one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_schemas import records as r
from event_schemas.slices import Slice
from stream_processors.columns.chunk_validation import ChunkValidator
from stream_processors.columns.event_columns import EventColumns
from stream_processors.columns.record_columns import RecordColumns
from stream_processors.rule.input_event import InputEvent
from tests.stream_processors.event_log import CODEC, WRITERS, EventLog, box_rule, small_rule

RULES = {"grid": small_rule(), "box": box_rule()}
ROWS: dict[str, dict[str, list[dict[str, Any]]]] = {
    "grid": {
        r.ACTION: [{"arm": arm, "slice": each.value} for arm in range(3) for each in Slice],
        r.PROPENSITY: [{}, {"probabilities": [0.2] * 5, "propensity": 0.2}],
    },
    "box": {
        r.ACTION: [{"arm": arm, "weights": [1.5 + 1.5 * arm], "slice": each.value} for arm in (0, 1) for each in Slice],
        r.PROPENSITY: [
            {"log_density": density, "probabilities": listed, "propensity": 0.75}
            for density in (None, -0.5)
            for listed in ([], [0.75, 0.25])
        ],
    },
}


@pytest.mark.parametrize("name", [r.ACTION, r.PROPENSITY])
@pytest.mark.parametrize("kind", RULES)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_in_columns_as_one_by_one(kind: str, name: str, data: st.DataObject) -> None:
    rule = RULES[kind]
    rows = data.draw(st.lists(st.sampled_from(ROWS[kind][name]), min_size=1, max_size=9))
    log, space = EventLog(), {"action_space": rule.action_space} if name == r.ACTION else {}
    written = [getattr(log, name.lower())("a", 1, **{**space, **fields}) for fields in rows]
    verdicts = [ChunkValidator(CODEC, rule).validate_one(record) for record in written]
    assert all(isinstance(verdict, InputEvent) for verdict in verdicts)
    columns = EventColumns(CODEC.registry.newest(name), rule)
    found = columns.read([record.value or b"" for record in written], [record.key for record in written])
    assert found.doubtful == []
    assert found.claims is not None
    assert found.claims.tolist() == [each.claims for each in verdicts if isinstance(each, InputEvent)]


@pytest.mark.parametrize("version", WRITERS)
def test_a_version_without_densities_has_none(version: str) -> None:
    rule, log = box_rule(), EventLog()
    records = [log.propensity(f"r{number}", 1, propensity=0.75, version=version) for number in range(40)]
    alone = ChunkValidator(CODEC, rule).validate_one(records[0])
    assert isinstance(alone, InputEvent)
    together = ChunkValidator(CODEC, rule).validate(RecordColumns.of(records))
    assert set(together.claims.tolist()) == {alone.claims}
