"""How much each objective counts when a checkpoint is judged: what people approved, or the experiment file's start."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from event_schemas.experiment import Experiment
from policy_store.records.preference_record import PreferenceRecord, PreferenceTarget, initial_target


@dataclass(frozen=True)
class PreferenceInForce:
    """Weights on the objectives in file order, summing to 1, for everybody and for single cohorts.

    `revision` is that of the approved record, 0 for the experiment file's own α. `declared` is False while nobody has
    weighed more than two objectives: equal weights then stand in, and nothing may ship on them.
    """

    revision: int
    default: tuple[float, ...]
    cohorts: Mapping[str, tuple[float, ...]]
    declared: bool = True

    @classmethod
    def of_experiment(cls, experiment: Experiment) -> Self:
        """What holds before people have decided."""
        preference, names = experiment.preference, experiment.objective_names
        target = initial_target(names, preference.alpha_objective, preference.alpha)
        if target is None:
            return cls(0, (1.0 / len(names),) * len(names), {}, declared=False)
        return cls(0, _weights(target, experiment), {})

    @classmethod
    def of_record(cls, record: PreferenceRecord, experiment: Experiment) -> Self:
        """What people approved; raises ContractMismatch when it weighs other objectives."""
        cohorts = {name: _weights(target, experiment) for name, target in record.cohorts.items()}
        return cls(record.revision, _weights(record.default, experiment), cohorts)

    def weights_by_row(self, cohorts: Sequence[str | None]) -> NDArray[np.float64]:
        """float64[n, objectives]: the weights that hold for each row's cohort."""
        return np.array([self.cohorts.get(name or "", self.default) for name in cohorts], dtype=np.float64).reshape(
            len(cohorts), len(self.default)
        )

    def as_dict(self) -> dict[str, Any]:
        """For the evaluation's report."""
        return {
            "revision": self.revision,
            "default": list(self.default),
            "cohorts": {name: list(weights) for name, weights in self.cohorts.items()},
        }


def _weights(target: PreferenceTarget, experiment: Experiment) -> tuple[float, ...]:
    return target.in_order(experiment.objective_names, experiment.preference.alpha_objective)
