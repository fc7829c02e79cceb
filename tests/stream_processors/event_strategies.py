"""Random logs: shuffled, duplicated, late, conflicting, incomplete, malformed, orphaned, outside and future events.

Some parts are written with an older schema, and some are sent again in another one.
"""

from __future__ import annotations

from math import inf, nan
from typing import Any

from hypothesis import strategies as st

from event_schemas.errors import SchemaError
from event_schemas.log_record import LogRecord
from tests.stream_processors.event_log import CODEC, REORDERED, WINDOW_MS, WRITERS, EventLog

Move = tuple[str, dict[str, Any]]

request_ids = st.sampled_from(["a", "b", "c", "d"])
any_ids = st.one_of(request_ids, st.just("x"))
"""No request ever comes for x."""
delays = st.one_of(st.integers(-10, 45), st.integers(-2 * WINDOW_MS, 60), st.sampled_from([-1, 0, 1]))
"""Event time minus the log's clock: mostly about now, sometimes late or future."""
waits = st.one_of(st.integers(1, WINDOW_MS), st.sampled_from([WINDOW_MS - 1, WINDOW_MS, WINDOW_MS + 1]))

WHOLE = ("request", "action", "propensity")
PARTS_SENT = (WHOLE, WHOLE, WHOLE, WHOLE[1:], WHOLE[:2], (WHOLE[0], WHOLE[2]))
"""Of each decision in one move: mostly all, sometimes without one."""

SPREADS = (
    {"propensity": 0.5, "probabilities": [0.5, 0.25, 0.25, 0.0, 0.0]},
    {"propensity": 0.25, "probabilities": [0.5, 0.25, 0.25, 0.0, 0.0]},
    {"propensity": 0.2, "probabilities": [0.2] * 5},
    {"propensity": 0.3, "probabilities": [0.2] * 5},
    {"propensity": 0.2, "probabilities": [0.2] * 4},
    {"log_density": -0.5, "exploration": "d"},
    {"log_density": inf},
    {"exploration": "d" * 257},
)
"""Propensities with probabilities: some fit every arm, some only one, some contradict themselves. Others have fields of
the newest version, with and without a fault."""

CHOICES: tuple[dict[str, Any], ...] = (
    {"arm": 1, "weights": [1.0]},
    {"arm": 1, "eligible": [0, 2]},
    {"arm": 1, "eligible": [1, 2]},
    {"arm": 0, "eligible": [0, 1]},
    {"arm": 4, "slice": "CONTROL", "eligible": [0]},
    {"arm": 1, "shadow_weights": [1.0, 2.0]},
    {"arm": 1, "shadow_weights": [nan]},
)
"""Actions with eligible arms or other weights: some contradict themselves, some contradict a Propensity."""

SERVED: tuple[list[dict[str, Any]], ...] = (
    [],
    [],
    [{"event_time": 1, "weights": [0.5]}, {"event_time": 0, "weights": []}],
    [{"event_time": 1, "weights": []}, {"event_time": 0, "weights": [nan]}],
)
"""What Requests say was served before."""

versions = st.sampled_from(["newest"] * 5 + ["first"] * 2 + ["reordered"])

moves: st.SearchStrategy[Move] = st.one_of(
    st.tuples(
        st.just("decision"),
        st.fixed_dictionaries(
            {
                "id": request_ids,
                "delay": delays,
                "parts": st.sampled_from(PARTS_SENT),
                "version": st.sampled_from(["newest", "newest", "first"]),
            }
        ),
    ),
    st.tuples(
        st.just("request"),
        st.fixed_dictionaries(
            {
                "id": request_ids,
                "delay": delays,
                "variant": st.integers(0, 1),
                "version": versions,
                "previous": st.sampled_from(SERVED),
            }
        ),
    ),
    st.tuples(
        st.sampled_from(["action", "propensity", "ranking"]),
        st.fixed_dictionaries({"id": any_ids, "delay": delays, "variant": st.integers(0, 1), "version": versions}),
    ),
    st.tuples(
        st.just("propensity"),
        st.fixed_dictionaries(
            {
                "id": any_ids,
                "delay": delays,
                "variant": st.integers(0, 1),
                "version": versions,
                "spread": st.sampled_from(SPREADS),
            }
        ),
    ),
    st.tuples(
        st.just("engagement"),
        st.fixed_dictionaries(
            {
                "id": any_ids,
                "delay": delays,
                "engagement_id": st.sampled_from(["e1", "e2", "e3"]),
                "kind": st.sampled_from(["click", "save", "tap", "hide"]),
                "value": st.sampled_from([1.0, 0.1, 2.0, 0.0, -1.0]),
            }
        ),
    ),
    st.tuples(st.just("again"), st.fixed_dictionaries({"back": st.integers(1, 12)})),
    st.tuples(st.just("rewritten"), st.fixed_dictionaries({"back": st.integers(1, 12), "version": versions})),
    st.tuples(st.just("wait"), st.fixed_dictionaries({"ms": waits})),
    st.tuples(st.just("heartbeat"), st.fixed_dictionaries({"delay": delays})),
    st.tuples(st.just("corrupt"), st.fixed_dictionaries({"back": st.integers(1, 6), "at": st.integers(0, 200)})),
    st.tuples(st.just("wrong_key"), st.fixed_dictionaries({"back": st.integers(1, 6)})),
    st.tuples(st.just("bad_propensity"), st.fixed_dictionaries({"id": request_ids})),
    st.tuples(st.just("choice"), st.fixed_dictionaries({"id": request_ids, "fields": st.sampled_from(CHOICES)})),
)
histories = st.lists(moves, min_size=1, max_size=60)


class LogWriter:
    """Turns moves into records; its clock stands still until a move says wait."""

    def __init__(self, partition: int = 0) -> None:
        self.log = EventLog(partition)
        self.clock = 1000

    def write(self, move: Move) -> None:
        name, given = move
        time = self.clock + given.get("delay", 0)
        match name:
            case "wait":
                self.clock += given["ms"]
            case "decision":
                for part in given.get("parts", WHOLE):
                    version = given.get("version", "newest")
                    getattr(self.log, part)(given["id"], time, append_time=self.clock, version=version)
            case "heartbeat":
                self.log.heartbeat(time, self.clock)
            case "bad_propensity":
                self.log.propensity(given["id"], time, propensity=1.5, append_time=self.clock)
            case "choice":
                self.log.action(given["id"], time, append_time=self.clock, **given["fields"])
            case "again" | "corrupt" | "wrong_key" | "rewritten":
                self._repeat(name, given)
            case "engagement":
                fields = {key: given[key] for key in ("engagement_id", "kind", "value")}
                self.log.engagement(given["id"], time, append_time=self.clock, **fields)
            case _:
                self._part(name, given, time)

    def _part(self, name: str, given: dict[str, Any], time: int) -> None:
        variant = given["variant"]
        fields: dict[str, dict[str, Any]] = {
            "request": {"user_id": f"u{variant}", "previous": given.get("previous", [])},
            "action": {"arm": variant},
            "propensity": {"propensity": 0.25 + variant / 4} | given.get("spread", {}),
            "ranking": {"served": [f"i{variant}"]},
        }
        write = getattr(self.log, name)
        write(given["id"], time, append_time=self.clock, version=given["version"], **fields[name])

    def _repeat(self, name: str, given: dict[str, Any]) -> None:
        if len(self.log.records) < given["back"]:
            return
        record = self.log.records[-given["back"]]
        value = record.value or b""
        if name == "corrupt":
            at = given["at"] % (len(value) + 1)
            value = value[:at] + bytes([(value[at] + 2) % 256]) + value[at + 1 :] if at < len(value) else value[:-1]
        elif name == "rewritten":
            value = in_version(given["version"], value)
        self.log.append(b"elsewhere" if name == "wrong_key" else record.key, value, self.clock)


def in_version(version: str, value: bytes) -> bytes:
    """The content of a part, written in another version; the value itself if it is no part."""
    try:
        decoded = CODEC.decode(value)
    except SchemaError:
        return value
    if decoded.name not in {entry.name for entry in REORDERED}:
        return value
    return WRITERS[version].encode(decoded.name, decoded.record)


def written(history: list[Move]) -> list[LogRecord]:
    """The log a list of moves writes."""
    writer = LogWriter()
    for move in history:
        writer.write(move)
    return writer.log.records


def described(record: LogRecord) -> str:
    """A record in words, for a failing example."""
    try:
        decoded = CODEC.decode(record.value)
    except Exception as fault:
        return f"{record.offset} key={record.key!r} {fault}"
    content = {
        k: v for k, v in decoded.record.items() if k in ("event_time", "engagement_id", "kind", "user_id", "arm")
    }
    return f"{record.offset}@{record.append_time} {record.key!r} {decoded.name} {content}"
