"""Step 3 of a pick-up: can what the checkpoint answers be served in this experiment, and does it answer at all?

A network that gives every request, or every arm, the same answer learnt nothing, or lost its inputs on the way.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from event_schemas.experiment import Experiment
from event_schemas.exploration import ExplorationDraws
from feature_contract import FeatureContract, ModelInput
from policy_store.records import CheckpointManifest, ContractMismatch
from serving_agent.decide.policy_answers import AnswerDraws, ArmProbabilities, BoxProposals, Distribution
from serving_agent.decide.policy_graph import InferenceFailed
from serving_agent.decide.policy_networks import AnswerNetwork, Scores, answer_arrays, with_preference
from serving_agent.pickup.probe_requests import probe_requests

BATCH_TOLERANCE = 1e-4
"""Largest difference between a request alone and in a batch; the learner's export allows the same."""
CONSTANT = 1e-6
"""Answers that differ by less are taken for equal: as a share of the largest value or probability, of the distance of
the bounds, or in ln sd. Rare outcomes have small values, which differ by less in themselves."""
WHOLE = 1e-5
"""How far the weights of a preference may be from 1 together: each may be rounded to six decimals."""
PER_ARM = ("q", "pi")
"""Arrays with an entry for every arm."""
UNUSUAL, AT_ONCE = 512, 1 << 16
"""Fewest unusual inputs before answers are called constant, and how many arms are asked about at once."""
ARMS, REQUESTS = "arms", "requests"
TROUBLE = {
    ARMS: (
        "the network answers alike for every arm, so it cannot choose one",
        "train it again: the features of the arms are lost or its units are dead",
    ),
    REQUESTS: (
        "the network answers every request alike, whatever its features",
        "train it again: its inputs are lost or its units are dead",
    ),
}


def require_fitting_answer(manifest: CheckpointManifest, experiment: Experiment) -> None:
    """Raises ContractMismatch unless the action space takes such answers, and the policy can select among them."""
    kind, version = experiment.action_space.kind, manifest.version
    if manifest.answer == "proposal" and kind != "box":
        raise ContractMismatch(
            f"checkpoint {version} ({manifest.algorithm}) proposes a vector of weights, but the action space is a"
            f" {kind}, whose arms are given",
            fix="serve a checkpoint that chooses arms, or leave out the steps of all [[weights]] under a new name",
        )
    if manifest.answer != "proposal" and kind == "box":
        raise ContractMismatch(
            f"checkpoint {version} ({manifest.algorithm}) scores arms, but the experiment's weights are a box, which"
            " has no arms to choose from",
            fix="give every [[weights]] steps for a checkpoint of this algorithm, under a new experiment name",
        )
    if manifest.answer == "values" and manifest.selection == "sample":
        raise ContractMismatch(
            f"checkpoint {version} answers with values, which are no distribution to sample from",
            fix="publish it with selection argmax, or answer with probabilities",
        )


def pinned_weights(
    manifest: CheckpointManifest, experiment: Experiment, *, takes_preference: bool
) -> tuple[float, ...] | None:
    """The weights of the objectives that the policy was trained for; None if it answers for any preference.

    Values are weighed after the answer. Distributions are not: their network must take the preference as an input, or
    the manifest must say for which one it was trained. Raises ContractMismatch.
    """
    names, pinned, version = experiment.objective_names, manifest.preference, manifest.version
    if pinned is None:
        if manifest.answer != "values" and not takes_preference and len(names) > 1:
            raise ContractMismatch(
                f"checkpoint {version} answers with a distribution for one preference, but does not say for which",
                fix="publish it with preference, or export a graph with the input preference",
            )
        return None
    if sorted(pinned) != sorted(names) or abs(sum(pinned.values()) - 1.0) > WHOLE:
        raise ContractMismatch(
            f"checkpoint {version} was trained for the preference {pinned}, which does not weigh"
            f" {', '.join(names)} to 1 in all",
            fix="publish it with a weight for each objective of this experiment file",
        )
    return tuple(pinned[name] for name in names)


def require_sound_answers(
    network: AnswerNetwork, contract: FeatureContract, experiment: Experiment, pinned: tuple[float, ...] | None = None
) -> None:
    """Asks the network about synthetic requests, under the preference that it is `pinned` to or under equal weights.

    Raises InferenceFailed if it fails or depends on the batch, UnusableAnswer if an answer cannot be served, and
    ContractMismatch if it answers all requests or arms alike.
    """
    batch = contract.encode(probe_requests(experiment))
    batch = batch if network.inputs else batch.take([0])  # without inputs there is one answer for all requests
    weights = pinned or (1.0 / len(experiment.objective_names),) * len(experiment.objective_names)
    answer = network.score(with_preference(batch.feeds(), weights, batch.rows))
    _require_servable(answer, batch.rows, experiment)
    together = answer_arrays(answer)
    for row in range(batch.rows):
        alone = answer_arrays(network.score(with_preference(batch.take([row]).feeds(), weights, 1)))
        if not all(np.allclose(alone[name][0], together[name][row], **_tolerance(name, experiment)) for name in alone):
            raise InferenceFailed(
                f"probe request {row} scores differently alone and in a batch",
                fix="recompute the batch-norm statistics before export",
            )
    alike = _alike(together, experiment) if len(batch) else _alike(together, experiment) - {REQUESTS}
    if alike and len(batch) and network.inputs:
        alike = _alike_everywhere(alike, network, batch, (weights, contract.hash_buckets), experiment)
    if alike:
        message, fix = TROUBLE[max(alike)]
        raise ContractMismatch(message, fix=fix)


def _tolerance(name: str, experiment: Experiment) -> Mapping[str, Any]:
    """Of weights, a share of the distance of their bounds."""
    sides = experiment.action_space.high - experiment.action_space.low
    return {"rtol": 0.0, "atol": BATCH_TOLERANCE * sides if name == "w" else BATCH_TOLERANCE}


def _require_servable(answer: Scores | Distribution, rows: int, experiment: Experiment) -> None:
    """Every row of a distribution can be drawn from; raises UnusableAnswer."""
    draws = AnswerDraws(experiment.action_space, ExplorationDraws(experiment.action_space, experiment.exploration))
    for row in range(rows):
        if isinstance(answer, ArmProbabilities):
            draws.draw_served("probe", ArmProbabilities(answer.probabilities[row : row + 1]), ())
        elif isinstance(answer, BoxProposals):
            draws.draw_served("probe", BoxProposals(answer.mean[row : row + 1], answer.sd[row : row + 1]), ())


def _alike(arrays: Mapping[str, NDArray[Any]], experiment: Experiment) -> set[str]:
    """Over what the answers do not vary: over all requests, or over all arms of every request."""
    sides = experiment.action_space.high - experiment.action_space.low
    units: dict[str, Any] = {"w": sides, "log_sd": 1.0} | {
        name: np.abs(arrays[name]).max() for name in PER_ARM if name in arrays
    }

    def equal(name: str, axis: int) -> bool:
        return bool((np.ptp(arrays[name], axis=axis) <= CONSTANT * units[name]).all())

    found = set()
    if all(equal(name, 0) for name in arrays):
        found.add(REQUESTS)
    if experiment.action_space.arms > 1 and any(equal(name, 1) for name in PER_ARM if name in arrays):
        found.add(ARMS)
    return found


def _alike_everywhere(
    suspected: set[str],
    network: AnswerNetwork,
    batch: ModelInput,
    asked: tuple[tuple[float, ...], int],
    experiment: Experiment,
) -> set[str]:
    """What of `suspected` holds for unusual inputs too; `asked` are the preference and the number of hash buckets.

    The probes are few and regular. A network that normalises an embedding, has a threshold, or knows some categories
    only, answers all of them alike, and is sound.
    """
    weights, buckets = asked
    first = answer_arrays(network.score(with_preference(batch.take([0]).feeds(), weights, 1)))
    left = set(suspected)
    for inputs in _unusual_inputs(batch, buckets, max(1, AT_ONCE // experiment.action_space.arms)):
        if not left:
            break
        with suppress(InferenceFailed):  # inputs that no request has need no answer
            more = answer_arrays(network.score(with_preference(inputs.feeds(), weights, inputs.rows)))
            left &= _alike({name: np.concatenate([first[name], more[name]]) for name in first}, experiment)
    return left


def _unusual_inputs(batch: ModelInput, buckets: int, size: int) -> Iterator[ModelInput]:
    """Inputs in parts of `size`: numbers of all magnitudes from a fixed seed, and every category."""
    rows, rng = max(UNUSUAL, buckets), np.random.default_rng(0)
    whole = batch.take(np.full(rows, batch.rows - 1))
    scale, arrays = 10.0 ** rng.integers(-1, 4, size=rows), {}
    for name, array in whole.items():
        across = (rows, *(1,) * (array.ndim - 1))
        if array.dtype.kind == "i":
            ids = rng.permutation(rows) % buckets
            arrays[name] = np.broadcast_to(ids.reshape(across), array.shape).astype(array.dtype)
        elif name.endswith("_mask"):
            arrays[name] = array
        else:
            numbers = rng.standard_normal(array.shape) * scale.reshape(across)
            arrays[name] = (np.abs(numbers) if name.endswith("_ages") else numbers).astype(array.dtype)
    unusual = ModelInput(arrays, rows)
    for start in range(0, rows, size):
        yield unusual.take(slice(start, start + size))
