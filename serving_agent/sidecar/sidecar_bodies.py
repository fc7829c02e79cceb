"""The JSON bodies of the HTTP API; unknown fields are errors, times are in epoch milliseconds."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, model_validator

from event_schemas.event_bounds import LONGEST_ID
from event_schemas.number_bounds import EXACT_INTEGERS, LARGEST_FLOAT
from event_schemas.records import MOST_HEADS
from serving_agent.decide.decision import Decision
from serving_agent.decide.decision_request import DecisionRequest

Text = Annotated[str, Field(max_length=1024)]
MOST_CONTEXT = 256
"""Context features of one request."""
Identifier = Annotated[str, Field(min_length=1, max_length=LONGEST_ID)]
Number = Annotated[float, Field(allow_inf_nan=False, ge=-LARGEST_FLOAT, le=LARGEST_FLOAT)]
Embedding = Annotated[list[Number], Field(max_length=4096)]
Time = Annotated[int, Field(ge=0, lt=EXACT_INTEGERS)]


def _without_nulls(content: Any) -> Any:
    if not isinstance(content, dict):
        return content
    return {name: value for name, value in content.items() if value is not None}


class Body(BaseModel):
    """A JSON object with only the declared fields; null means absent, also in `context` and `heads`."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, content: Any) -> Any:
        content = _without_nulls(content)
        if not isinstance(content, dict):
            return content
        return {name: _without_nulls(value) for name, value in content.items()}


class HistoryItemBody(Body):
    """One past action of the user."""

    item_id: Text = Field(description="Item that the user acted on.")
    action_type: Text = Field(description="Kind of action.")
    event_time: Time = Field(description="When it happened, in epoch milliseconds.")
    embedding: Embedding = Field(default_factory=list, description="Item embedding; may be empty.")


class PreviousBody(Body):
    """An earlier decision of the user."""

    event_time: Time = Field(description="`event_time` of its answer, in epoch milliseconds.")
    weights: dict[Text, Number] = Field(max_length=1000, description="`weights` of its answer, by name.")


class DecisionBody(Body):
    """A request to be decided; everything is optional."""

    request_id: Identifier | None = Field(
        default=None, description="Identifier of the decision, without control characters; drawn when absent."
    )
    user_id: Text | None = Field(
        default=None,
        description="Stable user identifier; decides about online experiments, such as a canary.",
    )
    session_id: Text | None = Field(default=None, description="Session identifier.")
    cohort: Text | None = Field(default=None, description="Cohort of the experiment file.")
    user_embedding: Embedding = Field(default_factory=list, description="User embedding.")
    context: dict[Text, StrictBool | StrictInt | Number | Text] = Field(
        default_factory=dict, max_length=MOST_CONTEXT, description="Serving-time context by feature name."
    )
    history: list[HistoryItemBody] = Field(
        default_factory=list, max_length=1000, description="The user's last actions, oldest first."
    )
    eligible: list[StrictInt] = Field(
        default_factory=list, max_length=100_000, description="Arms that may be chosen; empty means all."
    )
    event_time: Time | None = Field(default=None, description='Allowed only with join.clock = "replay".')
    previous: list[PreviousBody] | None = Field(
        default=None,
        max_length=1000,
        description="What the user was served before, newest first, at most 100 of which count. When absent, a sidecar "
        "with serving.remember_previous fills in what it served itself. Not for a catalogue.",
    )

    def as_request(self) -> DecisionRequest:
        """The body as the agent's request."""
        return DecisionRequest(
            request_id=self.request_id,
            user_id=self.user_id,
            session_id=self.session_id,
            cohort=self.cohort,
            user_embedding=self.user_embedding,
            context=self.context,
            history=[
                {
                    "item_id": item.item_id,
                    "action_type": item.action_type,
                    "event_time": item.event_time,
                    "embedding": item.embedding,
                }
                for item in self.history
            ],
            eligible=self.eligible,
            event_time=self.event_time,
            previous=None
            if self.previous is None
            else [{"event_time": each.event_time, "weights": each.weights} for each in self.previous],
        )


class DecisionAnswer(BaseModel):
    """The weights to rank the request with."""

    request_id: str = Field(description="The id to use for the confirmation and for engagements.")
    event_time: int = Field(description="Time of the request, in epoch milliseconds.")
    weights: dict[str, float] = Field(description="Weights by name; empty for a catalogue.")
    arm: int = Field(description="Index of the arm in the action space.")
    arm_name: str = Field(description="Name of the arm.")
    slice: str = Field(description="EXPLORE, CONTROL, POLICY or FALLBACK.")
    propensity: float = Field(description="P(arm | slice, request).")
    log_density: float | None = Field(
        description="Natural logarithm of the density of drawn weights, each normalised to [0, 1]; null where none were"
        " drawn."
    )
    policy_version: str = Field(description="Checkpoint that chose the arm, else `exploration` or `production`.")
    config_revision: int = Field(description="Revision of the preference in force.")
    fallback_reason: str | None = Field(description="Why the policy was not used; null unless FALLBACK.")
    experiment_arm: str | None = Field(description="`<experiment>/<arm>` of the user's online experiment; else null.")

    @classmethod
    def of(cls, decision: Decision, arm_names: tuple[str, ...]) -> "DecisionAnswer":
        """The answer for a decision."""
        reason = decision.fallback_reason
        return cls(
            request_id=decision.request_id,
            event_time=decision.event_time,
            weights=dict(decision.weights),
            arm=decision.arm,
            arm_name=arm_names[decision.arm],
            slice=decision.slice.value,
            propensity=decision.propensity,
            log_density=decision.log_density,
            policy_version=decision.policy_version,
            config_revision=decision.config_revision,
            fallback_reason=None if reason is None else reason.value,
            experiment_arm=decision.experiment_arm,
        )


class HeadBody(Body):
    """Summary of one ranker head over this request's candidates."""

    count: Annotated[int, Field(ge=1, lt=EXACT_INTEGERS)]
    mean: Number
    p10: Number
    p50: Number
    p90: Number


class AppliedBody(Body):
    """What the ranker did with the weights; everything is optional."""

    heads: dict[Text, HeadBody] = Field(
        default_factory=dict, max_length=MOST_HEADS, description="Head summaries by name."
    )
    served: list[Text] = Field(default_factory=list, max_length=1000, description="Served item ids, best first.")
    ranker_version: Text = Field(default="", description="Ranker that scored the candidates.")


class AppliedAnswer(BaseModel):
    """The decision is confirmed; `first` is false when it had been confirmed before."""

    request_id: str
    first: bool


class EngagementBody(Body):
    """An engagement of a user with what was served."""

    request_id: Identifier = Field(description="The decision it belongs to.")
    kind: Identifier = Field(description="Kind of engagement, as named by the objectives and guardrails.")
    event_time: Time | None = Field(default=None, description="When it happened; default: now.")
    item_id: Text | None = Field(default=None, description="Item that the user engaged with.")
    value: Number = Field(default=1.0, description="Amount, 0 or more.")
    engagement_id: Identifier | None = Field(default=None, description="Calls with the same id are one engagement.")


class EngagementAnswer(BaseModel):
    """The engagement was accepted; `engagement_id` is the given one, or a hash of the content."""

    engagement_id: str


class Problem(BaseModel):
    """What is wrong with the call, and how to fix it."""

    error: str
    fix: str
