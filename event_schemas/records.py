"""Names and Python shapes of the records in the contract.

Records are plain dictionaries; every time is an integer, milliseconds since the epoch, UTC.
"""

from __future__ import annotations

from typing import Any, TypedDict

REQUEST = "Request"
ACTION = "Action"
PROPENSITY = "Propensity"
RANKING = "Ranking"
ENGAGEMENT = "Engagement"
HEARTBEAT = "Heartbeat"
TALLY = "Tally"
EXPLORATION = "Exploration"
EXAMPLE = "Example"
DEAD_LETTER = "DeadLetter"

MOST_HEADS = 64
"""The most ranker heads of one decision, and the most that nodes and checkpoints keep for drift checks: names of heads
come with requests, so without a bound they could grow without end."""

MOST_PREVIOUS = 100
"""The most earlier decisions whose weights a request carries: a caller that sends more has the oldest left out."""

LAST_DAY = 100_000
"""The last day that a Tally has rows of, in days since the epoch: in the year 2243. The first one is 0."""

FATES = ("joined", "duplicate", "conflict", "late", "future", "outside", "orphan", "incomplete", "malformed")
PENDING = "pending"

Record = dict[str, Any]


class ContextFeatureRecord(TypedDict):
    name: str
    value: str


class HistoryItemRecord(TypedDict):
    item_id: str
    action_type: str
    event_time: int
    embedding: list[float]


class PreviousWeightsRecord(TypedDict):
    event_time: int
    weights: list[float]


class RequestRecord(TypedDict):
    request_id: str
    event_time: int
    user_id: str | None
    session_id: str | None
    cohort: str | None
    user_embedding: list[float]
    context: list[ContextFeatureRecord]
    history: list[HistoryItemRecord]
    previous: list[PreviousWeightsRecord]


class ActionRecord(TypedDict):
    request_id: str
    event_time: int
    slice: str
    arm: int
    shadow_arm: int | None
    eligible: list[int]
    weights: list[float]
    action_space: str
    policy_version: str
    config_revision: int
    experiment_arm: str | None
    fallback_reason: str | None
    shadow_weights: list[float]


class PropensityRecord(TypedDict):
    request_id: str
    event_time: int
    propensity: float
    slice_probability: float
    sampling_rate: float
    probabilities: list[float]
    log_density: float | None
    exploration: str | None


class HeadSummaryRecord(TypedDict):
    head: str
    count: int
    mean: float
    p10: float
    p50: float
    p90: float


class RankingRecord(TypedDict):
    request_id: str
    event_time: int
    ranker_version: str
    heads: list[HeadSummaryRecord]
    served: list[str]


class EngagementRecord(TypedDict):
    engagement_id: str
    request_id: str
    event_time: int
    kind: str
    item_id: str | None
    value: float


class HeartbeatRecord(TypedDict):
    event_time: int


class SliceCountRecord(TypedDict):
    slice: str
    count: int


class ArmCountRecord(TypedDict):
    day: int
    slice: str
    arm: int
    count: int


class ExplorationSpanRecord(TypedDict):
    exploration: str
    first_event_time: int
    last_event_time: int
    decisions: int
    units: int
    rate_sum: float
    square_sum: float


class TallyRecord(TypedDict):
    event_time: int
    source: str
    counts: list[SliceCountRecord]
    arms: list[ArmCountRecord]
    spans: list[ExplorationSpanRecord]


class ExplorationRecord(TypedDict):
    event_time: int
    digest: str
    settings: str


class ObjectiveOutcomeRecord(TypedDict):
    objective: str
    count: float
    reward: float
    observed: bool


class OutcomeRecord(TypedDict):
    objectives: list[ObjectiveOutcomeRecord]
    closed_early: bool
    window_closed_at: int
    partition: int
    offset: int


class ExampleRecord(TypedDict):
    request: RequestRecord
    action: ActionRecord
    propensity: PropensityRecord
    ranking: RankingRecord | None
    outcome: OutcomeRecord


class DeadLetterRecord(TypedDict):
    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    event_time: int | None
    request_id: str | None
