"""Whether an Action and a Propensity, each of them valid, can belong to one decision, told from their datums."""

from __future__ import annotations

from event_schemas import records as r
from event_schemas.codec import Codec
from stream_processors.rule.event_limits import contradiction
from stream_processors.rule.input_event import InputEvent
from stream_processors.rule.join_rule import JoinRule

OTHER = {r.ACTION: r.PROPENSITY, r.PROPENSITY: r.ACTION}
"""The record that an Action or a Propensity may contradict."""


class Contradictions:
    """Decodes two events of one decision and compares them."""

    def __init__(self, codec: Codec, rule: JoinRule) -> None:
        self._codec = codec
        self._rule = rule

    def between(self, event: InputEvent, held: InputEvent) -> str | None:
        """Why an Action and a Propensity contradict each other; None when they do not. Give them in any order."""
        decoded = {each.name: self._decoded(each) for each in (event, held)}
        return contradiction(decoded[r.ACTION], decoded[r.PROPENSITY], self._rule)

    def _decoded(self, event: InputEvent) -> r.Record:
        return self._codec.decode_datum(self._codec.schema_id(event.name), event.datum)
