"""What a caller gives becomes a sound Engagement, or an error that names the field."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.registry import Registry
from producers.loggers.engagement_record import EngagementRule, InvalidEngagement, engagement_id_of, sound_engagement

CODEC = Codec(Registry.bundled())
GIVEN: dict[str, Any] = {
    "engagement_id": "e1",
    "request_id": "r1",
    "event_time": 77,
    "kind": "click",
    "item_id": None,
    "value": 1.0,
}
NOW = 1_795_000_000_000
RULE = EngagementRule(("click", "save"), 1_000)


def sound(has_id: bool = True, **changes: Any) -> r.EngagementRecord:
    return sound_engagement({**GIVEN, **changes}, RULE, has_id)  # type: ignore[typeddict-item]


def test_other_content_is_another_engagement() -> None:
    contents: list[tuple[str, str, int, str | None, float]] = [
        ("r1", "click", 77, "i9", 1.0),
        ("r2", "click", 77, "i9", 1.0),
        ("r1", "save", 77, "i9", 1.0),
        ("r1", "click", 78, "i9", 1.0),
        ("r1", "click", 77, None, 1.0),
        ("r1", "click", 77, "", 1.0),
        ("r1", "click", 77, "i9", 2.0),
    ]
    assert len({engagement_id_of(*content) for content in contents}) == len(contents)


def test_numbers_of_other_libraries_become_plain_ones() -> None:
    record = sound(event_time=np.int64(77), value=np.float32(0.5))
    assert record == {**GIVEN, "value": 0.5}
    assert CODEC.decode(CODEC.encode(r.ENGAGEMENT, record)).record == record


def test_without_an_id_the_content_makes_one() -> None:
    assert sound(has_id=False)["engagement_id"] == engagement_id_of("r1", "click", 77, None, 1.0)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("request_id", None, "request_id is a NoneType"),
        ("request_id", "\ud800", "request_id is not UTF-8 text"),
        ("request_id", "", "request_id is empty"),
        ("request_id", "a\n", "control characters"),
        ("kind", 5, "kind is a int"),
        ("kind", " ", "kind = ' ' is blank"),
        ("kind", "Save ", "kind = 'Save ' is not declared, but 'save' is"),
        ("item_id", 7, "item_id is a int"),
        ("engagement_id", "", "engagement_id is empty"),
        ("engagement_id", "x" * 513, "engagement_id has 513 characters"),
        ("event_time", 1.5, "event_time = 1.5 is not a whole number"),
        ("event_time", 2**63, "event_time does not fit into 64 bits"),
        ("value", "much", "value = 'much' is not a number"),
        ("value", float("nan"), "value = nan is not between"),
        ("value", 1e13, "value = 10000000000000.0 is not between"),
    ],
)
def test_an_unusable_field_is_named(field: str, value: Any, words: str) -> None:
    with pytest.raises(InvalidEngagement, match=words):
        sound(**{field: value})


def test_a_blank_item_is_absent() -> None:
    assert sound(item_id=" ")["item_id"] is None


@pytest.mark.parametrize(("ahead", "refused"), [(300, False), (301, True), (10**15, True)])
def test_what_the_join_would_call_future_is_refused(ahead: int, refused: bool) -> None:
    rule = EngagementRule((), NOW, max_ahead_ms=300)
    given: Any = {**GIVEN, "event_time": NOW + ahead}
    if refused:
        with pytest.raises(InvalidEngagement, match=r"ahead of this host's clock|looks like"):
            sound_engagement(given, rule, has_id=True)
    else:
        assert sound_engagement(given, rule, has_id=True)["event_time"] == NOW + ahead
