"""The decision: one request in, one arm out, with the probabilities that learning and evaluation need later.

Slices are tried in this order: EXPLORE (never when killed) → CONTROL → POLICY, which becomes FALLBACK when the policy
cannot be used. Nothing here accesses Redis, Kafka or a file.
"""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from event_schemas.event_bounds import unit_fault
from event_schemas.experiment import Experiment
from event_schemas.exploration import ExplorationDraws
from event_schemas.instant import wall_clock_ms
from event_schemas.records import RankingRecord, RequestRecord
from event_schemas.slices import Slice, SliceDraw
from monitoring.metrics import ServingMetrics
from policy_store.records import ObjectiveWeights
from producers.loggers import AppliedDecision, DecisionLogger
from serving_agent.decide.decision import Decision
from serving_agent.decide.decision_errors import InvalidRequest
from serving_agent.decide.decision_records import DecisionFacts, action_record, propensity_record, served_weights
from serving_agent.decide.decision_request import DecisionRequest
from serving_agent.decide.exploration_cap import ExplorationCap, RatedDraws
from serving_agent.decide.fallback_reason import FallbackReason
from serving_agent.decide.large_units import LargeUnits
from serving_agent.decide.loaded_policy import LoadedPolicy
from serving_agent.decide.online_experiments import arm_for, raised_log_rate
from serving_agent.decide.placeholder_users import PlaceholderUsers
from serving_agent.decide.policy_answers import PolicyChoice
from serving_agent.decide.policy_choice import PolicyChooser, RequestScoring
from serving_agent.decide.recent_traffic import RecentTraffic
from serving_agent.decide.request_ids import RequestIds
from serving_agent.decide.request_values import whole_number
from serving_agent.decide.served_memory import ServedMemory
from serving_agent.decide.snapshot import ServingSnapshot, SnapshotSource
from serving_agent.decide.undeclared_cohorts import UndeclaredCohorts
from serving_agent.decide.unnamed_sessions import UnnamedSessions

EXPLORATION, PRODUCTION = "exploration", "production"
KEPT_ARMS = 1_024
"""Arms whose weights are kept by name."""
KEPT_RATES = 8
"""Raised log rates whose draws are kept."""


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """The agent's behaviour, and functions it gets from outside.

    `log_on_decide` counts a decision at once instead of waiting for `applied`. Use it only if the caller cannot fail in
    between; heads given to `applied` later are used for drift checks but not logged. `killed` is called for every
    request and must be cheap. `clock` gives epoch milliseconds, `timer` seconds of a monotonic clock. `new_id` gives
    texts that never recur and have no `~`. `exploration_share` gives the share in [0, 1] of the exploration cap that
    this agent may use, and must be quick; without it that is 1 / serving.most_nodes.
    """

    log_on_decide: bool = False
    killed: Callable[[], bool] = field(default=lambda: False)
    clock: Callable[[], int] = wall_clock_ms
    timer: Callable[[], float] = time.perf_counter
    new_id: Callable[[], str] = field(default=lambda: uuid.uuid4().hex)
    metrics: ServingMetrics | None = None
    inference_workers: int = 2
    exploration_share: Callable[[], float] | None = None


class _Choice(NamedTuple):
    """What is served, in which slice and with which propensity, and the policy that chose it; see DecisionFacts."""

    slice: Slice
    arm: int
    propensity: float
    version: str
    reason: FallbackReason | None = None
    probabilities: tuple[float, ...] = ()
    vector: tuple[float, ...] = ()
    log_density: float | None = None


class _Draw(NamedTuple):
    """What was drawn for a request: its slice at the rate ε_t, and the experiment's arm that its user is in.

    `policy` and `preference` are those of the arm, or those that serve everybody else.
    """

    slice: SliceDraw
    rate: float
    policy: LoadedPolicy | None
    preference: ObjectiveWeights
    arm: str | None


NOTHING_SHADOWED = PolicyChoice(None)


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
        self._settings = experiment.exploration
        self._draws = ExplorationDraws(self._space, self._settings)
        self._draws_at = lru_cache(KEPT_RATES)(self._draws_with)
        self._rated_draws = _rated_draws(experiment, self._draws, options)
        self._weights_of = lru_cache(KEPT_ARMS)(self._space.weights_by_name)
        self._logger = logger
        self._snapshots = snapshots
        self._recent = recent if recent is not None else RecentTraffic()
        self._options = options if options is not None else AgentOptions()
        self._served = _served_memory(experiment)
        self._placeholders = PlaceholderUsers()
        metrics = self._options.metrics
        declared = [cohort.name for cohort in experiment.cohorts]
        self._cohorts = UndeclaredCohorts(declared, None if metrics is None else metrics.undeclared_cohorts)
        self._request_ids = RequestIds(self._settings.id_unit, self._options.new_id)
        self._large_units: LargeUnits | None = None
        if self._settings.id_unit == "session":
            self._large_units = LargeUnits(None if metrics is None else metrics.large_units)
        self._unnamed_sessions = UnnamedSessions()
        self._chooser = PolicyChooser(experiment, self._draws, self._options.inference_workers, self._options.timer)

    def decide(self, request: DecisionRequest, waited_s: float = 0.0) -> Decision:
        """Chooses the arm for a request, and logs it if sampling says so. Raises only InvalidRequest.

        `waited_s` is how much of its budget the request has spent already, in a queue of the caller's.
        """
        started = self._options.timer()
        snapshot = self._snapshots.current
        record, eligible = self._admit(request)
        self._recent.note_request(record)
        self._placeholders.note(record["user_id"])
        self._cohorts.note(record["cohort"])
        if self._large_units is not None:
            self._large_units.note(self._draws.named_unit(record["request_id"]))
            self._unnamed_sessions.note(record["request_id"], record["session_id"])
        killed = snapshot.killed or self._options.killed()
        slice_draw, rate = self._rated_draws.draw(record["request_id"], started, killed)
        drawn = self._drawn(record, slice_draw, rate, snapshot)
        scoring = self._chooser.begin(record, eligible, waited_s)
        choice = self._choose(drawn, FallbackReason.KILLED if killed else snapshot.withheld, scoring)
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
        event_time = now = self._options.clock()
        if request.event_time is not None:
            event_time = whole_number("event_time", request.event_time)
            if (fault := unit_fault("event_time", event_time, now)) is not None:
                raise InvalidRequest(fault.what, fix=fault.fix)
        request_id = request.request_id
        if request_id is None:
            request_id = self._request_ids.make(request.session_id)
        record = request.as_record(request_id, event_time, self._space.weight_names)
        if self._served is not None and request.previous is None:
            record["previous"] = self._served.before(record["user_id"], event_time)
        return record, request.eligible_arms(self._space.arms)

    def _drawn(self, record: RequestRecord, drawn: SliceDraw, rate: float, snapshot: ServingSnapshot) -> _Draw:
        arm = arm_for(snapshot.experiments, self._settings.salt, record["user_id"], record["event_time"])
        if arm is None:
            return _Draw(drawn, rate, snapshot.stable, snapshot.preference, None)
        policy = snapshot.stable if arm.follows else arm.policy
        return _Draw(drawn, rate, policy, arm.preference or snapshot.preference, arm.label)

    def _choose(self, drawn: _Draw, withheld: FallbackReason | None, scoring: RequestScoring) -> _Choice:
        """The choice for the slice drawn; POLICY becomes FALLBACK with the first reason that applies."""
        production = self._space.production_arm
        if drawn.slice.slice is Slice.EXPLORE:
            explored = self._draws.explore(scoring.record["request_id"], scoring.eligible)
            return _Choice(
                Slice.EXPLORE,
                explored.arm,
                explored.propensity,
                EXPLORATION,
                vector=explored.weights,
                log_density=explored.log_density,
            )
        if drawn.slice.slice is Slice.CONTROL:
            return _Choice(Slice.CONTROL, production, 1.0, PRODUCTION)
        reason, policy = withheld, drawn.policy
        if reason is None:
            chosen = scoring.choose(policy, drawn.preference)
            if policy is not None and chosen.arm is not None:
                return _Choice(
                    Slice.POLICY,
                    chosen.arm,
                    chosen.propensity,
                    policy.version,
                    probabilities=chosen.probabilities,
                    vector=chosen.vector,
                    log_density=chosen.log_density,
                )
            reason = chosen.reason
        return _Choice(Slice.FALLBACK, production, 1.0, PRODUCTION, reason)

    def _outcome(
        self, drawn: _Draw, choice: _Choice, snapshot: ServingSnapshot, scoring: RequestScoring
    ) -> DecisionFacts:
        request_id, event_time = scoring.record["request_id"], scoring.record["event_time"]
        draws, digest = self._draws, self._settings.digest
        raised = raised_log_rate(snapshot.experiments, event_time)
        if raised > self._settings.log_rate:
            draws, digest = self._draws_at(raised)
        sampled = draws.sampling(request_id, choice.slice, scoring.record["user_id"])
        shadow = self._shadow(choice, snapshot, scoring) if sampled.logged else NOTHING_SHADOWED
        return DecisionFacts(
            request_id=request_id,
            event_time=event_time,
            eligible=scoring.eligible,
            weights=self._weights(choice),
            arm=choice.arm,
            slice=choice.slice,
            propensity=choice.propensity,
            slice_probability=drawn.slice.slice_probability,
            sampling_rate=sampled.sampling_rate,
            logged=sampled.logged,
            policy_version=choice.version,
            config_revision=drawn.preference.revision,
            fallback_reason=choice.reason,
            shadow_arm=shadow.arm,
            experiment_arm=drawn.arm,
            probabilities=choice.probabilities if sampled.logged else (),
            vector=choice.vector,
            log_density=choice.log_density,
            shadow_weights=shadow.vector,
            exploration=digest,
            exploration_rate=drawn.rate,
            served_to=None if self._served is None else scoring.record["user_id"],
        )

    def _draws_with(self, log_rate: float) -> tuple[ExplorationDraws, str]:
        """The draws with a raised log rate, which differ only in what is logged, and the digest of their settings."""
        settings = self._settings.with_log_rate(log_rate)
        return ExplorationDraws(self._space, settings), settings.digest

    def _weights(self, choice: _Choice) -> dict[str, float]:
        """A dictionary of its own: callers may change it."""
        if choice.vector:
            return dict(zip(self._space.weight_names, choice.vector, strict=True))
        return dict(self._weights_of(choice.arm))

    def _shadow(self, choice: _Choice, snapshot: ServingSnapshot, scoring: RequestScoring) -> PolicyChoice:
        """The shadow policy's choice, within the rest of the budget; none for EXPLORE, which waits for no inference."""
        if snapshot.shadow is None or choice.slice is Slice.EXPLORE or choice.reason is FallbackReason.KILLED:
            return NOTHING_SHADOWED
        return scoring.choose(snapshot.shadow, snapshot.preference, shadow=True)

    def _confirm(self, facts: DecisionFacts, ranking: RankingRecord | None) -> None:
        if ranking is not None:
            self._recent.note_heads(ranking["heads"])
        if not self._options.log_on_decide:
            self._log_applied(facts, ranking)

    def _log_applied(self, facts: DecisionFacts, ranking: RankingRecord | None) -> None:
        applied = AppliedDecision(
            facts.slice.value,
            facts.arm,
            facts.event_time,
            facts.exploration,
            facts.exploration_rate,
            self._draws.unit(facts.request_id),
        )
        if self._served is not None:
            self._served.note(facts.served_to, facts.event_time, served_weights(facts, self._space))
        if facts.logged:
            self._logger.log_applied(applied, action_record(facts, self._space), propensity_record(facts), ranking)
        else:
            self._logger.count_unlogged(applied)

    def _measure(self, choice: _Choice, started: float) -> None:
        metrics = self._options.metrics
        if metrics is not None:
            reason = "" if choice.reason is None else choice.reason.value
            metrics.decisions.labels(slice=choice.slice.value, reason=reason).inc()
            metrics.decision_seconds.observe(max(self._options.timer() - started, 0.0))


def _rated_draws(experiment: Experiment, draws: ExplorationDraws, options: AgentOptions | None) -> RatedDraws:
    """Draws at the rates that `experiment.exploration_cap` allows this agent."""
    highest, cap = experiment.experiment.exploration_rate, experiment.experiment.exploration_cap
    share = None if options is None else options.exploration_share
    limit = None
    if cap is not None:
        alone = 1.0 / experiment.serving.most_nodes
        limit = ExplorationCap(highest, cap, share if share is not None else lambda: alone)
    return RatedDraws(draws, highest, limit, None if options is None else options.metrics)


def _served_memory(experiment: Experiment) -> ServedMemory | None:
    if not experiment.serving.remember_previous:
        return None
    return ServedMemory(len(experiment.weights), experiment.features.previous_length)
