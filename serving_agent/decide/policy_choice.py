"""The arm or the weights that a policy chooses for a request, or the reason why it cannot choose."""

import time
from collections.abc import Callable

from event_schemas.experiment import Experiment
from event_schemas.exploration import ExplorationDraws
from event_schemas.records import RequestRecord
from feature_contract import FeatureContract, MissingFeatures, ModelInput
from policy_store.records import ObjectiveWeights, same_weights
from serving_agent.decide.fallback_reason import FallbackReason
from serving_agent.decide.inference_budget import BudgetExceeded, InferenceBudget
from serving_agent.decide.loaded_policy import LoadedPolicy
from serving_agent.decide.policy_answers import AnswerDraws, ArmProbabilities, BoxProposals, PolicyChoice
from serving_agent.decide.policy_graph import InferenceFailed, run_flag
from serving_agent.decide.policy_networks import with_preference
from serving_agent.decide.scoring import best_arm


class PolicyChooser:
    """Encodes a request, asks a policy inside the experiment's inference budget, and draws from what it answers."""

    def __init__(
        self,
        experiment: Experiment,
        draws: ExplorationDraws | None = None,
        workers: int = 2,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        space = experiment.action_space
        self._budget_seconds = experiment.serving.budget_ms / 1000.0
        self._budget = InferenceBudget(workers)
        self._timer = timer
        self._has_arms = space.kind != "box"
        self._answers = AnswerDraws(space, draws or ExplorationDraws(space, experiment.exploration))

    def begin(self, record: RequestRecord, eligible: tuple[int, ...], waited_s: float = 0.0) -> "RequestScoring":
        """Starts the budget of one request, which all policies scored for it share; `waited_s` of it is spent."""
        return RequestScoring(self, record, eligible, self._timer() + self._budget_seconds - waited_s)

    def close(self) -> None:
        """Releases the inference threads."""
        self._budget.close()

    def score(
        self,
        policy: LoadedPolicy,
        model_input: ModelInput,
        scoring: "RequestScoring",
        weights: ObjectiveWeights,
        shadow: bool,
    ) -> PolicyChoice:
        """The policy's choice, or None with `no_preference`, `preference` or `time_out`.

        Raises InferenceFailed or UnusableAnswer.
        """
        objective_weights = weights.of_cohort(scoring.record["cohort"])
        if objective_weights is None:
            return PolicyChoice(None, FallbackReason.NO_PREFERENCE)
        if policy.pinned is not None and not same_weights(policy.pinned, objective_weights):
            return PolicyChoice(None, FallbackReason.PREFERENCE)
        flag = run_flag()
        feeds = with_preference(model_input.feeds(), objective_weights, 1)
        try:
            remaining = scoring.deadline - self._timer()
            answer = self._budget.run(lambda: policy.network.score(feeds, flag), remaining, flag)
        except BudgetExceeded:
            return PolicyChoice(None, FallbackReason.TIME_OUT)
        if isinstance(answer, ArmProbabilities | BoxProposals):
            if not policy.samples:
                return self._answers.most_likely(answer, scoring.eligible)
            draw = self._answers.draw_shadowed if shadow else self._answers.draw_served
            return draw(scoring.record["request_id"], answer, scoring.eligible)
        if not self._has_arms:
            raise InferenceFailed(
                "a box has no arms that values could choose from", fix="serve a policy with proposals"
            )
        return PolicyChoice(best_arm(answer[0], objective_weights, scoring.eligible))


class RequestScoring:
    """Scores one request with one or two policies, and encodes it at most once per feature contract."""

    def __init__(
        self, chooser: PolicyChooser, record: RequestRecord, eligible: tuple[int, ...], deadline: float
    ) -> None:
        self.record = record
        self.eligible = eligible
        self.deadline = deadline
        self._chooser = chooser
        self._inputs: dict[str, ModelInput] = {}

    def choose(self, policy: LoadedPolicy | None, preference: ObjectiveWeights, shadow: bool = False) -> PolicyChoice:
        """What `policy` serves or, as the `shadow`, what is logged of it; or the reason why not. Never raises."""
        if policy is None:
            return PolicyChoice(None, FallbackReason.NO_POLICY)
        try:
            return self._chooser.score(policy, self._encoded(policy.contract), self, preference, shadow)
        except MissingFeatures:
            return PolicyChoice(None, FallbackReason.MISSING_FEATURES)
        except Exception:  # whatever is wrong with a policy, the request must be answered; the reason is counted
            return PolicyChoice(None, FallbackReason.INFERENCE_ERROR)

    def _encoded(self, contract: FeatureContract) -> ModelInput:
        """The arrays of the request; raises MissingFeatures."""
        if contract.digest not in self._inputs:
            self._inputs[contract.digest] = contract.encode([self.record])
        return self._inputs[contract.digest]
