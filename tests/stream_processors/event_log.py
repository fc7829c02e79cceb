"""A partition of the events log, written by hand: the source every join test reads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.decision_key import DecisionKey
from event_schemas.experiment import Experiment, parse_experiment
from event_schemas.log_record import LogRecord
from event_schemas.registry import Registry, SchemaEntry, schema_entry
from stream_processors.rule.join_rule import JoinRule

TOPIC = "trimtab.events"
CLICK_MS, SAVE_MS, LATENESS_MS, SKEW_MS = 40, 100, 20, 30
WINDOW_MS = SAVE_MS + LATENESS_MS
BUNDLED = Registry.bundled()


def _reordered(schema_id: int, name: str) -> SchemaEntry:
    """An older version of a record that cannot be lifted: the newest one's fields in another order."""
    newest = BUNDLED.newest(name)
    first, *others = newest.schema["fields"]
    return schema_entry(schema_id, newest.subject, 0, {**newest.schema, "fields": [*others, first]})


REORDERED = [_reordered(900 + place, name) for place, name in enumerate((r.REQUEST, r.ACTION, r.PROPENSITY, r.RANKING))]
CODEC = Codec(Registry([*BUNDLED.entries(), *REORDERED]))
WRITERS = {
    "newest": CODEC,
    "first": Codec(Registry(entry for entry in BUNDLED.entries() if entry.version == 1)),
    "reordered": Codec(Registry(REORDERED)),
}
"""By the version of an event's schema, the codec that writes it. The first one leaves out the fields that it lacks."""


def small_experiment(max_pending: int = 1000) -> Experiment:
    """Two objectives with windows of 40 and 100 ms, 20 ms of lateness, 30 ms of skew; 5 arms."""
    return parse_experiment(
        {
            "experiment": {"name": "small", "salt": "s"},
            "weights": [{"name": "click", "production": 3.0, "low": 1.0, "high": 4.0, "steps": 4}],
            "objectives": [
                {"name": "click", "kinds": ["click", "tap"], "clip": 1.0, "attribution": f"{CLICK_MS}ms"},
                {"name": "save", "kinds": ["save", "tap"], "clip": 2.5, "attribution": f"{SAVE_MS}ms"},
            ],
            "preference": {"alpha_objective": "click"},
            "join": {
                "allowed_lateness": f"{LATENESS_MS}ms",
                "max_future_skew": f"{SKEW_MS}ms",
                "max_pending_per_partition": max_pending,
            },
        },
        Path("trimtab.toml"),
    )


def small_rule(max_pending: int = 1000) -> JoinRule:
    """The rule of `small_experiment`."""
    return JoinRule.from_experiment(small_experiment(max_pending))


def box_rule() -> JoinRule:
    """The rule of `small_experiment` with a box instead of its grid: any weight from 1 to 4, production 3."""
    document = small_experiment().model_dump()
    document["weights"] = [{"name": "click", "production": 3.0, "low": 1.0, "high": 4.0}]
    return JoinRule.from_experiment(Experiment.model_validate(document))


ACTION_SPACE = small_rule().action_space
BOX_SPACE = box_rule().action_space
WEIGHTS = {arm: small_rule().arm_weights.of(arm) for arm in range(small_rule().arms)}
"""The weights of every arm."""


def examples_by_decision(values: Iterable[bytes]) -> dict[DecisionKey, bytes]:
    """Framed Examples by decision; copies of one must be the same bytes."""
    found: dict[DecisionKey, bytes] = {}
    for value in values:
        decision = DecisionKey.of_example(CODEC.decode(value).record)
        assert found.setdefault(decision, value) == value, f"two examples of {decision}"
    return found


class EventLog:
    """Appends records to one partition; `append_time` follows the event time unless given."""

    def __init__(self, partition: int = 0, first_offset: int = 0) -> None:
        self.records: list[LogRecord] = []
        self._partition = partition
        self._next = first_offset

    def request(self, request_id: str, event_time: int, **fields: Any) -> LogRecord:
        record = {
            "user_id": "u1",
            "session_id": None,
            "cohort": None,
            "user_embedding": [0.5, -1.0],
            "context": [{"name": "surface", "value": "home"}],
            "history": [],
            "previous": [],
        }
        return self._event(r.REQUEST, request_id, event_time, record | fields)

    def action(self, request_id: str, event_time: int, **fields: Any) -> LogRecord:
        record = {
            "slice": "EXPLORE",
            "arm": 2,
            "shadow_arm": None,
            "eligible": [],
            "weights": WEIGHTS.get(fields.get("arm", 2), [3.0]),
            "action_space": ACTION_SPACE,
            "policy_version": "",
            "config_revision": 1,
            "experiment_arm": None,
            "fallback_reason": None,
            "shadow_weights": [],
        }
        return self._event(r.ACTION, request_id, event_time, record | fields)

    def propensity(self, request_id: str, event_time: int, **fields: Any) -> LogRecord:
        record = {"propensity": 0.2, "slice_probability": 0.0125, "sampling_rate": 1.0, "probabilities": []}
        record |= {"log_density": None, "exploration": None}
        return self._event(r.PROPENSITY, request_id, event_time, record | fields)

    def ranking(self, request_id: str, event_time: int, **fields: Any) -> LogRecord:
        head = {"head": "click", "count": 3, "mean": 0.5, "p10": 0.25, "p50": 0.5, "p90": 0.75}
        record = {"ranker_version": "r1", "heads": [head], "served": ["i1"]}
        return self._event(r.RANKING, request_id, event_time, record | fields)

    def engagement(self, request_id: str, event_time: int, **fields: Any) -> LogRecord:
        record = {"engagement_id": f"e{self._next}", "kind": "click", "item_id": None, "value": 1.0}
        return self._event(r.ENGAGEMENT, request_id, event_time, record | fields)

    def heartbeat(self, event_time: int, append_time: int | None = None) -> LogRecord:
        return self.append(None, CODEC.encode(r.HEARTBEAT, {"event_time": event_time}), append_time or event_time)

    def decision(self, request_id: str, event_time: int) -> None:
        """Request, Action and Propensity, all at once."""
        self.request(request_id, event_time)
        self.action(request_id, event_time)
        self.propensity(request_id, event_time)

    def append(self, key: bytes | None, value: bytes | None, append_time: int) -> LogRecord:
        """Any bytes at all."""
        record = LogRecord(TOPIC, self._partition, self._next, append_time, key, value)
        self._next += 1
        self.records.append(record)
        return record

    def _event(self, name: str, request_id: str, event_time: int, fields: dict[str, Any]) -> LogRecord:
        append_time = fields.pop("append_time", event_time)
        codec = WRITERS[fields.pop("version", "newest")]
        content = {"request_id": request_id, "event_time": event_time} | fields
        return self.append(request_id.encode(), codec.encode(name, content), append_time)
