"""The sections of the experiment file: frozen models whose field descriptions are the reference documentation."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator
from pydantic.fields import FieldInfo

from event_schemas.duration import LONGEST_MS, format_duration, parse_duration
from event_schemas.exploration_units import LogUnit
from event_schemas.number_bounds import LARGEST_FLOAT
from event_schemas.records import MOST_PREVIOUS
from event_schemas.shown_text import shown
from event_schemas.truncated_normal import LEAST_LENGTH, sd_bounds
from event_schemas.units import DAY_MS, MINUTE_MS

NAME = r"^[A-Za-z][A-Za-z0-9_-]{0,63}$"


def _number(value: Any) -> Any:
    if isinstance(value, bool):  # pydantic would read `exploration_rate = true` as 1: everything explores
        raise ValueError("write a number, not true or false")
    return value


def _bounded(value: float) -> float:
    if not abs(value) <= LARGEST_FLOAT:
        raise ValueError(f"write a finite number within ±{LARGEST_FLOAT:.1e}")
    return value


AS_WRITTEN = {"as_written": True}
"""The validation context of a file that people write: its durations need units. In code they are milliseconds."""


def milliseconds(value: Any, info: ValidationInfo) -> Any:
    """Converts a duration's text to milliseconds; raises ValueError for a number above 0 in a file: it has no unit."""
    if isinstance(value, str):
        return parse_duration(value)
    number = _number(value)
    if info.context == AS_WRITTEN and isinstance(number, int | float) and 0 < number < math.inf:
        raise ValueError(f"{shown(number)} has no unit; write ms, s, m, h, d or w after it, such as '30m'")
    return number


def is_duration(field: FieldInfo) -> bool:
    """Whether a field of a section holds a duration, also one that may be absent."""
    rules = [
        *field.metadata,
        *(rule for each in get_args(field.annotation) for rule in getattr(each, "__metadata__", ())),
    ]
    return any(getattr(rule, "func", None) is milliseconds for rule in rules)


Duration = Annotated[int, BeforeValidator(milliseconds), Field(ge=0, le=LONGEST_MS)]
Name = Annotated[str, Field(pattern=NAME)]
Finite = Annotated[float, BeforeValidator(_number), AfterValidator(_bounded)]
"""Numbers that stay finite as 32-bit floats, as features are, and in differences."""
Positive = Annotated[Finite, Field(gt=0)]
Probability = Annotated[Finite, Field(ge=0, le=1)]
Width = Annotated[int, Field(ge=1, le=65_536)]
EngagementKind = Annotated[str, Field(min_length=1)]
Role = Literal["optimise", "signal", "guardrail"]
Per = Literal["request", "session", "user-day"]
PER_HELP = (
    "What one outcome is: that of a request, of all requests of a session, or of all of a user's requests in a UTC day."
)


class Section(BaseModel):
    """A section: unknown fields are errors, values are immutable, durations are milliseconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ExperimentSpec(Section):
    """`[experiment]`: its name and how traffic is split."""

    name: Name = Field(description="Name; part of every Redis key.")
    salt: str = Field(min_length=1, description="Salt of the random draws; changing it redraws every request.")
    exploration_rate: Probability = Field(default=0.0125, description="Share of requests that explore.")
    control_rate: Probability = Field(
        default=0.0, description="Share of the other requests that serve production and are logged."
    )
    log_rate: Probability = Field(default=0.01, description="Share of POLICY and FALLBACK requests that are logged.")
    production_share: Annotated[Finite, Field(ge=0, lt=1)] | None = Field(
        default=None, description="P(production arm | EXPLORE), for weights only; 0.125 if unset."
    )
    exploration_kind: Literal["uniform", "normal"] = Field(
        default="uniform",
        description="How explored weights are drawn: every one equally likely, or, in a box, normal around production"
        " with each weight's sd, cut off at its bounds.",
    )
    exploration_unit: Literal["request", "session"] = Field(
        default="request",
        description="What explores together: each request, or all requests of a session, whose ids begin with the"
        " session's id and `~`. It cannot change while the experiment keeps its name.",
    )
    log_unit: LogUnit | None = Field(
        default=None,
        description="What the log of POLICY and FALLBACK keeps together: each request, all requests of a session, or"
        " all of a user (requests without a user_id by exploration_unit). Unset: the exploration_unit. Outcomes `per`"
        " session or user-day need it.",
    )
    exploration_cap: Positive | None = Field(
        default=None,
        description="Most explored requests per second of the whole fleet; absent: no cap. Nodes lower their"
        " exploration rate to it; see docs/guides/exploration.md.",
    )

    @property
    def sampled_by(self) -> LogUnit:
        """What the coin `log` is drawn for."""
        return self.log_unit or self.exploration_unit


class WeightSpec(Section):
    """`[[weights]]`: one tuned weight."""

    name: Name = Field(description="Ranker head whose weight is tuned.")
    production: Finite = Field(description="Weight that production uses today.")
    low: Finite = Field(description="Lowest value.")
    high: Finite = Field(description="Highest value.")
    steps: Annotated[int, Field(ge=2, le=1000)] | None = Field(
        default=None,
        description="Number of linearly spaced values. Without steps, which all weights then leave out, the weights are"
        " a box: any value between low and high.",
    )
    group: Name | None = Field(
        default=None,
        description="In a grid: weights with the same group move together on their steps, of which they have the same"
        " number.",
    )
    sd: Positive | None = Field(
        default=None,
        description="In a box with exploration_kind = 'normal': standard deviation of explored weights, in the weight's"
        " own units.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} must be below high {self.high:g}")
        if self.steps is None:
            self._fits_a_box()
        elif self.sd is not None:
            raise ValueError("sd is for a box: leave out sd, or the steps of all weights")
        return self

    def _fits_a_box(self) -> None:
        if self.group is not None:
            raise ValueError("group is for a grid: give steps, or leave out group")
        if not self.low <= self.production <= self.high:
            raise ValueError(
                f"production {self.production:g} must be between low {self.low:g} and high {self.high:g} in a box"
                " (weights without steps)"
            )
        if self.high - self.low < LEAST_LENGTH * max(abs(self.low), abs(self.high)):
            raise ValueError(
                f"low {self.low!r} and high {self.high!r} are too close for a box: they must differ by at least"
                f" {LEAST_LENGTH:g} of the larger one"
            )
        least, most = sd_bounds(self.high - self.low)
        if self.sd is not None and not least <= self.sd <= most:
            raise ValueError(f"sd {self.sd:g} must be between {least:g} and {most:g}, given low and high")


class ArmSpec(Section):
    """`[[catalogue.arms]]`: one arm."""

    name: str = Field(min_length=1, description="Name of the arm.")
    features: tuple[Finite, ...] = Field(description="Feature vector, one value per name in catalogue.features.")


class CatalogueSpec(Section):
    """`[catalogue]`: arms with feature vectors, instead of a weight grid; `arms_file` may name a CSV with the arms."""

    production: str = Field(description="Arm that CONTROL and FALLBACK serve.")
    features: tuple[str, ...] = Field(description="Names of the features.")
    arms: tuple[ArmSpec, ...] = Field(min_length=2, description="The arms, in index order.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [arm.name for arm in self.arms]
        if len(names) != len(set(names)):
            raise ValueError("arm names must be unique")
        if len(self.features) != len(set(self.features)):
            raise ValueError(f"feature names must be unique, not {list(self.features)}")
        if self.production not in names:
            raise ValueError(f"production {self.production!r} is not the name of an arm")
        for arm in self.arms:
            if len(arm.features) != len(self.features):
                raise ValueError(f"arm {arm.name!r} has {len(arm.features)} features, not {len(self.features)}")
        return self


class ObjectiveSpec(Section):
    """`[[objectives]]`: one outcome that is counted."""

    name: Name = Field(description="Name of the objective.")
    kinds: tuple[EngagementKind, ...] = Field(min_length=1, description="Engagement kinds that count.")
    clip: Positive = Field(default=1.0, description="Largest reward: reward = min(count, clip).")
    attribution: Duration = Field(description="How long after the request an engagement still counts.")
    role: Role = Field(
        default="optimise",
        description="`optimise`: policies learn it; `signal`: counted, to be looked at; `guardrail`: counted, and must"
        " not get worse.",
    )
    per: Per = Field(
        default="request",
        description=f"{PER_HELP} `session` needs experiment.log_unit session or user, `user-day` user; online"
        " experiments judge both. What is optimised is per request.",
    )

    @model_validator(mode="after")
    def _learnt_by_request(self) -> Self:
        if self.role == "optimise" and self.per != "request":
            raise ValueError(
                f"per = {self.per!r} is for signals and guardrails: set role = 'guardrail' or 'signal', or omit per"
            )
        return self


class CohortSpec(Section):
    """`[[cohorts]]`: one user group."""

    name: Name = Field(description="Name that requests carry.")
    description: str = Field(default="", description="Who belongs to it.")


class GuardrailSpec(Section):
    """`[[guardrails]]`: another spelling of `[[objectives]]` with `role = "guardrail"`."""

    name: Name = Field(description="Name of the guardrail; different from those of the objectives.")
    kinds: tuple[EngagementKind, ...] = Field(
        default=(), description="Engagement kinds that count; without any nothing is counted."
    )
    clip: Positive = Field(default=1.0, description="Largest outcome: min(count, clip).")
    attribution: Duration | None = Field(
        default=None,
        description="How long after the request an engagement still counts; absent: as long as for the objective that"
        " waits longest.",
    )
    per: Per = Field(
        default="request",
        description=f"{PER_HELP} `session` needs experiment.log_unit session or user, `user-day` user; online"
        " experiments judge both.",
    )


class ContextSpec(Section):
    """`[[features.context]]`: one context feature known at serving time."""

    name: str = Field(min_length=1, description="Name that requests carry.")
    kind: Literal["category", "number"] = Field(default="category", description="Hashed category or decimal number.")
    required: bool = Field(default=False, description="Whether a request without it gets FALLBACK.")


class FeatureSpec(Section):
    """`[features]`: what a request carries; the feature contract is built from it."""

    user_embedding_dim: int = Field(default=0, ge=0, le=4096, description="Length of user_embedding.")
    history_length: int = Field(
        default=0, ge=0, le=1000, description="Number of most recent history items that the model sees."
    )
    item_embedding_dim: int = Field(default=0, ge=0, le=4096, description="Length of a history item's embedding.")
    hash_buckets: int = Field(
        default=1024, ge=2, le=1_000_000, description="Number of buckets that categories are hashed into."
    )
    context: tuple[ContextSpec, ...] = Field(default=(), description="Context features.")
    previous_length: int = Field(
        default=0,
        ge=0,
        le=MOST_PREVIOUS,
        description="Number of the user's most recent decisions whose weights the model sees; for weights only. "
        "Callers echo them, or see serving.remember_previous.",
    )

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        names = [feature.name for feature in self.context]
        if len(names) != len(set(names)):
            raise ValueError(f"[[features.context]] names must be unique, not {names}")
        return self


class JoinSpec(Section):
    """`[join]`: how events become examples."""

    allowed_lateness: Duration = Field(
        default=5 * MINUTE_MS,
        description="How long after the end of its window an event is still accepted. If it is below max_future_skew, "
        "one host whose clock runs ahead closes the windows of others early, and their last engagements become "
        "orphans; the join warns at its start.",
    )
    producer_delay: Duration = Field(
        default=MINUTE_MS,
        description="Longest time a producer may delay an event; heartbeats lag this far behind the wall clock.",
    )
    max_pending_per_partition: int = Field(
        default=200_000, ge=1, description="Most open decisions per partition; beyond it the oldest closes early."
    )
    max_future_skew: Duration = Field(
        default=5 * MINUTE_MS, description="How far event time may be ahead of append time."
    )
    clock: Literal["live", "replay"] = Field(
        default="live", description="Who writes heartbeats: the join (live) or `trimtab replay` (replay)."
    )

    @property
    def fast_clocks_orphan(self) -> bool:
        """Whether an event that is ahead by a skew that is still accepted closes windows before their time."""
        return self.clock == "live" and self.allowed_lateness < self.max_future_skew


class LearnerSpec(Section):
    """`[learner]`: training data, network and optimiser."""

    algorithm: Literal["q_network", "linear", "linear_pairs"] = Field(
        default="q_network",
        description="Learning algorithm: the network, a ridge regression on state × arm features, or one with products"
        " of state features too; see docs/guides/algorithms.md.",
    )
    train_window: Duration = Field(default=14 * DAY_MS, gt=0, description="Length of the training window (event time).")
    holdout_window: Duration = Field(
        default=7 * DAY_MS, gt=0, description="Length of the hold-out window, which follows the training window."
    )
    retention: Duration = Field(default=60 * DAY_MS, description="How long examples are kept (event time).")
    epochs: int = Field(default=10, ge=1, description="Passes over the training window.")
    batch_size: int = Field(default=512, ge=2, description="Rows per training step.")
    learning_rate: Positive = Field(default=1e-3, description="Step size of Adam.")
    weight_decay: Annotated[Finite, Field(ge=0)] = Field(default=0.0, description="Decoupled weight decay.")
    embedding_dim: int = Field(default=8, ge=1, description="Width of a category's embedding.")
    state_dim: int = Field(default=32, ge=1, description="Width of the network's state.")
    action_dim: int = Field(default=16, ge=1, description="Width of the action's embedding.")
    hidden_dims: tuple[Width, Width, Width] = Field(
        default=(64, 64, 32), description="Widths of the three backbone blocks."
    )
    attention_heads: int = Field(default=2, ge=1, description="Heads of the history Transformer.")
    transformer_layers: int = Field(default=1, ge=1, description="Layers of the history Transformer.")
    alpha_steps: int = Field(default=25, ge=2, description="Number of alpha values in [0, 1] on the frontier.")
    seed: int = Field(default=7, ge=0, lt=2**63, description="Seed of the initial weights and the batch order.")


class GateSpec(Section):
    """`[gate]`: conditions that a policy must meet to ship."""

    margin: Probability = Field(default=0.01, description="Largest relative loss tolerated per objective.")
    min_matched_rows: int = Field(
        default=1000,
        ge=1,
        description="Fewest hold-out rows in which the policy chooses the logged arm; the baseline needs as many. "
        "Evaluations show an interval for less; the gate passes nothing on it.",
    )
    min_positives: int = Field(
        default=30,
        ge=1,
        description="Fewest positive rewards expected in those rows, for the policy and for the baseline: their "
        "effective number times the rate of the rows that neither chooses.",
    )
    error_budget: Annotated[Positive, Field(lt=1)] = Field(
        default=0.05,
        description="Probability of a wrong pass over the looks of 90 days together; half of it is for the first look.",
    )
    max_drift: Positive = Field(
        default=0.25, description="Largest PSI of a ranker head that the gate and a node's pick-up accept."
    )
    approval: Literal["auto", "manual"] = Field(
        default="manual",
        description="Whether a policy that passes waits for a person, or becomes the canary by itself and is promoted"
        " or withdrawn by what that online experiment shows.",
    )
    min_canary_time: Duration = Field(
        default=7 * DAY_MS,
        description="How long a canary's requests must span before it may be promoted without people: a whole week has"
        " every day once.",
    )
    max_canary_time: Duration = Field(
        default=28 * DAY_MS,
        gt=0,
        description="After this time a canary without a verdict is withdrawn without people: the next can begin.",
    )

    @model_validator(mode="after")
    def _a_canary_may_end(self) -> Self:
        if self.min_canary_time > self.max_canary_time:
            raise ValueError(
                f"min_canary_time ({format_duration(self.min_canary_time)}) is longer than max_canary_time"
                f" ({format_duration(self.max_canary_time)}), so no canary would ever be promoted"
            )
        return self
