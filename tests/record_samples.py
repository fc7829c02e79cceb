"""One valid sample of every record, for tests."""

from __future__ import annotations

from typing import Any

REQUEST: dict[str, Any] = {
    "request_id": "r1",
    "event_time": 1_574_553_600_000,
    "user_id": "u1",
    "session_id": None,
    "cohort": "CORE",
    "user_embedding": [0.5, -0.25],
    "context": [{"name": "surface", "value": "home"}],
    "history": [{"item_id": "i1", "action_type": "save", "event_time": 1_574_553_000_000, "embedding": [1.0]}],
    "previous": [],
}
ACTION: dict[str, Any] = {
    "request_id": "r1",
    "event_time": 1_574_553_600_000,
    "slice": "EXPLORE",
    "arm": 3,
    "shadow_arm": None,
    "eligible": [],
    "weights": [91.6, 9.1],
    "action_space": "a" * 64,
    "policy_version": "v1",
    "config_revision": 7,
    "experiment_arm": None,
    "fallback_reason": None,
    "shadow_weights": [],
}
PROPENSITY: dict[str, Any] = {
    "request_id": "r1",
    "event_time": 1_574_553_600_000,
    "propensity": 0.125,
    "slice_probability": 0.0125,
    "sampling_rate": 1.0,
    "probabilities": [],
    "log_density": None,
    "exploration": None,
}
RANKING: dict[str, Any] = {
    "request_id": "r1",
    "event_time": 1_574_553_600_050,
    "ranker_version": "ranker-1",
    "heads": [{"head": "repin", "count": 40, "mean": 0.25, "p10": 0.125, "p50": 0.25, "p90": 0.5}],
    "served": ["i9", "i4"],
}
ENGAGEMENT: dict[str, Any] = {
    "engagement_id": "e1",
    "request_id": "r1",
    "event_time": 1_574_553_660_000,
    "kind": "repin",
    "item_id": None,
    "value": 1.0,
}
HEARTBEAT: dict[str, Any] = {"event_time": 1_574_560_000_000}
TALLY: dict[str, Any] = {
    "event_time": 1_574_560_000_000,
    "source": "node-1",
    "counts": [{"slice": "EXPLORE", "count": 12}],
    "arms": [],
    "spans": [],
}
EXPLORATION: dict[str, Any] = {"event_time": 1_574_550_000_000, "digest": "d" * 64, "settings": "{}"}
OUTCOME: dict[str, Any] = {
    "objectives": [{"objective": "repin", "count": 2.0, "reward": 1.0, "observed": True}],
    "closed_early": False,
    "window_closed_at": 1_574_555_700_000,
    "partition": 1,
    "offset": 42,
}
EXAMPLE: dict[str, Any] = {
    "request": REQUEST,
    "action": ACTION,
    "propensity": PROPENSITY,
    "ranking": RANKING,
    "outcome": OUTCOME,
}
DEAD_LETTER: dict[str, Any] = {
    "reason": "malformed",
    "detail": "Request: 3 bytes unread",
    "topic": "trimtab.events",
    "partition": 0,
    "offset": 5,
    "key": b"r1",
    "value": b"\x00",
    "event_time": None,
    "request_id": None,
}
SAMPLES = {
    "Request": REQUEST,
    "Action": ACTION,
    "Propensity": PROPENSITY,
    "Ranking": RANKING,
    "Engagement": ENGAGEMENT,
    "Heartbeat": HEARTBEAT,
    "Tally": TALLY,
    "Exploration": EXPLORATION,
    "Example": EXAMPLE,
    "DeadLetter": DEAD_LETTER,
}
