"""An Action and a Propensity of one decision, compared by their datums."""

from __future__ import annotations

import pytest

from event_schemas.log_record import LogRecord
from stream_processors.columns.chunk_validation import ChunkValidator
from stream_processors.rule.contradictions import Contradictions
from stream_processors.rule.input_event import InputEvent
from tests.stream_processors.event_log import CODEC, WRITERS, EventLog, small_rule

VALIDATOR = ChunkValidator(CODEC, small_rule())
PROBABILITIES = [0.5, 0.25, 0.25, 0.0, 0.0]


def valid(record: LogRecord) -> InputEvent:
    event = VALIDATOR.validate_one(record)
    assert isinstance(event, InputEvent)
    return event


@pytest.mark.parametrize("version", WRITERS)
@pytest.mark.parametrize("propensity", [0.25, 0.5])
def test_the_order_and_the_schema_make_no_difference(version: str, propensity: float) -> None:
    log = EventLog()
    action = valid(log.action("a", 1, arm=2, version=version))
    other = valid(log.propensity("a", 1, propensity=propensity, probabilities=PROBABILITIES, version=version))
    found = {Contradictions(CODEC, small_rule()).between(*pair) for pair in ((action, other), (other, action))}
    fault = "propensity = 0.5, but its decision's arm = 2 has probabilities[2] = 0.25"
    assert found == {fault if propensity == 0.5 else None}
