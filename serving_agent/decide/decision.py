"""What a caller gets for a request, and how it says that it used it."""

from collections.abc import Callable, Mapping, Sequence

from event_schemas.records import RankingRecord
from event_schemas.slices import Slice
from serving_agent.decide.decision_records import DecisionFacts, HeadSummaries, ranking_record
from serving_agent.decide.fallback_reason import FallbackReason

Confirm = Callable[[DecisionFacts, RankingRecord | None], None]


class Decision:
    """The facts, and its confirmation. Safe across threads; confirming twice counts once.

    Call `applied` once the weights were used: only then does the decision count. A decision that is never confirmed
    ends as `incomplete` in the join and enters no estimate.
    """

    def __init__(self, facts: DecisionFacts, confirm: Confirm) -> None:
        self.facts = facts
        self._confirm = confirm
        # Taking the one element is a single step for threads, and no lock that a fork could leave locked.
        self._unconfirmed = [True]

    def __repr__(self) -> str:
        return f"Decision({self.request_id!r}, arm={self.arm}, slice={self.slice.value})"

    @property
    def request_id(self) -> str:
        """Identifier of the decision; engagements refer to it."""
        return self.facts.request_id

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
    def policy_version(self) -> str:
        """Checkpoint that chose the arm, else `exploration` or `production`."""
        return self.facts.policy_version

    @property
    def config_revision(self) -> int:
        """Revision of the preference in force; 0 for the experiment file's own."""
        return self.facts.config_revision

    @property
    def fallback_reason(self) -> FallbackReason | None:
        """Why the policy was not used; None unless FALLBACK."""
        return self.facts.fallback_reason

    @property
    def shadow_arm(self) -> int | None:
        """Arm that the shadow channel's policy would have taken, where it was asked."""
        return self.facts.shadow_arm

    @property
    def confirmed(self) -> bool:
        """Whether the decision counts already."""
        return not self._unconfirmed

    def applied(self, heads: HeadSummaries | None = None, served: Sequence[str] = (), ranker_version: str = "") -> bool:
        """Confirm that the weights were used; True the first time, False when it was confirmed before.

        `heads` summarises the ranker's heads over this request's candidates:
        `{"repin": {"count": 2000, "mean": 0.1, "p10": 0.02, "p50": 0.08, "p90": 0.3}}`; `served` lists item ids,
        best first. Raises InvalidConfirmation, and then the decision stays unconfirmed.
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
