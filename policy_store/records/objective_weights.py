"""How much each objective counts: the one meaning of α, for serving, the learner and people alike. Pure.

PRL-PUTS serves a* = argmax_a α Q_p2p(s, a) + (1 − α) Q_repin(s, a). With any number of objectives that is
a* = argmax_a Σ_o λ_o Q_o(s, a), where the weights λ_o are at least 0 and sum to 1. Which λ holds:

case                                    weights λ, in the experiment file's order
one objective                           (1,), whatever a record says: there is nothing to weigh, and a record from the
                                        time when the file had more objectives must not stop anyone
two, nobody has decided                 the file's `preference.alpha` on its `alpha_objective`, the rest on the other
three or more, nobody has decided       none. Equal weights would be a decision that nobody made, so no policy serves
                                        (FALLBACK `no_preference`) and no checkpoint passes the gate
a record, target α                      α on the `alpha_objective`, 1 − α on the other objective
a record, target by objective           as written
a request of a cohort                   the target of that cohort, else the default; so too for a cohort that the
                                        record does not name, for one that the file does not declare, and for no cohort
a target that does not fit (α without   ContractMismatch for the whole record, one cohort's target included: a node
two objectives, an unknown or a         keeps the weights it has, a run of the learner fails
missing objective)
a target outside [0, 1], or whose       cannot be written or read (RecordMalformed, see `PreferenceTarget`); within
weights do not sum to 1                 1e-9 of 1 they are used unchanged: scaling λ does not change the argmax
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from event_schemas.experiment import Experiment
from policy_store.records.preference_record import PreferenceRecord, PreferenceTarget

WEIGHTS_TOLERANCE = 1e-6
"""How far a weight of an objective may be from the one a policy was trained for: α is written with six decimals."""


@dataclass(frozen=True, slots=True)
class ObjectiveWeights:
    """The weights in force, for everybody and for individual cohorts.

    revision   that of the record which people approved; 0 for the experiment file's preference
    default    None while there is no preference between several objectives
    """

    revision: int
    default: tuple[float, ...] | None
    cohorts: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @classmethod
    def in_force(cls, experiment: Experiment, record: PreferenceRecord | None = None) -> Self:
        """What a verified record says, or the file where there is none; raises ContractMismatch as said above."""
        if record is not None:
            cohorts = {name: weights_of(target, experiment) for name, target in record.cohorts.items()}
            return cls(record.revision, weights_of(record.default, experiment), cohorts)
        target = initial_target(experiment)
        return cls(0, None if target is None else weights_of(target, experiment))

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`, for the content of a verified manifest."""
        default = content["default"]
        cohorts = {name: tuple(weights) for name, weights in content["cohorts"].items()}
        return cls(content["revision"], None if default is None else tuple(default), cohorts)

    @property
    def declared(self) -> bool:
        """Whether there are weights to serve by."""
        return self.default is not None

    def of_cohort(self, cohort: str | None) -> tuple[float, ...] | None:
        """The weights for a request of this cohort; None while there is no preference between them."""
        return self.default if cohort is None else self.cohorts.get(cohort, self.default)

    def as_dict(self) -> dict[str, Any]:
        """For the evaluation's report; plain JSON values."""
        return {
            "revision": self.revision,
            "default": None if self.default is None else list(self.default),
            "cohorts": {name: list(weights) for name, weights in self.cohorts.items()},
        }


def weights_of(target: PreferenceTarget, experiment: Experiment) -> tuple[float, ...]:
    """What a target weighs each objective, in file order; raises ContractMismatch when it does not fit them."""
    names = experiment.objective_names
    if len(names) == 1:
        return (1.0,)
    by_name = target.objective_weights(names, experiment.preference.alpha_objective)
    return tuple(by_name[name] for name in names)


def initial_target(experiment: Experiment) -> PreferenceTarget | None:
    """The target in force before people have decided; None if people must weigh the objectives first."""
    names = experiment.objective_names
    if len(names) == 2:
        return PreferenceTarget.of(alpha=experiment.preference.alpha)
    return PreferenceTarget.of(weights={names[0]: 1.0}) if len(names) == 1 else None


def judged_under(weights: ObjectiveWeights, evaluation: Mapping[str, Any]) -> bool:
    """Whether a checkpoint was judged under these weights, for everybody and every cohort; revisions may differ.

    `evaluation` is that of its manifest. One that names no weights, or none that can be read, was not.
    """
    try:
        then = ObjectiveWeights.from_dict(evaluation["preference"])
        cohorts = (None, *then.cohorts, *weights.cohorts)
        pairs = [(then.of_cohort(each), weights.of_cohort(each)) for each in cohorts]
        return all(one is not None and other is not None and same_weights(one, other) for one, other in pairs)
    except (AttributeError, KeyError, TypeError, ValueError):
        return False


def same_weights(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether two preferences weigh every objective alike."""
    return all(abs(a - b) <= WEIGHTS_TOLERANCE for a, b in zip(one, other, strict=True))
