"""The traffic of a frozen set: requests of three weeks, what users did, and how a company keeps that itself."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from event_schemas.records import HistoryItemRecord
from serving_agent.decide.decision_request import DecisionRequest

EXPERIMENT = """\
[experiment]
name = "upgrade"
salt = "pepper"
exploration_rate = 0.9
control_rate = 0.3
log_rate = 1.0

[[weights]]
name = "repin"
production = 91.6
low = 10
high = 200
steps = 3

[[weights]]
name = "click"
production = 9.1
low = 1
high = 30
steps = 3

[[objectives]]
name = "repin"
kinds = ["repin"]
attribution = "30m"

[[objectives]]
name = "click"
kinds = ["click"]
clip = 2
attribution = "10m"

[[cohorts]]
name = "CORE"

[features]
user_embedding_dim = 4
history_length = 3
item_embedding_dim = 4

[[features.context]]
name = "surface"
required = true

[[features.context]]
name = "hour"
kind = "number"

[join]
allowed_lateness = "12h"
clock = "replay"

[learner]
epochs = 2
batch_size = 64
embedding_dim = 2
state_dim = 8
action_dim = 4
hidden_dims = [8, 8, 8]
attention_heads = 2
alpha_steps = 3

[gate]
min_matched_rows = 5
min_positives = 1

[preference]
alpha_objective = "repin"
alpha = 0.1

[serving]
# The set is read years later: what it points to must still be acceptable then.
checkpoint_ttl = "36500d"
budget_ms = 2000
poll = "200ms"
heartbeat = "1s"

[[bridge]]
topic = "{source}"
[bridge.fields]
request_id = "request"
event_time = "at"
engagement_id = "id"
[bridge.defaults]
kind = "repin"
"""
FIRST = int(datetime(2026, 5, 1, tzinfo=UTC).timestamp() * 1000)
MINUTE, DAY = 60_000, 86_400_000
DAYS = 21.5


@dataclass(frozen=True, slots=True)
class Visit:
    """One request, and the engagements that followed: kind and delay in milliseconds."""

    request: DecisionRequest
    engagements: tuple[tuple[str, int], ...]

    @property
    def time(self) -> int:
        assert self.request.event_time is not None
        return self.request.event_time


def visits(count: int, seed: int, first: int = FIRST, span: float = DAYS * DAY) -> Iterator[Visit]:
    """`count` visits spread evenly over `span` milliseconds from `first` on; the same for the same seed."""
    draw = random.Random(seed)
    for number in range(count):
        time = first + round(number * span / count)
        request = DecisionRequest(
            request_id=f"s{seed}-{number}",
            user_id=f"u{draw.randrange(40)}",
            cohort=draw.choice(("CORE", None)),
            user_embedding=_embedding(draw),
            context={"surface": draw.choice(("home", "search")), "hour": time // 3_600_000 % 24},
            history=[_history_item(draw, time) for _ in range(draw.randrange(3))],
            event_time=time,
        )
        kinds = [kind for kind in ("repin", "click", "click") if draw.random() < 0.3]
        yield Visit(request, tuple((kind, draw.randrange(20 * MINUTE)) for kind in kinds))


def company_actions(visited: list[Visit]) -> Iterator[bytes]:
    """A company's own record of a repin for every second visit; one in nine cannot be read."""
    for number, visit in enumerate(visited[::2]):
        row = {"request": visit.request.request_id, "at": visit.time + MINUTE, "id": f"own-{number}"}
        yield b"{" if number % 9 == 8 else json.dumps(row).encode()


def _embedding(draw: random.Random) -> list[float]:
    return [round(draw.gauss(0, 1), 3) for _ in range(4)]


def _history_item(draw: random.Random, time: int) -> HistoryItemRecord:
    return {
        "item_id": f"i{draw.randrange(30)}",
        "action_type": draw.choice(("repin", "click")),
        "event_time": time - draw.randrange(DAY),
        "embedding": _embedding(draw),
    }
