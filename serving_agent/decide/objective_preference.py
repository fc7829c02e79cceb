"""How much each objective counts for a request: the people-approved preference, per cohort."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from event_schemas.experiment import Experiment
from policy_store.records.preference_record import PreferenceRecord, PreferenceTarget, initial_target

Weights = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ObjectivePreference:
    """Weights on the objectives, float64[objectives] in the experiment file's order, each ≥ 0, summing to 1.

    `default` is None while nobody has weighed several objectives; `revision` is the record's, 0 for the
    experiment file's own.
    """

    revision: int
    default: Weights | None
    cohorts: Mapping[str, Weights] = field(default_factory=dict)

    def weights_for(self, cohort: str | None) -> Weights | None:
        """The weights of a cohort, else the default."""
        return self.default if cohort is None else self.cohorts.get(cohort, self.default)

    @classmethod
    def of_experiment(cls, experiment: Experiment) -> Self:
        """What holds before people have written a preference record: the experiment file, revision 0."""
        preference = experiment.preference
        target = initial_target(experiment.objective_names, preference.alpha_objective, preference.alpha)
        return cls(0, None if target is None else _weights(target, experiment))

    @classmethod
    def of_record(cls, record: PreferenceRecord, experiment: Experiment) -> Self:
        """The preference of a verified record; raises ContractMismatch when it weighs other objectives."""
        cohorts = {name: _weights(target, experiment) for name, target in record.cohorts.items()}
        return cls(record.revision, _weights(record.default, experiment), cohorts)


def _weights(target: PreferenceTarget, experiment: Experiment) -> Weights:
    return np.array(target.in_order(experiment.objective_names, experiment.preference.alpha_objective))
