"""The decision: one request in, one arm out, with the probabilities that learning and evaluation need later.

Slices are tried in this order: EXPLORE (never when killed) → CONTROL → POLICY, which becomes FALLBACK when the policy
cannot be used. Nothing here accesses Redis, Kafka or a file.
"""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from event_schemas.experiment import Experiment
from event_schemas.instant import wall_clock_ms
from event_schemas.records import RankingRecord, RequestRecord
from event_schemas.slices import Slice, SliceDraw, coin, draw_arm, draw_sampling, draw_slice
from monitoring.metrics import ServingMetrics
from producers.loggers import DecisionLogger
from serving_agent.decide.decision import Decision
from serving_agent.decide.decision_errors import InvalidRequest
from serving_agent.decide.decision_records import DecisionFacts, action_record, propensity_record
from serving_agent.decide.decision_request import DecisionRequest, whole_number
from serving_agent.decide.fallback_reason import FallbackReason
from serving_agent.decide.policy_choice import PolicyChooser, RequestScoring
from serving_agent.decide.recent_traffic import RecentTraffic
from serving_agent.decide.snapshot import LoadedPolicy, ServingSnapshot, SnapshotSource

EXPLORATION, PRODUCTION = "exploration", "production"
IN_CANARY, IN_CONTROL = "canary", "control"


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """The agent's behaviour, and functions it gets from outside.

    `log_on_decide` counts a decision at once instead of waiting for `applied`. Use it only if the caller cannot fail in
    between; heads given to `applied` later are used for drift checks but not logged. `killed` is called for every
    request and must be cheap. `clock` gives epoch milliseconds, `timer` seconds of a monotonic clock.
    """

    log_on_decide: bool = False
    killed: Callable[[], bool] = field(default=lambda: False)
    clock: Callable[[], int] = wall_clock_ms
    timer: Callable[[], float] = time.perf_counter
    new_id: Callable[[], str] = field(default=lambda: uuid.uuid4().hex)
    metrics: ServingMetrics | None = None
    inference_workers: int = 2


@dataclass(frozen=True, slots=True)
class _Choice:
    """An arm, its slice and propensity, and the policy that chose it."""

    slice: Slice
    arm: int
    propensity: float
    version: str
    reason: FallbackReason | None = None


class PolicyAgent:
    """Decides requests. Thread-safe; `decide` never waits longer than `serving.budget_ms` for a policy."""

    def __init__(
        self,
        experiment: Experiment,
        logger: DecisionLogger,
        snapshots: SnapshotSource,
        recent: RecentTraffic | None = None,
        options: AgentOptions | None = None,
    ) -> None:
        self._experiment = experiment
        self._space = experiment.action_space
        self._rates = experiment.experiment
        self._logger = logger
        self._snapshots = snapshots
        self._recent = recent if recent is not None else RecentTraffic()
        self._options = options if options is not None else AgentOptions()
        self._chooser = PolicyChooser(experiment, self._options.inference_workers, self._options.timer)

    def decide(self, request: DecisionRequest, waited_s: float = 0.0) -> Decision:
        """Chooses the arm for a request, and logs it if sampling says so. Raises only InvalidRequest.

        `waited_s` is how much of its budget the request has spent already, in a queue of the caller's.
        """
        started = self._options.timer()
        snapshot = self._snapshots.current
        record, eligible = self._admit(request)
        self._recent.note_request(record)
        killed = snapshot.killed or self._options.killed()
        drawn = self._draw(record["request_id"], killed)
        scoring = self._chooser.begin(record, eligible, waited_s)
        choice = self._choose(drawn, snapshot, scoring, killed)
        decision = Decision(self._outcome(drawn, choice, snapshot, scoring), self._confirm)
        if decision.facts.logged:
            self._logger.log_request(record)
        if self._options.log_on_decide:
            self._log_applied(decision.facts, None)
        self._measure(choice, started)
        return decision

    def close(self) -> None:
        """Releases the inference threads; later decisions fall back."""
        self._chooser.close()

    def _admit(self, request: DecisionRequest) -> tuple[RequestRecord, tuple[int, ...]]:
        """The Request record and the eligible arms; raises InvalidRequest."""
        if request.event_time is not None and self._experiment.join.clock != "replay":
            raise InvalidRequest(
                "event_time was given, but join.clock is 'live'",
                fix="leave event_time out; only experiments with join.clock = 'replay' accept it",
            )
        given = request.event_time
        event_time = self._options.clock() if given is None else whole_number("event_time", given)
        request_id = self._options.new_id() if request.request_id is None else request.request_id
        return request.as_record(request_id, event_time), request.eligible_arms(self._space.arms)

    def _draw(self, request_id: str, killed: bool) -> SliceDraw:
        exploration = 0.0 if killed else self._rates.exploration_rate
        return draw_slice(
            self._rates.salt, request_id, exploration_rate=exploration, control_rate=self._rates.control_rate
        )

    def _choose(self, drawn: SliceDraw, snapshot: ServingSnapshot, scoring: RequestScoring, killed: bool) -> _Choice:
        """The choice for the slice drawn; POLICY becomes FALLBACK with the first reason that applies."""
        production = self._space.production_arm
        if drawn.slice is Slice.EXPLORE:
            u = coin(self._rates.salt, "arm", scoring.record["request_id"])
            explored = draw_arm(self._space, u, scoring.eligible, self._experiment.production_share)
            return _Choice(Slice.EXPLORE, explored.arm, explored.propensity, EXPLORATION)
        if drawn.slice is Slice.CONTROL:
            return _Choice(Slice.CONTROL, production, 1.0, PRODUCTION)
        reason = FallbackReason.KILLED if killed else snapshot.withheld
        if reason is None:
            policy = self._policy_for(scoring.record["user_id"], snapshot)
            chosen = scoring.choose(policy, snapshot.preference)
            if policy is not None and chosen.arm is not None:
                return _Choice(Slice.POLICY, chosen.arm, 1.0, policy.version)
            reason = chosen.reason
        return _Choice(Slice.FALLBACK, production, 1.0, PRODUCTION, reason)

    def _policy_for(self, user_id: str | None, snapshot: ServingSnapshot) -> LoadedPolicy | None:
        in_canary = self._experiment_arm(user_id, snapshot) == IN_CANARY
        return snapshot.canary if in_canary else snapshot.stable

    def _experiment_arm(self, user_id: str | None, snapshot: ServingSnapshot) -> str | None:
        """The user's side of the canary A/B test, the same in every slice; None without a canary or a user."""
        if snapshot.canary is None or user_id is None:
            return None
        inside = coin(self._rates.salt, "canary", user_id) < self._experiment.serving.canary_share
        return IN_CANARY if inside else IN_CONTROL

    def _outcome(
        self, drawn: SliceDraw, choice: _Choice, snapshot: ServingSnapshot, scoring: RequestScoring
    ) -> DecisionFacts:
        sampled = draw_sampling(self._rates.salt, scoring.record["request_id"], choice.slice, self._rates.log_rate)
        return DecisionFacts(
            request_id=scoring.record["request_id"],
            event_time=scoring.record["event_time"],
            eligible=scoring.eligible,
            weights=self._space.weights_by_name(choice.arm),
            arm=choice.arm,
            slice=choice.slice,
            propensity=choice.propensity,
            slice_probability=drawn.slice_probability,
            sampling_rate=sampled.sampling_rate,
            logged=sampled.logged,
            policy_version=choice.version,
            config_revision=snapshot.preference.revision,
            fallback_reason=choice.reason,
            shadow_arm=self._shadow_arm(choice, snapshot, scoring) if sampled.logged else None,
            experiment_arm=self._experiment_arm(scoring.record["user_id"], snapshot),
        )

    def _shadow_arm(self, choice: _Choice, snapshot: ServingSnapshot, scoring: RequestScoring) -> int | None:
        """The shadow policy's arm, within the rest of the budget; None for EXPLORE, which never waits for inference."""
        if snapshot.shadow is None or choice.slice is Slice.EXPLORE or choice.reason is FallbackReason.KILLED:
            return None
        return scoring.choose(snapshot.shadow, snapshot.preference).arm

    def _confirm(self, facts: DecisionFacts, ranking: RankingRecord | None) -> None:
        if ranking is not None:
            self._recent.note_heads(ranking["heads"])
        if not self._options.log_on_decide:
            self._log_applied(facts, ranking)

    def _log_applied(self, facts: DecisionFacts, ranking: RankingRecord | None) -> None:
        if facts.logged:
            self._logger.log_applied(action_record(facts, self._space), propensity_record(facts), ranking)
        else:
            self._logger.count_unlogged(facts.slice.value)

    def _measure(self, choice: _Choice, started: float) -> None:
        metrics = self._options.metrics
        if metrics is not None:
            reason = "" if choice.reason is None else choice.reason.value
            metrics.decisions.labels(slice=choice.slice.value, reason=reason).inc()
            metrics.decision_seconds.observe(max(self._options.timer() - started, 0.0))
