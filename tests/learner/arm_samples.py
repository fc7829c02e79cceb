"""Examples of an online experiment, as the learner stores them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from event_schemas.codec import Codec
from event_schemas.experiment import Experiment
from learner.examples.segment_store import SegmentStore
from tests.learner_samples import World, experiment_document

START = 1_764_000_000_000
DAY = 86_400_000


def counted_experiment() -> Experiment:
    """One objective per request, a signal per session and one per user-day, and a guardrail per request."""
    document = experiment_document(
        objectives=[
            {"name": "repin", "kinds": ["repin"], "attribution": "5m"},
            {"name": "p2p", "kinds": ["p2p"], "attribution": "5m", "clip": 4},
            {"name": "successful", "kinds": ["repin"], "attribution": "5m", "role": "signal", "per": "session"},
            {
                "name": "busy",
                "kinds": ["p2p"],
                "attribution": "5m",
                "role": "signal",
                "per": "user-day",
                "clip": 3,
            },
        ],
        guardrails=[{"name": "hide", "kinds": ["hide"], "clip": 2}],
    )
    document["experiment"] |= {"log_unit": "user"}
    return Experiment.model_validate(document)


def counted_world(codec: Codec) -> World:
    """Its examples."""
    return World(counted_experiment(), codec)


def decision(world: World, number: int, **said: Any) -> dict[str, Any]:
    """One example of arm `exp/a` of user `u<number>`; `said` may be any of the names below, or counts by outcome."""
    example = world.example(number, 0, 1.0, [0.0] * 4, [0.0] * len(world.experiment.optimised))
    at = said.pop("at", START + number)
    identity = {"request_id": said.pop("request_id", f"s{number}~{number}"), "event_time": at}
    for part in ("request", "action", "propensity", "ranking"):
        example[part] |= identity
    example["request"] |= {"user_id": said.pop("user", f"u{number}"), "history": []}
    example["action"] |= {"slice": said.pop("slice", "POLICY"), "experiment_arm": said.pop("arm", "exp/a")}
    example["propensity"]["sampling_rate"] = said.pop("rate", 1.0)
    example["outcome"] |= {"closed_early": said.pop("closed_early", False), "window_closed_at": at + 360_000}
    example["outcome"]["objectives"] = [
        {
            "objective": each.name,
            "count": float(said.get(each.name) or 0.0),
            "reward": min(float(said.get(each.name) or 0.0), each.clip),
            "observed": said.get(each.name, 0.0) is not None,
        }
        for each in world.experiment.counted
        if said.get(each.name) != "absent"
    ]
    return example


def store_in_segments(world: World, examples: Sequence[dict[str, Any]], directory: Path, size: int) -> None:
    """The examples in segments of `size` rows."""
    with SegmentStore(directory, "t.examples", 10**15) as store:
        for start in range(0, len(examples), size):
            store.append(world.decoded(examples[start : start + size]), {0: start + size})
