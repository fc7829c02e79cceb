"""The rule for unusable examples, the same for incoming and for stored ones."""

from dataclasses import dataclass, field

import polars as pl

from event_schemas.action_space import ActionSpace
from learner.examples.time_limit import TimeLimit
from off_policy.logged_bandit import LEAST_PROPENSITY

REQUEST_ID = "request_request_id"
EVENT_TIME = "request_event_time"


@dataclass(frozen=True, slots=True)
class ExampleRule:
    """The rule of one experiment; it does not check arms of other action spaces, which every run leaves out anyway."""

    space: ActionSpace
    limit: TimeLimit = field(default_factory=TimeLimit)

    def unusable(self) -> pl.Expr:
        """An expression over flattened Example columns: whether the row is unusable."""
        return pl.any_horizontal(*(broken for broken, _ in self._faults())).fill_null(True)

    def fault(self) -> pl.Expr:
        """An expression over the same columns: why the row is unusable, or an empty text."""
        text = pl.lit("")
        for broken, words in reversed(self._faults()):
            text = pl.when(broken.fill_null(True)).then(words.fill_null("a value is missing")).otherwise(text)
        return text

    def _faults(self) -> list[tuple[pl.Expr, pl.Expr]]:
        """Pairs of a condition, which is true or null for a faulty row, and its message."""
        event_time, latest = pl.col(EVENT_TIME), self.limit.latest()
        propensity, arm, eligible = pl.col("propensity_propensity"), pl.col("action_arm"), pl.col("action_eligible")
        listed = pl.concat_list("action_eligible", "action_arm")
        outside = (listed.list.max() >= self.space.arms) & (pl.col("action_action_space") == self.space.digest)
        unknown_arm = arm.is_null() | eligible.is_null() | (listed.list.min() < 0) | outside
        return [
            (pl.col(REQUEST_ID) == "", pl.lit("request_id is empty")),
            ((propensity > 0).and_(propensity <= 1).not_(), pl.format("propensity {} is not in (0, 1]", propensity)),
            (propensity < LEAST_PROPENSITY, pl.format("propensity {} is too small", propensity)),
            (event_time > latest, pl.format("event_time {} is after {}, the latest allowed", event_time, latest)),
            (unknown_arm, pl.format("arm {} or an eligible arm is not in the action space", arm)),
        ]
