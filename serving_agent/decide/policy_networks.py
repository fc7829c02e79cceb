"""The networks of checkpoints by what they answer: values of arms, probabilities of arms, or proposals of weights.

answer         outputs of policy.onnx (n requests)
values         `q` [n, arms, objectives] in [0, 1]
probabilities  `pi` [n, arms], each row a distribution
proposal       `w` [n, weights] in the weights' own units, and `log_sd` [n, weights], ln of the standard deviations
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from event_schemas.action_space import ActionSpace
from policy_store.records import OUTPUTS, PREFERENCE_INPUT, Answer
from serving_agent.decide.policy_answers import ArmProbabilities, BoxProposals, Distribution
from serving_agent.decide.policy_graph import InferenceFailed, PolicyGraph

Scores = NDArray[np.float32]
FIX = "export the checkpoint for this experiment's action space and objectives"


class ValueNetwork(PolicyGraph):
    """Answers with values. Thread-safe."""

    def __init__(self, graph: bytes, *, arms: int, objectives: int) -> None:
        """Raises InferenceFailed when `graph` is not a readable ONNX graph with an output `q`."""
        super().__init__(graph, OUTPUTS["values"])
        self.shape = (arms, objectives)

    def score(self, feeds: Mapping[str, NDArray[Any]], flag: Any = None) -> Scores:
        """q, float32[n, arms, objectives], each in [0, 1]; raises InferenceFailed. See PolicyGraph.run."""
        (q,) = self.run(feeds, flag)
        _require_shape("q", q, self.shape, "{} arms, {} objectives")
        # This form of the condition also fails for NaN.
        if not bool(((q >= 0.0) & (q <= 1.0)).all()):
            raise InferenceFailed("q holds values outside [0, 1]", fix="train again; the loss diverged")
        return q


class ProbabilityNetwork(PolicyGraph):
    """Answers with probabilities of the arms. Thread-safe."""

    def __init__(self, graph: bytes, *, arms: int) -> None:
        """Raises InferenceFailed when `graph` is not a readable ONNX graph with an output `pi`."""
        super().__init__(graph, OUTPUTS["probabilities"])
        self.shape = (arms,)

    def score(self, feeds: Mapping[str, NDArray[Any]], flag: Any = None) -> ArmProbabilities:
        """See PolicyGraph.run. Whether they are distributions is checked in use. Raises InferenceFailed."""
        (probabilities,) = self.run(feeds, flag)
        _require_shape("pi", probabilities, self.shape, "{} arms")
        return ArmProbabilities(probabilities)


class ProposalNetwork(PolicyGraph):
    """Answers with normal distributions of the weights of a box. Thread-safe."""

    def __init__(self, graph: bytes, *, weights: int) -> None:
        """Raises InferenceFailed when `graph` is not a readable ONNX graph with outputs `w` and `log_sd`."""
        super().__init__(graph, OUTPUTS["proposal"])
        self.shape = (weights,)

    def score(self, feeds: Mapping[str, NDArray[Any]], flag: Any = None) -> BoxProposals:
        """See PolicyGraph.run. Whether they fit the box is checked in use. Raises InferenceFailed."""
        mean, log_sd = self.run(feeds, flag)
        for name, array in (("w", mean), ("log_sd", log_sd)):
            _require_shape(name, array, self.shape, "{} weights")
        # In float64, where no finite float32 overflows to infinity before the bounds are checked.
        with np.errstate(over="ignore"):
            return BoxProposals(mean, np.exp(log_sd.astype(np.float64)))


AnswerNetwork = ValueNetwork | ProbabilityNetwork | ProposalNetwork


def answer_network(answer: Answer, graph: bytes, space: ActionSpace, objectives: int) -> AnswerNetwork:
    """The network of a checkpoint with this answer; raises InferenceFailed."""
    match answer:
        case "values":
            return ValueNetwork(graph, arms=space.arms, objectives=objectives)
        case "probabilities":
            return ProbabilityNetwork(graph, arms=space.arms)
        case "proposal":
            return ProposalNetwork(graph, weights=len(space.weight_names))


def with_preference(
    feeds: Mapping[str, NDArray[Any]], weights: tuple[float, ...], rows: int
) -> dict[str, NDArray[Any]]:
    """The feeds and the weights of the objectives for all `rows` requests, for networks that take them."""
    return {**feeds, PREFERENCE_INPUT: np.array([weights] * rows, dtype=np.float32)}


def answer_arrays(answer: Scores | Distribution) -> dict[str, NDArray[Any]]:
    """The arrays of an answer by name, each with one row for each request; a proposal's sd as its logarithm."""
    if isinstance(answer, ArmProbabilities):
        return {"pi": answer.probabilities}
    if isinstance(answer, BoxProposals):
        with np.errstate(divide="ignore"):  # an sd too small for a float is 0, and its logarithm not finite
            return {"w": answer.mean, "log_sd": np.log(answer.sd)}
    return {"q": answer}


def _require_shape(name: str, array: NDArray[Any], shape: tuple[int, ...], words: str) -> None:
    if array.shape[1:] != shape:
        wanted = words.format(*shape)
        raise InferenceFailed(f"{name} has shape {array.shape}, not (n, {wanted})", fix=FIX)
