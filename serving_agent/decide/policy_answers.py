"""What the network of a policy answers for a request, and what is served of it.

A network answers with one of three things. *Values* of every arm and objective: the best arm under the preference is
served (`scoring.best_arm`), nothing is drawn. *Probabilities* of the arms: one is drawn by the coin `policy`. A
*proposal* in a box of weights: a vector is drawn by the coins `policy:<name>`. So a policy that serves a distribution
logs what it drew with its probability or density, and the draw can be recomputed from the request's id. A policy that
does not sample serves the most probable arm, or the mean of its proposal.

Whatever is wrong with an answer raises UnusableAnswer; the decision is then FALLBACK `inference_error`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from event_schemas.action_space import VECTOR, ActionSpace
from event_schemas.box_draws import BoxDistribution, normal_box
from event_schemas.errors import TrimtabError
from event_schemas.exploration import ExplorationDraws
from event_schemas.truncated_normal import LEAST_SD, MOST_SD, sd_bounds
from policy_store.records import BOUND_TOLERANCE, SUM_TOLERANCE
from serving_agent.decide.fallback_reason import FallbackReason


class UnusableAnswer(TrimtabError):
    """A network's answer cannot be served."""


@dataclass(frozen=True, slots=True, eq=False)
class ArmProbabilities:
    """P(arm | request) of every arm: floats [requests, arms], each row summing to 1 before `eligible` is applied."""

    probabilities: NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class BoxProposals:
    """Normal distributions of the weights of a box, cut off at its bounds and renormalised.

    `mean` and `sd` are floats [requests, weights] in the weights' own units and the experiment file's order. Means are
    inside the bounds; sd is 10⁻⁶ to 10³ of their distance (`truncated_normal`).
    """

    mean: NDArray[Any]
    sd: NDArray[Any]


Distribution = ArmProbabilities | BoxProposals


class SamplingNetwork(Protocol):
    """A network that answers with distributions. Implementations are thread-safe."""

    def score(self, feeds: Mapping[str, NDArray[Any]], flag: Any = None) -> Distribution:
        """The distributions of the requests in `feeds`; it may raise anything.

        `feeds` has the arrays of a FeatureContract, and `preference`, the weights of the objectives in force, float32
        [requests, objectives], which a network may ignore.

        The caller sets `flag.terminate` when the inference budget is over and the answer is no longer needed.
        """
        ...


class PolicyChoice(NamedTuple):
    """What a policy chooses for a request; `arm` is None, with the reason, if it cannot choose.

    `propensity` is P(arm | POLICY, request). `probabilities` has the distribution over arms that the arm was drawn
    from. `vector` has the weights of arm 0 of a box, in file order, and `log_density` the logarithm of their density.
    """

    arm: int | None
    reason: FallbackReason | None = None
    propensity: float = 1.0
    probabilities: tuple[float, ...] = ()
    vector: tuple[float, ...] = ()
    log_density: float | None = None


class AnswerDraws:
    """Draws from the answers of policies in one action space. Pure: the same request and answer give the same draw."""

    def __init__(self, space: ActionSpace, draws: ExplorationDraws) -> None:
        self._space = space
        self._draws = draws
        self._low: list[float] = space.low.tolist()
        self._high: list[float] = space.high.tolist()

    def most_likely(self, answer: Distribution, eligible: Sequence[int]) -> PolicyChoice:
        """The eligible arm with the highest probability (the lowest of equal ones), or the mean of a proposal.

        Nothing is drawn, so a vector has no density. Raises UnusableAnswer.
        """
        if isinstance(answer, ArmProbabilities):
            return PolicyChoice(int(np.argmax(self._arm_probabilities(answer, eligible))))
        self._require_box()
        mean, _ = self._checked(answer)
        if eligible and VECTOR not in eligible:
            return PolicyChoice(self._space.production_arm)
        return PolicyChoice(VECTOR, vector=tuple(mean))

    def draw_served(self, request_id: str, answer: Distribution, eligible: Sequence[int]) -> PolicyChoice:
        """What a policy serves; `eligible` (empty: all) has the arms it may choose. Raises UnusableAnswer."""
        if isinstance(answer, ArmProbabilities):
            probabilities = self._arm_probabilities(answer, eligible)
            drawn = self._draws.policy(request_id, probabilities)
            return PolicyChoice(drawn.arm, None, drawn.propensity, tuple(probabilities))
        proposal = self._proposal(answer)
        if eligible and VECTOR not in eligible:
            return PolicyChoice(self._space.production_arm)
        vector = self._draws.policy_vector(request_id, proposal)
        return PolicyChoice(VECTOR, vector=vector.weights, log_density=vector.log_density)

    def draw_shadowed(self, request_id: str, answer: Distribution, eligible: Sequence[int]) -> PolicyChoice:
        """What is logged of a shadow policy: the arm that it would have served, or the mean of its proposal.

        A vector that nobody was shown has no density; its mean says where the policy moves the weights.
        """
        if isinstance(answer, ArmProbabilities):
            return self.draw_served(request_id, answer, eligible)
        return self.most_likely(answer, eligible)

    def _arm_probabilities(self, answer: ArmProbabilities, eligible: Sequence[int]) -> list[float]:
        """The probabilities of the first request, of the eligible arms only, renormalised."""
        if self._space.kind == "box":
            raise UnusableAnswer(
                "the policy answers with arms, but a box has none", fix="serve a policy with proposals"
            )
        whole = _row("probabilities", answer.probabilities, self._space.arms)
        if not bool((whole >= 0.0).all()):  # also for NaN
            raise UnusableAnswer("probabilities below 0 or NaN", fix="train again; the loss diverged")
        total = float(whole.sum())
        if not abs(total - 1.0) <= SUM_TOLERANCE:
            raise UnusableAnswer(f"probabilities sum to {total:.6g}, not 1", fix="answer with a softmax over the arms")
        if eligible:
            allowed = np.zeros_like(whole)
            chosen = list(eligible)
            allowed[chosen] = whole[chosen]
            whole, total = allowed, float(allowed.sum())
        if total <= 0.0:
            raise UnusableAnswer("every eligible arm has probability 0", fix="give each arm a small probability")
        probabilities: list[float] = (whole / total).tolist()
        return probabilities

    def _proposal(self, answer: BoxProposals) -> BoxDistribution:
        self._require_box()
        mean, sd = self._checked(answer)
        return normal_box(self._space.weight_names, mean, sd, self._low, self._high)

    def _require_box(self) -> None:
        if self._space.kind != "box":
            raise UnusableAnswer(
                f"the policy answers with a vector of weights, but the action space is a {self._space.kind}",
                fix="serve a policy that chooses arms, or leave out the steps of all [[weights]]",
            )

    def _checked(self, answer: BoxProposals) -> tuple[list[float], list[float]]:
        """Mean and sd of the first request's proposal, moved inside their bounds.

        Plain floats: NumPy takes longer for a handful of weights. The comparisons also fail for NaN.
        """
        width = len(self._low)
        mean, sd = _row("mean", answer.mean, width).tolist(), _row("sd", answer.sd, width).tolist()
        for at, (low, high) in enumerate(zip(self._low, self._high, strict=True)):
            span = high - low
            slack = BOUND_TOLERANCE * span
            if not low - slack <= mean[at] <= high + slack:
                raise UnusableAnswer(f"the mean {mean} is outside the box", fix="bound the policy's output")
            least, most = sd_bounds(span)
            if not least * (1.0 - BOUND_TOLERANCE) <= sd[at] <= most * (1.0 + BOUND_TOLERANCE):
                raise UnusableAnswer(
                    f"sd {sd} is not {LEAST_SD:g} to {MOST_SD:g} of the distance of the bounds",
                    fix="bound the policy's output",
                )
            mean[at] = min(max(mean[at], low), high)
            sd[at] = min(max(sd[at], least), most)
        return mean, sd


def _row(name: str, array: Any, width: int) -> NDArray[np.float64]:
    """The first row of an answer's array of floats [requests, width]."""
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        raise UnusableAnswer(f"{name} is not an array of floating-point numbers", fix="answer with NumPy floats")
    if array.ndim != 2 or array.shape[0] < 1 or array.shape[1] != width:
        raise UnusableAnswer(
            f"{name} has shape {array.shape}, not (n, {width})", fix="serve a policy of this experiment's action space"
        )
    row: NDArray[np.float64] = array[0].astype(np.float64)
    return row
