"""Generates the events that every peer reads, homefeed traffic in order of arrival, and the expected examples.

An event arrives at most the allowed lateness after it happened. The log is out of order by up to that time, but nothing
in it is late, so the expected examples follow from the random draws alone. One engagement in a hundred is sent twice,
and some happen after their attribution window. A request has 64 floats and 20 history items, about 715 bytes.
"""

from __future__ import annotations

import heapq
import io
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from fastavro import parse_schema, schemaless_writer

from benchmarks.example_tally import ExampleFacts, ExampleTally
from event_schemas import records as r
from event_schemas.codec import Codec, frame
from event_schemas.experiment import Experiment
from event_schemas.experiment_sections import ObjectiveSpec

USERS = 1_000
EMBEDDING, HISTORY = 64, 20
KINDS, KIND_WEIGHTS = ("click", "repin", "long_click", "closeup", "hide"), (25, 25, 15, 30, 5)
MOST_ENGAGEMENTS, ENGAGED, SENT_TWICE = 5, 0.3, 0.01
MEAN_DELAY, LONGEST_DELAY = 0.3, 1.5
"""Delay between request and engagement, in attribution windows."""
STAMP = parse_schema(
    {
        "type": "record",
        "name": "Stamp",
        "fields": [{"name": "request_id", "type": "string"}, {"name": "event_time", "type": "long"}],
    }
)
"""The first fields of every event except Heartbeat and Engagement."""
EMPTY_STAMP = 2


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """Number of requests and their density in event time; `requests_per_s` × window decisions are open at a time."""

    requests: int
    requests_per_s: float = 8.0
    seed: int = 7
    start_ms: int = 1_700_000_000_000


class StreamedEvent(NamedTuple):
    """One event to send; ordered by arrival."""

    arrival_ms: int
    number: int
    event_ms: int
    key: bytes
    value: bytes


class EventStream:
    """`settings.requests` requests with their events; the same settings give the same bytes.

    `reference`, `part_bytes` (total size of requests, actions and propensities) and `latest_ms` (the newest event time)
    are complete once `events` is exhausted.
    """

    def __init__(self, experiment: Experiment, codec: Codec, settings: StreamSettings) -> None:
        self.settings = settings
        self.experiment = experiment
        self.codec = codec
        self.reference = ExampleTally()
        self.part_bytes = 0
        self.latest_ms = settings.start_ms
        self._draw = random.Random(settings.seed)
        self._attribution = experiment.longest_attribution_ms
        self._shuffle_ms = max(1, experiment.join.allowed_lateness)
        self._users = [self._user_tail(number) for number in range(USERS)]
        self._arms = [self._arm_tail(arm) for arm in range(experiment.action_space.arms)]
        self._waiting: list[StreamedEvent] = []
        self._sent = 0

    def events(self) -> Iterator[StreamedEvent]:
        """The events in order of arrival. Iterate over them only once."""
        time, gap_ms = float(self.settings.start_ms), 1000.0 / self.settings.requests_per_s
        for _ in range(self.settings.requests):
            time += self._draw.expovariate(1.0) * gap_ms
            while self._waiting and self._waiting[0].arrival_ms < int(time):
                yield heapq.heappop(self._waiting)
            self._decide(int(time))
        while self._waiting:
            yield heapq.heappop(self._waiting)

    def heartbeat(self) -> bytes:
        """The value of a heartbeat that closes all windows of the exhausted stream."""
        return self.codec.encode(r.HEARTBEAT, {"event_time": self.latest_ms + 2 * self.experiment.window_ms})

    def _decide(self, time: int) -> None:
        """Send one request with its action, its propensity and its engagements."""
        draw, request_id = self._draw, f"{self._draw.getrandbits(64):016x}"
        arm, propensity = draw.randrange(len(self._arms)), 1.0 - draw.random()
        self._stamped(r.REQUEST, request_id, time, draw.choice(self._users))
        self._stamped(r.ACTION, request_id, time + 1 + draw.randrange(20), self._arms[arm])
        self._whole(
            r.PROPENSITY,
            {
                "request_id": request_id,
                "event_time": time + 20 + draw.randrange(20),
                "propensity": propensity,
                "slice_probability": 0.0125,
                "sampling_rate": 1.0,
                "probabilities": [],
            },
        )
        engagements = [self._engage(request_id, time) for _ in range(MOST_ENGAGEMENTS) if draw.random() < ENGAGED]
        outcomes = tuple(_outcome(objective, engagements) for objective in self.experiment.objectives)
        self.reference.add(ExampleFacts(request_id, arm, propensity, EMBEDDING, HISTORY, outcomes))

    def _engage(self, request_id: str, start: int) -> tuple[str, int]:
        """Send one engagement, sometimes twice; returns its kind and delay."""
        draw = self._draw
        delay = min(
            50 + int(draw.expovariate(1.0) * MEAN_DELAY * self._attribution), int(LONGEST_DELAY * self._attribution)
        )
        kind = draw.choices(KINDS, KIND_WEIGHTS)[0]
        record = {
            "engagement_id": f"{draw.getrandbits(64):016x}",
            "request_id": request_id,
            "event_time": start + delay,
            "kind": kind,
            "item_id": f"{draw.getrandbits(34):x}",
            "value": 1.0,
        }
        for _ in range(2 if draw.random() < SENT_TWICE else 1):
            self._whole(r.ENGAGEMENT, record)
        return kind, delay

    def _stamped(self, name: str, request_id: str, time: int, tail: bytes) -> None:
        sink = io.BytesIO()
        schemaless_writer(sink, STAMP, {"request_id": request_id, "event_time": time})
        self._send(name, request_id, time, frame(self.codec.schema_id(name), sink.getvalue() + tail))

    def _whole(self, name: str, record: dict[str, Any]) -> None:
        self._send(name, record["request_id"], record["event_time"], self.codec.encode(name, record))

    def _send(self, name: str, request_id: str, time: int, value: bytes) -> None:
        self._sent += 1
        self.part_bytes += 0 if name == r.ENGAGEMENT else len(value)
        self.latest_ms = max(self.latest_ms, time)
        arrival = time + self._draw.randrange(self._shuffle_ms)
        heapq.heappush(self._waiting, StreamedEvent(arrival, self._sent, time, request_id.encode(), value))

    def _user_tail(self, number: int) -> bytes:
        """A user's Request without the stamp; encoded once, because that costs more than everything else together."""
        draw, start = self._draw, self.settings.start_ms
        history = [
            {
                "item_id": f"{draw.getrandbits(20):05x}",
                "action_type": draw.choice(KINDS),
                "event_time": start - draw.randrange(86_400_000),
                "embedding": [],
            }
            for _ in range(HISTORY)
        ]
        request = {
            "request_id": "",
            "event_time": 0,
            "user_id": f"u{number:09d}",
            "session_id": None,
            "cohort": None,
            "user_embedding": [draw.gauss(0.0, 1.0) for _ in range(EMBEDDING)],
            "context": [{"name": "surface", "value": draw.choice(("home", "search", "related"))}],
            "history": history,
        }
        return self.codec.encode_datum(r.REQUEST, request)[EMPTY_STAMP:]

    def _arm_tail(self, arm: int) -> bytes:
        """An Action without the stamp."""
        space = self.experiment.action_space
        action = {
            "request_id": "",
            "event_time": 0,
            "slice": "EXPLORE",
            "arm": arm,
            "shadow_arm": None,
            "eligible": [],
            "weights": space.weights[arm].tolist(),
            "action_space": space.digest,
            "policy_version": "",
            "config_revision": 0,
            "experiment_arm": None,
            "fallback_reason": None,
        }
        return self.codec.encode_datum(r.ACTION, action)[EMPTY_STAMP:]


def _outcome(objective: ObjectiveSpec, engagements: list[tuple[str, int]]) -> tuple[float, float]:
    """Count and reward of an objective; `engagements` does not contain second copies."""
    counted = sum(1.0 for kind, delay in engagements if kind in objective.kinds and delay <= objective.attribution)
    return float(counted), min(float(counted), objective.clip)
