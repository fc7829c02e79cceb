"""The section `[preference]` of the experiment file."""

from __future__ import annotations

from pydantic import Field

from event_schemas.experiment_sections import Probability, Section


class PreferenceSpec(Section):
    """`[preference]`: how objectives are weighed, and how far a refresh may change what is served."""

    alpha_objective: str | None = Field(
        default=None, description="Objective that alpha multiplies; required with two objectives."
    )
    alpha: Probability = Field(default=0.1, description="With two objectives: alpha until people have approved one.")
    max_mean_weight_move: Probability = Field(
        default=1.0,
        description="Under automatic approval: largest move of a mean weight, as a share of its range, that a policy"
        " may make against what serves, without a person. 1 bounds nothing.",
    )
    max_changed_arms: Probability = Field(
        default=1.0,
        description="Under automatic approval: largest share of requests whose arm a policy may change without a"
        " person. 1 bounds nothing.",
    )
