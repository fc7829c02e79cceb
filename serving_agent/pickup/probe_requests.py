"""Synthetic requests for testing a network before it serves: empty, ordinary and large values of every feature."""

from event_schemas.experiment import Experiment
from event_schemas.records import HistoryItemRecord, PreviousWeightsRecord, RequestRecord

PROBE_TIME = 1_700_000_000_000
LEVELS = (0.0, 1.0, -1.0, 10.0)


def probe_requests(experiment: Experiment) -> list[RequestRecord]:
    """One request per level, each with every feature of the experiment; every contract can encode them."""
    return [_probe(experiment, level, index) for index, level in enumerate(LEVELS)]


def _probe(experiment: Experiment, level: float, index: int) -> RequestRecord:
    features = experiment.features
    history: list[HistoryItemRecord] = [
        {
            "item_id": f"probe-{slot}",
            "action_type": f"probe-{index}",
            "event_time": PROBE_TIME - 60_000 * (slot + 1),
            "embedding": [level] * features.item_embedding_dim,
        }
        # The first probe has no history at all.
        for slot in range(min(index, features.history_length))
    ]
    previous: list[PreviousWeightsRecord] = [
        {
            "event_time": PROBE_TIME - 60_000 * (slot + 1),
            "weights": [weight.low + level * (weight.high - weight.low) for weight in experiment.weights],
        }
        for slot in range(min(index, features.previous_length))
    ]
    return {
        "request_id": f"probe-{index}",
        "event_time": PROBE_TIME,
        "user_id": None,
        "session_id": None,
        "cohort": None,
        "user_embedding": [level] * features.user_embedding_dim,
        "context": [
            {"name": context.name, "value": repr(level) if context.kind == "number" else f"probe-{index}"}
            for context in features.context
        ],
        "history": history,
        "previous": previous,
    }
