"""The decision that a caller gets for a request, and confirms once it has used the weights."""

from collections.abc import Callable, Mapping, Sequence

from event_schemas.records import RankingRecord
from event_schemas.slices import Slice
from serving_agent.decide.decision_records import DecisionFacts, HeadSummaries, ranking_record
from serving_agent.decide.fallback_reason import FallbackReason

Confirm = Callable[[DecisionFacts, RankingRecord | None], None]


class Decision:
    """The facts of a decision, and its confirmation. Thread-safe; confirming twice counts once.

    Call `applied` after the weights were used: the decision counts only then. A decision that is never confirmed
    ends as `incomplete` in the join and is not used in any estimate.
    """

    def __init__(self, facts: DecisionFacts, confirm: Confirm) -> None:
        self.facts = facts
        self._confirm = confirm
        # Popping the only element is atomic, without a lock that a fork could leave locked.
        self._unconfirmed = [True]

    def __repr__(self) -> str:
        return f"Decision({self.request_id!r}, arm={self.arm}, slice={self.slice.value})"

    @property
    def request_id(self) -> str:
        """Identifier of the decision; engagements refer to it."""
        return self.facts.request_id

    @property
    def event_time(self) -> int:
        """Time of the request, in epoch milliseconds: later requests echo it in `previous`, with the weights."""
        return self.facts.event_time

    @property
    def weights(self) -> Mapping[str, float]:
        """Weights to rank with, by name; empty for a catalogue."""
        return self.facts.weights

    @property
    def arm(self) -> int:
        """Index of the arm in the action space."""
        return self.facts.arm

    @property
    def slice(self) -> Slice:
        """Slice the request was drawn into."""
        return self.facts.slice

    @property
    def propensity(self) -> float:
        """P(arm | slice, request), in (0, 1]."""
        return self.facts.propensity

    @property
    def log_density(self) -> float | None:
        """Natural logarithm of the density of a box's weights given arm 0; None where none were drawn."""
        return self.facts.log_density

    @property
    def policy_version(self) -> str:
        """Checkpoint that chose the arm, else `exploration` or `production`."""
        return self.facts.policy_version

    @property
    def config_revision(self) -> int:
        """Revision of the preference in force, or of an experiment's arm; 0 for that of the experiment file."""
        return self.facts.config_revision

    @property
    def experiment_arm(self) -> str | None:
        """`<experiment>/<arm>` of the online experiment that the user is in; None if there is none."""
        return self.facts.experiment_arm

    @property
    def fallback_reason(self) -> FallbackReason | None:
        """Why the policy was not used; None unless FALLBACK."""
        return self.facts.fallback_reason

    @property
    def shadow_arm(self) -> int | None:
        """Arm that the shadow channel's policy would have chosen; None if it was not evaluated."""
        return self.facts.shadow_arm

    @property
    def confirmed(self) -> bool:
        """Whether the decision was confirmed."""
        return not self._unconfirmed

    def applied(self, heads: HeadSummaries | None = None, served: Sequence[str] = (), ranker_version: str = "") -> bool:
        """Confirms that the weights were used; True the first time, False when it was confirmed before.

        `heads` summarises the ranker's heads over this request's candidates:
        `{"repin": {"count": 2000, "mean": 0.1, "p10": 0.02, "p50": 0.08, "p90": 0.3}}`; `served` lists item ids,
        best first. If it raises InvalidConfirmation, the decision stays unconfirmed.
        """
        ranking = None
        if heads or len(served):
            ranking = ranking_record(self.facts, heads or {}, served, ranker_version)
        try:
            self._unconfirmed.pop()
        except IndexError:
            return False
        self._confirm(self.facts, ranking)
        return True
