"""Explored decisions as our own agents log them: drawn from the request's id, naming their settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from event_schemas.codec import Codec
from event_schemas.experiment import Experiment
from event_schemas.exploration import ExplorationDraws
from event_schemas.exploration_units import session_request_id
from event_schemas.slices import Slice
from serving_agent.decide.exploration_cap import RatedDraws
from tests.learner_samples import World, experiment_document

SESSION_LENGTH = 3
BOX = {
    "experiment": {
        "name": "box",
        "salt": "s",
        "exploration_rate": 0.5,
        "control_rate": 0.2,
        "exploration_kind": "normal",
        "exploration_unit": "session",
    },
    "weights": [
        {"name": "repin", "production": 20.0, "low": 10, "high": 200, "sd": 50},
        {"name": "p2p", "production": 9.1, "low": 1, "high": 30, "sd": 8},
    ],
}


def box_experiment(**sections: Any) -> Experiment:
    """Two weights, explored normally by session, with a production near a bound."""
    return Experiment.model_validate(experiment_document(**(BOX | sections)))


def click_rate(normalised: np.ndarray) -> np.ndarray:
    """P(reward) of vectors [n, W]: highest at 0.4 of each side."""
    rate: np.ndarray = 0.1 + 0.5 * np.exp(-np.square((normalised - 0.4) / 0.3).sum(axis=1) / 2)
    return rate


@dataclass
class DrawnWorld:
    """Requests in sessions, drawn by `ExplorationDraws` of the experiment's settings."""

    experiment: Experiment
    codec: Codec
    seed: int = 0
    capped: RatedDraws | None = None
    """Draws the slices at rates that move; a hundred requests a second."""

    def examples(self, requests: int, first: int = 0) -> list[dict[str, Any]]:
        """The logged EXPLORE and CONTROL decisions among this many requests."""
        draws = ExplorationDraws(self.experiment.action_space, self.experiment.exploration)
        rng = np.random.default_rng((self.seed, first))
        drawn = (self._example(number, draws, rng) for number in range(first, first + requests))
        return [example for example in drawn if example is not None]

    def _example(self, number: int, draws: ExplorationDraws, rng: np.random.Generator) -> dict[str, Any] | None:
        space, settings = self.experiment.action_space, self.experiment.exploration
        request_id = session_request_id(f"s{number // SESSION_LENGTH}", f"{number:06d}")
        slice_draw = draws.slice(request_id) if self.capped is None else self.capped.draw(request_id, number / 100)[0]
        if slice_draw.slice not in (Slice.EXPLORE, Slice.CONTROL):
            return None
        arm, propensity, density = space.production_arm, 1.0, None
        weights = tuple(space.weights[arm].tolist())
        if slice_draw.slice is Slice.EXPLORE:
            explored = draws.explore(request_id)
            arm, propensity, density = explored.arm, explored.propensity, explored.log_density
            weights = explored.weights or tuple(space.weights[arm].tolist())
        rate = click_rate(space.normalised(np.array([weights])))[0]
        rewards = (rng.random(len(self.experiment.objectives)) < rate).astype(float).tolist()
        example = World(self.experiment, self.codec).example(number, arm, propensity, [0.0] * 4, rewards)
        identity = {"request_id": request_id}
        for part in ("request", "action", "propensity", "ranking"):
            example[part] |= identity
        example["request"] |= {"user_id": None, "session_id": f"s{number // SESSION_LENGTH}"}
        example["action"] |= {"slice": slice_draw.slice.value, "weights": list(weights)}
        example["propensity"] |= {
            "slice_probability": slice_draw.slice_probability,
            "sampling_rate": draws.sampling(request_id, slice_draw.slice).sampling_rate,
            "log_density": density,
            "exploration": settings.digest,
        }
        return example
