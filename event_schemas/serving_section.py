"""`[serving]` of the experiment file: how a node decides, follows the policy store and logs experiments."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from event_schemas.experiment_sections import Duration, Positive, Probability, Section
from event_schemas.units import DAY_MS


class ServingSpec(Section):
    """`[serving]`: time limits and checkpoint pick-up of a serving node."""

    budget_ms: Positive = Field(default=20.0, description="Time limit for inference; a slower decision is FALLBACK.")
    poll: Duration = Field(default=5_000, description="How often to poll the store, in addition to notifications.")
    heartbeat: Duration = Field(default=10_000, description="How often a node reports its state.")
    checkpoint_ttl: Duration = Field(
        default=7 * DAY_MS,
        description="Lifetime of a channel record; a node does not start to serve from an expired one.",
    )
    canary_share: Probability = Field(
        default=0.05, description="Share of users that the canary channel serves; its control has as many."
    )
    experiment_log_rate: Annotated[Probability, Field(gt=0)] = Field(
        default=1.0,
        description="Lowest P(logged) of POLICY and FALLBACK requests, of all users, while a canary serves; an online"
        " experiment says its own, by default this one.",
    )
    min_drift_samples: int = Field(default=100, ge=1, description="Live requests needed before drift is judged.")
    on_stale: Literal["keep", "fallback"] = Field(
        default="keep",
        description="What to do once the channel record has expired: keep its policy, or serve FALLBACK.",
    )
    remember_previous: bool = Field(
        default=False,
        description="Whether a node remembers what each user was served (features.previous_length decisions of the "
        "100,000 users served last) and uses it for requests that come without `previous`. It knows nothing of what "
        "other nodes served.",
    )
    most_nodes: int = Field(
        default=100,
        ge=1,
        le=100_000,
        description="With experiment.exploration_cap: the most serving nodes that the fleet may have; forked processes "
        "count. A node that knows nothing of the others explores 1 / most_nodes of the cap.",
    )
