"""Random logs: shuffled, duplicated, late, conflicting, incomplete, malformed, orphaned, outside and future events.

Now and then a part is written with an older schema.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from event_schemas.log_record import LogRecord
from tests.stream_processors.event_log import CODEC, WINDOW_MS, EventLog

Move = tuple[str, dict[str, Any]]

request_ids = st.sampled_from(["a", "b", "c", "d"])
any_ids = st.one_of(request_ids, st.just("x"))
"""No request ever comes for x."""
delays = st.one_of(st.integers(-10, 45), st.integers(-2 * WINDOW_MS, 60), st.sampled_from([-1, 0, 1]))
"""Event time minus the log's clock: mostly about now, sometimes late or future."""
waits = st.one_of(st.integers(1, WINDOW_MS), st.sampled_from([WINDOW_MS - 1, WINDOW_MS, WINDOW_MS + 1]))

seldom = st.sampled_from([False] * 7 + [True])

moves: st.SearchStrategy[Move] = st.one_of(
    st.tuples(st.just("decision"), st.fixed_dictionaries({"id": request_ids, "delay": delays})),
    st.tuples(
        st.just("request"),
        st.fixed_dictionaries({"id": request_ids, "delay": delays, "variant": st.integers(0, 1), "older": seldom}),
    ),
    st.tuples(
        st.sampled_from(["action", "propensity", "ranking"]),
        st.fixed_dictionaries({"id": any_ids, "delay": delays, "variant": st.integers(0, 1), "older": seldom}),
    ),
    st.tuples(
        st.just("engagement"),
        st.fixed_dictionaries(
            {
                "id": any_ids,
                "delay": delays,
                "engagement_id": st.sampled_from(["e1", "e2", "e3"]),
                "kind": st.sampled_from(["click", "save", "tap", "hide"]),
                "value": st.sampled_from([1.0, 0.1, 2.0, -1.0]),
            }
        ),
    ),
    st.tuples(st.just("again"), st.fixed_dictionaries({"back": st.integers(1, 12)})),
    st.tuples(st.just("wait"), st.fixed_dictionaries({"ms": waits})),
    st.tuples(st.just("heartbeat"), st.fixed_dictionaries({"delay": delays})),
    st.tuples(st.just("corrupt"), st.fixed_dictionaries({"back": st.integers(1, 6), "at": st.integers(0, 200)})),
    st.tuples(st.just("wrong_key"), st.fixed_dictionaries({"back": st.integers(1, 6)})),
    st.tuples(st.just("bad_propensity"), st.fixed_dictionaries({"id": request_ids})),
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
                for write in (self.log.request, self.log.action, self.log.propensity):
                    write(given["id"], time, append_time=self.clock)
            case "heartbeat":
                self.log.heartbeat(time, self.clock)
            case "bad_propensity":
                self.log.propensity(given["id"], time, propensity=1.5, append_time=self.clock)
            case "again" | "corrupt" | "wrong_key":
                self._repeat(name, given)
            case "engagement":
                fields = {key: given[key] for key in ("engagement_id", "kind", "value")}
                self.log.engagement(given["id"], time, append_time=self.clock, **fields)
            case _:
                self._part(name, given, time)

    def _part(self, name: str, given: dict[str, Any], time: int) -> None:
        variant = given["variant"]
        fields: dict[str, dict[str, Any]] = {
            "request": {"user_id": f"u{variant}"},
            "action": {"arm": variant},
            "propensity": {"propensity": 0.25 + variant / 4},
            "ranking": {"served": [f"i{variant}"]},
        }
        write = getattr(self.log, name)
        write(given["id"], time, append_time=self.clock, older=given["older"], **fields[name])

    def _repeat(self, name: str, given: dict[str, Any]) -> None:
        if len(self.log.records) < given["back"]:
            return
        record = self.log.records[-given["back"]]
        value = record.value or b""
        if name == "corrupt":
            at = given["at"] % (len(value) + 1)
            value = value[:at] + bytes([(value[at] + 2) % 256]) + value[at + 1 :] if at < len(value) else value[:-1]
        self.log.append(b"elsewhere" if name == "wrong_key" else record.key, value, self.clock)


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
