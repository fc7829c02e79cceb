"""Ridge regression as an Algorithm: `linear`, and `linear_pairs` with the products of all state columns."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from event_schemas.action_space import ActionSpace
from event_schemas.experiment import Experiment
from feature_contract import FeatureContract, ModelInput
from feature_contract.model_input import CONTEXT_IDS, HISTORY_ACTIONS, HISTORY_MASK
from learner.examples.learner_errors import CheckpointBroken, NothingToLearn
from learner.examples.learning_rows import LearningRows
from learner.network.linear_values import (
    ACTION_BUCKETS,
    ARM_EFFECTS,
    ARRAYS,
    CATEGORY_BUCKETS,
    CATEGORY_FEATURES,
    COEFFICIENTS,
    KEPT_VALUES,
    MEANS,
    PAIR_MEANS,
    PAIR_SCALES,
    PAIRS,
    RATES,
    SCALES,
    LinearValues,
    column_parts,
    has_arm_effects,
    linear_arm_columns,
    standardised,
    with_constant,
)
from learner.network.onnx_export import export_graph
from learner.network.pair_blocks import rows_at_once
from learner.network.q_network import SMALLEST_RATE, arm_inputs
from learner.network.ridge_fit import ArmDesign, RowSums, best_ridge
from learner.network.training import input_tensors
from learner.network.training_progress import OnProgress, TrainingProgress, TrainingReport
from learner.network.validation_units import unit_tenths
from policy_store.records import Answer

MOST_COLUMNS = 4_096
"""Coefficients of an objective: their sums of squares take 134 MB, for each fold."""
MOST_CATEGORIES = 16
"""The most common values of a category, and of the history's action types, have an indicator each."""
LEAST_SHARE = 0.002
"""Rows with a value, of all, from which on it has an indicator."""
LEAST_DEVIATION = 1e-4
"""A column that varies less around its mean, relative to that or to 1, is a constant; scaled up it would be noise."""
FOLDS = 5
STATE_GROUP, ARM_GROUP, CROSSED_GROUP, PAIR_GROUP, CROSSED_PAIR_GROUP = range(5)
NO_PAIRS = np.zeros((0, 2), dtype=np.int64)
COLUMN_ROWS = 8_192
Arrays = Mapping[str, NDArray[Any]]


class LinearLearning:
    """Fits the window as a whole in closed form: an earlier state makes no difference to a fit.

    The penalties of each objective are chosen by cross-validation over units of the training rows.
    """

    answer: Answer = "values"
    continues = False

    def __init__(self, experiment: Experiment, contract: FeatureContract, *, pairs: bool = False) -> None:
        self.name = "linear_pairs" if pairs else "linear"
        self._pairs = pairs
        self._objectives = len(experiment.objective_names)
        self._space = experiment.action_space
        self._arm_columns = linear_arm_columns(self._space)
        self._values: LinearValues | None = None
        if not (contract.user_embedding_dim or contract.context or contract.history_length or contract.previous):
            raise NothingToLearn(
                "the experiment file declares no features, so there is no state to learn from",
                fix="declare user_embedding_dim, history_length, previous_length or [[features.context]] in [features]",
            )

    def coefficients(self, inputs: ModelInput) -> int:
        """How many coefficients of an objective a fit to rows with these inputs has."""
        if self._pairs:
            blank = self._blank(inputs)
            return len(linear_design(self._space, len(blank[MEANS]), len(blank[PAIRS])).groups)
        kept = [torch.from_numpy(array) for array in common_values(inputs).values()]
        columns = sum(part.shape[1] for part in column_parts(input_tensors(inputs.take(slice(0, 1))), *kept))
        return len(linear_design(self._space, columns, 0).groups)

    def restore(self, weights: Arrays, optimiser: Arrays) -> None:
        """Raises CheckpointBroken if an array is missing or has another shape."""
        del optimiser
        try:
            self._values = LinearValues({name: weights[name] for name in ARRAYS}, self._arm_columns)
        except (KeyError, ValueError, IndexError, TypeError) as fault:
            raise CheckpointBroken(
                f"the checkpoint's tensors do not fit this experiment's linear values: {fault}",
                fix="none needed, the run starts cold; to avoid this message, move the checkpoint's directory away",
            ) from fault

    def fit(self, rows: LearningRows, on_progress: OnProgress = lambda _: None) -> TrainingReport:
        """Raises NothingToLearn if there are more than MOST_COLUMNS coefficients for an objective."""
        started = time.monotonic()
        blank = self._blank(rows.inputs) | {
            RATES: np.clip(rows.mean_rewards(), SMALLEST_RATE, 1 - SMALLEST_RATE).astype(np.float32)
        }
        design = linear_design(self._space, len(blank[MEANS]), len(blank[PAIRS]))
        if (width := len(design.groups)) > MOST_COLUMNS:
            raise NothingToLearn(
                f"learner.algorithm {self.name!r} has {width} coefficients for each objective here, more than"
                f" {MOST_COLUMNS}",
                fix=f"set learner.algorithm to {'linear' if self._pairs else 'q_network'!r}, or declare fewer features",
            )
        with torch.inference_mode():
            values = LinearValues(blank, self._arm_columns)
            columns = torch.cat([values.columns(input_tensors(part)) for part in _parts(rows.inputs)]).numpy()
        found, loss = fitted(rows, columns, design)
        coefficients, effects = blank[COEFFICIENTS].copy(), blank[ARM_EFFECTS].copy()
        places = len(design.arm_columns)
        coefficients[design.arm_columns, design.state_columns] = found[:places]
        if design.effects:
            effects[:] = found[places:]
        self._values = LinearValues(blank | {COEFFICIENTS: coefficients, ARM_EFFECTS: effects}, self._arm_columns)
        on_progress(TrainingProgress(1, 1, loss))
        return TrainingReport((loss,), 1, time.monotonic() - started, torch.get_num_threads())

    def score(self, inputs: ModelInput) -> NDArray[np.float32]:
        """Before `fit` and `restore` every value is that of a coin."""
        values = self._values_for(inputs)
        size = rows_at_once(len(self._arm_columns))
        parts = [inputs.take(slice(start, start + size)) for start in range(0, inputs.rows, size)]
        with torch.inference_mode():
            found = [values(input_tensors(part)).numpy() for part in parts]
        shape = (0, len(self._arm_columns), self._objectives)
        return np.concatenate(found) if found else np.zeros(shape, dtype=np.float32)

    def weights(self) -> dict[str, NDArray[Any]]:
        """The arrays of ARRAYS; empty before `fit` and `restore`."""
        if self._values is None:
            return {}
        return {name: tensor.numpy().copy() for name, tensor in self._values.state_dict().items()}

    def optimiser(self) -> dict[str, NDArray[Any]]:
        """Nothing: a fit does not continue another."""
        return {}

    def export(self, sample: ModelInput) -> bytes:
        """The values of all arms as ONNX, verified against `score`."""
        return export_graph(self._values_for(sample), sample)

    def _values_for(self, inputs: ModelInput) -> LinearValues:
        return LinearValues(self._blank(inputs), self._arm_columns) if self._values is None else self._values

    def _blank(self, inputs: ModelInput) -> dict[str, NDArray[Any]]:
        """The columns of `inputs`, without any effect."""
        kept = common_values(inputs)
        tensors = [torch.from_numpy(kept[name]) for name in KEPT_VALUES]
        with torch.inference_mode():
            parts = [column_parts(input_tensors(part), *tensors) for part in _parts(inputs)]
            raw = torch.cat([torch.cat(part, dim=1) for part in parts]).to(torch.float64)
            means, scales = _moments(raw)
            pairs = column_pairs([part.shape[1] for part in parts[0]], scales) if self._pairs else NO_PAIRS
            standard = standardised(raw, torch.from_numpy(means), torch.from_numpy(scales))
            pair_means, pair_scales = _moments(standard[:, pairs[:, 0]] * standard[:, pairs[:, 1]])
        coefficients = np.zeros(
            (1 + self._arm_columns.shape[1], 1 + len(means) + len(pairs), self._objectives), dtype=np.float32
        )
        coefficients[0, 0] = 0.5
        return {
            **kept,
            PAIRS: pairs,
            MEANS: means,
            SCALES: scales,
            PAIR_MEANS: pair_means,
            PAIR_SCALES: pair_scales,
            COEFFICIENTS: coefficients,
            ARM_EFFECTS: np.zeros((len(self._arm_columns), self._objectives), dtype=np.float32),
            RATES: np.full(self._objectives, 0.5, dtype=np.float32),
        }


def linear_design(space: ActionSpace, columns: int, pairs: int) -> ArmDesign:
    """Every state column crossed with every arm feature; products of columns only with the features themselves.

    Groups: state, arm, both; and products alone, and with the arm's features.
    """
    arm_columns = linear_arm_columns(space)
    width, plain = 1 + arm_columns.shape[1], 1 + arm_inputs(space).shape[1]
    first = np.stack(np.meshgrid(np.arange(width), np.arange(1 + columns), indexing="ij"), axis=-1).reshape(-1, 2)
    second = np.stack(np.meshgrid(np.arange(plain), np.arange(pairs), indexing="ij"), axis=-1).reshape(-1, 2)
    groups = np.where(first[:, 0] == 0, STATE_GROUP, np.where(first[:, 1] == 0, ARM_GROUP, CROSSED_GROUP))
    products = np.where(second[:, 0] == 0, PAIR_GROUP, CROSSED_PAIR_GROUP)
    effects = has_arm_effects(arm_columns)
    return ArmDesign(
        features=with_constant(arm_columns).astype(np.float64),
        arm_columns=np.concatenate([first[:, 0], second[:, 0]]),
        state_columns=np.concatenate([first[:, 1], 1 + columns + second[:, 1]]),
        effects=effects,
        groups=np.concatenate([groups, products, np.full(space.arms if effects else 0, ARM_GROUP)]),
    )


def fitted(rows: LearningRows, columns: NDArray[np.float32], design: ArmDesign) -> tuple[NDArray[np.float64], float]:
    """The coefficients [w, objectives], and the sum of the objectives' losses on the rows."""
    fold = unit_tenths(rows) % FOLDS
    found, loss = np.zeros((len(design.groups), rows.rewards.shape[1])), 0.0
    for seen, objectives in observed_together(rows.observed):
        folds = [
            RowSums.of(
                columns[part].astype(np.float64),
                rows.arms[part],
                rows.rewards[part][:, objectives].astype(np.float64),
                design,
            )
            for part in (np.flatnonzero(seen & (fold == number)) for number in range(FOLDS))
        ]
        found[:, objectives], losses = best_ridge(folds, design.groups)
        loss += float(losses.sum())
    return found, loss


def column_pairs(widths: Sequence[int], scales: NDArray[np.float32]) -> NDArray[np.int64]:
    """int64[m, 2]: the pairs of columns that vary and come from different parts, which have these widths."""
    part = np.repeat(np.arange(len(widths)), widths)
    first, second = np.triu_indices(len(part), 1)
    kept = (part[first] != part[second]) & (scales[first] > 0) & (scales[second] > 0)
    return np.stack([first[kept], second[kept]], axis=1).astype(np.int64)


def common_values(inputs: ModelInput) -> dict[str, NDArray[np.int64]]:
    """The categories and action types that have an indicator: the most common ones of each feature."""
    features, buckets = list[int](), list[int]()
    for feature in range(inputs[CONTEXT_IDS].shape[1] if CONTEXT_IDS in inputs else 0):
        common = _most_common(inputs[CONTEXT_IDS][:, feature], inputs.rows)
        features += [feature] * len(common)
        buckets += common
    actions = list[int]()
    if HISTORY_MASK in inputs:
        actions = _most_common(inputs[HISTORY_ACTIONS][inputs[HISTORY_MASK] > 0], inputs.rows)
    return {
        CATEGORY_FEATURES: np.array(features, dtype=np.int64),
        CATEGORY_BUCKETS: np.array(buckets, dtype=np.int64),
        ACTION_BUCKETS: np.array(actions, dtype=np.int64),
    }


def observed_together(observed: NDArray[np.bool_]) -> list[tuple[NDArray[np.bool_], list[int]]]:
    """(rows, objectives): the objectives that are observed in the same rows, with those rows, bool[n]."""
    groups: dict[bytes, list[int]] = {}
    for objective in range(observed.shape[1]):
        groups.setdefault(observed[:, objective].tobytes(), []).append(objective)
    return [(observed[:, objectives[0]], objectives) for objectives in groups.values()]


def _most_common(values: NDArray[np.int64], rows: int) -> list[int]:
    found, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MOST_CATEGORIES]
    return sorted(int(found[place]) for place in order if counts[place] >= max(LEAST_SHARE * rows, 2))


def _moments(columns: torch.Tensor) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Means and 1 / deviations of float64 columns; 0 for one that does not vary."""
    means = columns.mean(0).numpy()
    deviation = np.sqrt(np.square(columns.numpy() - means).mean(axis=0))
    varies = deviation > LEAST_DEVIATION * np.maximum(np.abs(means), 1.0)
    scales = np.where(varies, 1.0 / np.where(varies, deviation, 1.0), 0.0)
    return means.astype(np.float32), scales.astype(np.float32)


def _parts(inputs: ModelInput) -> list[ModelInput]:
    starts = range(0, max(inputs.rows, 1), COLUMN_ROWS)
    return [inputs.take(slice(start, start + COLUMN_ROWS)) for start in starts]
