"""A small homefeed: decisions with their engagements, some of them broken, as events in the order they are sent."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.experiment import Experiment

START = 1_700_000_000_000
MINUTE = 60_000
SPACING_MS = 500


@dataclass(frozen=True, slots=True)
class SentEvent:
    """One event to send; `key` or `value` is None only for broken ones."""

    time: int
    key: bytes | None
    value: bytes | None


def repin(request_id: str, codec: Codec) -> SentEvent:
    """A repin a minute after the start, in the version that `codec` writes."""
    engagement = {
        "engagement_id": f"{request_id}-e",
        "request_id": request_id,
        "event_time": START + MINUTE,
        "kind": "repin",
        "item_id": None,
        "value": 1.0,
    }
    return SentEvent(START + MINUTE, request_id.encode(), codec.encode(r.ENGAGEMENT, engagement))


class HomefeedLog:
    """`decisions` decisions, `spacing_ms` apart from START on; the same seed gives the same events.

    Of 20 decisions about one misses its propensity, one has its action twice with other bytes and one is sent twice
    altogether; of their engagements some are doubled, some too late to count, some belong to no decision. One value in
    a hundred is garbage.
    """

    def __init__(
        self, experiment: Experiment, codec: Codec, decisions: int, seed: int = 7, spacing_ms: int = SPACING_MS
    ) -> None:
        self._experiment = experiment
        self._codec = codec
        self._decisions = decisions
        self._seed = seed
        self._spacing_ms = spacing_ms

    @property
    def end(self) -> int:
        """An event time at which every window has closed."""
        return START + self._decisions * self._spacing_ms + 40 * MINUTE + self._experiment.window_ms

    def events(self) -> Iterator[SentEvent]:
        """The events in order of time, as producers send them, generated lazily."""
        draw, serial = random.Random(self._seed), itertools.count()
        ahead: list[tuple[int, int, SentEvent]] = []
        for number in range(self._decisions):
            start = START + number * self._spacing_ms
            while ahead and ahead[0][0] < start:
                yield heapq.heappop(ahead)[2]
            for event in self._decision(number, draw):
                heapq.heappush(ahead, (event.time, next(serial), event))
        while ahead:
            yield heapq.heappop(ahead)[2]

    def heartbeat(self) -> bytes:
        """The value that closes every window."""
        return self._codec.encode(r.HEARTBEAT, {"event_time": self.end})

    def bare_decision(self, request_id: str, time: int) -> list[SentEvent]:
        """Request, action and propensity of one decision, and nothing else."""
        draw = random.Random(request_id)
        return [
            self._event(r.REQUEST, self._request(request_id, time, draw)),
            self._event(r.ACTION, self._action(request_id, time, draw)),
            self._event(r.PROPENSITY, self._propensity(request_id, time)),
        ]

    def _decision(self, number: int, draw: random.Random) -> Iterator[SentEvent]:
        request_id, time = f"r{self._seed}-{number}", START + number * self._spacing_ms
        fault = draw.randrange(20)
        yield self._event(r.REQUEST, self._request(request_id, time, draw))
        yield self._event(r.ACTION, self._action(request_id, time + 5, draw))
        if fault == 1:
            yield self._event(r.ACTION, self._action(request_id, time + 6, draw))
        if fault != 2:
            yield self._event(r.PROPENSITY, self._propensity(request_id, time + 5))
        if fault == 3:
            yield self._event(r.REQUEST, self._request(request_id, time + 7, draw))
        for engagement in self._engagements(request_id, time, draw):
            yield engagement
            if draw.random() < 0.1:
                yield engagement
        if draw.random() < 0.02:
            yield SentEvent(time, request_id.encode(), draw.randbytes(30))

    def _engagements(self, request_id: str, time: int, draw: random.Random) -> Iterator[SentEvent]:
        for number in range(draw.choice((0, 0, 1, 2))):
            owner = request_id if draw.random() > 0.03 else f"nobody-{request_id}"
            yield self._event(
                r.ENGAGEMENT,
                {
                    "engagement_id": f"{request_id}-e{number}",
                    "request_id": owner,
                    "event_time": time + draw.randrange(34 * MINUTE),
                    "kind": draw.choice(("repin", "click", "long_click", "hide")),
                    "item_id": None,
                    "value": 1.0,
                },
            )

    def _event(self, name: str, record: dict[str, Any]) -> SentEvent:
        return SentEvent(record["event_time"], record["request_id"].encode(), self._codec.encode(name, record))

    def _request(self, request_id: str, time: int, draw: random.Random) -> dict[str, Any]:
        return {
            "request_id": request_id,
            "event_time": time,
            "user_id": f"u{draw.randrange(50)}",
            "session_id": None,
            "cohort": None,
            "user_embedding": [draw.random() for _ in range(4)],
            "context": [{"name": "surface", "value": "home"}],
            "history": [],
        }

    def _action(self, request_id: str, time: int, draw: random.Random) -> dict[str, Any]:
        space = self._experiment.action_space
        arm = draw.randrange(space.arms)
        return {
            "request_id": request_id,
            "event_time": time,
            "slice": "EXPLORE",
            "arm": arm,
            "shadow_arm": None,
            "eligible": [],
            "weights": [float(weight) for weight in space.weights[arm]],
            "action_space": space.digest,
            "policy_version": "",
            "config_revision": 0,
            "experiment_arm": None,
            "fallback_reason": None,
        }

    def _propensity(self, request_id: str, time: int) -> dict[str, Any]:
        return {
            "request_id": request_id,
            "event_time": time,
            "propensity": 1.0 / self._experiment.action_space.arms,
            "slice_probability": 0.0125,
            "sampling_rate": 1.0,
            "probabilities": [],
        }
