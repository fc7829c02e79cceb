"""The gate's error budget: when a look is due, what share of the budget it may spend, and what was spent before.

A look judges a checkpoint on the judging half of its hold-out. Its share is the probability that this look passes a
checkpoint of which one objective or guardrail is truly worse than -margin. The rule:

1. Each row is judged once. A look is due when the whole hold-out is later than that of the look before.
2. The first look spends half of the error budget. Later looks spend the budget at the rate of one in 90 days of event
   time, half of that in the 90 days after the first look, and never more than half of it at once.
3. A run that cannot pass whatever the judged rows earned is no look: it spends and shows nothing.
4. Changed settings of the gate start a new budget, which says what changed and what was spent before. It starts with
   nothing in hand: its first look spends what has accrued since the look before. What is judged is such a setting too:
   objectives, guardrails and cohorts.

So for t days after the first look at most max(1, t / 90) budgets are spent. Let H_k say that the checkpoint of look k
is worse than -margin on some objective. Its rows are later than those it was trained on, and than all rows of the looks
before. So given the past P(look k passes, H_k) <= share k, whatever people or learners made of the verdicts so far: the
shares depend on times alone. By the union bound, P(some look passes a checkpoint with H_k) is at most their sum.
Nothing is said of averages over checkpoints: a good one earns no credit for the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from event_schemas.duration import format_duration
from event_schemas.experiment import Experiment
from event_schemas.experiment_sections import ObjectiveSpec
from event_schemas.units import DAY_MS

RENEWAL_MS = 90 * DAY_MS
"""Event time in which one error budget is spent."""
LARGEST_SHARE = 0.5
"""The share of the error budget that the first look spends, and the most that any look does."""
LOOSER = {"margin": 1, "error_budget": 1, "min_matched_rows": -1, "min_positives": -1, "max_drift": 1}
"""The sign of a change that lets more checkpoints pass; windows have none."""
JUDGED = ("objective", "guardrail", "cohort")
"""What a look judges: each has the setting `<kind> <name>`, and without it more checkpoints pass."""

Setting = float | str
"""A number, or the definition of what is judged, in words."""

BASELINE = "the baseline"
"""What lifts are over, unless a checkpoint refreshes another."""

Lift = list[float]
"""A relative lift and its lower and upper bound."""


@dataclass(frozen=True, slots=True)
class Look:
    """A look that is due: its number, from 1, and its one-sided error, in (0, 0.25]."""

    number: int
    share: float

    @property
    def level(self) -> float:
        """Coverage of two-sided intervals with this error on either side."""
        return 1.0 - 2.0 * self.share

    def level_of_each(self, checks: int) -> float:
        """Coverage of intervals of which `checks` err on one side with this probability in all (Bonferroni)."""
        return 1.0 - 2.0 * self.share / max(checks, 1)


@dataclass(frozen=True, slots=True)
class PastLook:
    """What the next look needs to know of the newest one.

    holdout_to  end of its hold-out (event time, epoch ms)
    version     its checkpoint; None in the manifest of that checkpoint itself
    over        what its lifts are over, in words
    """

    number: int
    share: float
    holdout_to: int
    verdict: str
    lifts: Mapping[str, Lift]
    version: str | None = None
    over: str = BASELINE

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """From a manifest; raises KeyError, TypeError or ValueError."""
        lifts = {str(name): _lift(bounds) for name, bounds in content["lifts"].items()}
        version = content["version"]
        return cls(
            number=int(content["number"]),
            share=float(content["share"]),
            holdout_to=int(content["holdout_to"]),
            verdict=str(content["verdict"]),
            lifts=lifts,
            version=None if version is None else str(version),
            over=str(content.get("over", BASELINE)),
        )


@dataclass(frozen=True, slots=True)
class GateBudget:
    """One declared budget and what was spent of it; `settings` are those of `gate_settings`.

    number        from 1; rises with every change of the settings after the first look
    changes       what changed since the budget before, in words
    spent         by the looks of this budget
    spent_before  by all looks of earlier ones
    first_look    end of the first look's hold-out (event time, epoch ms); None before
    last          the newest look; None before
    """

    settings: Mapping[str, Setting]
    number: int = 1
    changes: tuple[str, ...] = ()
    spent: float = 0.0
    spent_before: float = 0.0
    first_look: int | None = None
    last: PastLook | None = None

    def under(self, settings: Mapping[str, Setting]) -> GateBudget:
        """This budget if the settings are the same; else the one that they start.

        A setting that an earlier version did not keep is no change.
        """
        changes = (
            *(
                _change(name, self.settings[name], value)
                for name, value in settings.items()
                if name in self.settings and self.settings[name] != value
            ),
            *_judged_changes(self.settings, settings),
        )
        if not changes or self.last is None:
            return replace(self, settings=settings)
        return replace(
            self,
            settings=settings,
            number=self.number + 1,
            changes=changes,
            spent=0.0,
            spent_before=self.spent_before + self.spent,
        )

    def look_at(self, holdout_from: int, holdout_to: int) -> Look | None:
        """The look at the hold-out [from, to) (event time, epoch ms); None if some of its rows were judged before."""
        budget = float(self.settings["error_budget"])
        if self.last is None or self.first_look is None:
            return Look(1, LARGEST_SHARE * budget)
        if holdout_from < self.last.holdout_to:
            return None
        accrued = accrual(self.first_look, self.last.holdout_to, holdout_to)
        return Look(self.last.number + 1, min(LARGEST_SHARE, accrued) * budget)

    def after(
        self, look: Look, holdout_to: int, verdict: str, lifts: Mapping[str, Lift], over: str = BASELINE
    ) -> GateBudget:
        """What the next run starts from; `lifts` are over what `over` names."""
        return replace(
            self,
            spent=self.spent + look.share,
            first_look=holdout_to if self.first_look is None else self.first_look,
            last=PastLook(look.number, look.share, holdout_to, verdict, lifts, over=over),
        )

    def joined(self, other: GateBudget) -> GateBudget:
        """Of two accounts of the same looks the one that knows more: nothing that either has spent or judged is lost.

        Of equals it is this one. If each knows looks that the other does not, both have spent, so what they spent and
        their looks are added up, and the later of the last looks is the last. Looks add up once: the result, joined
        with either again, stays as it is.
        """
        more, less = sorted((self, other), key=lambda each: (each.spent_in_all, each.number), reverse=True)
        if more.last is None or less.last is None:
            return more
        same = (more.last.version, more.last.holdout_to) == (less.last.version, less.last.holdout_to)
        if same or (less.last.number < more.last.number and less.last.holdout_to <= more.last.holdout_to):
            return more
        last = max(more.last, less.last, key=lambda each: each.holdout_to)
        firsts = [each.first_look for each in (more, less) if each.first_look is not None]
        return replace(
            more,
            spent=more.spent + less.spent_in_all,
            first_look=max(firsts, default=None),
            last=replace(last, number=more.last.number + less.last.number),
        )

    def knows(self, other: GateBudget) -> bool:
        """Whether this account has what the other has spent, and its last look."""
        return (self.spent_in_all, self.last) == (other.spent_in_all, other.last)

    @property
    def spent_in_all(self) -> float:
        """By the looks of this budget and of all before it."""
        return self.spent_before + self.spent

    def as_dict(self) -> dict[str, Any]:
        """For a checkpoint's manifest and evaluation."""
        return asdict(self) | {"changes": list(self.changes)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], version: str) -> Self:
        """From the manifest of the checkpoint `version`; raises KeyError, TypeError or ValueError if malformed."""
        last, first = content["last"], content["first_look"]
        past = None if last is None else PastLook.from_dict(last)
        if past is not None and past.version is None:
            past = replace(past, version=version)
        return cls(
            settings={str(name): _setting(value) for name, value in content["settings"].items()},
            number=int(content["number"]),
            changes=tuple(map(str, content["changes"])),
            spent=float(content["spent"]),
            spent_before=float(content["spent_before"]),
            first_look=None if first is None else int(first),
            last=past,
        )


def accrual(first_look: int, since: int, until: int) -> float:
    """Budgets that accrue in [since, until): one in 90 days, and half of one in the 90 days after `first_look`.

    All times are event times (epoch ms).
    """
    full_from = first_look + RENEWAL_MS
    slow = max(min(until, full_from) - since, 0)
    fast = max(until - max(since, full_from), 0)
    return (slow * (1.0 - LARGEST_SHARE) + fast) / RENEWAL_MS


def gate_settings(experiment: Experiment) -> dict[str, Setting]:
    """What decides what a look may pass: the settings of [gate], the windows in milliseconds, and what is judged."""
    gate, learner = experiment.gate, experiment.learner
    counted = {each.name: each for each in experiment.counted if each.role != "signal" and each.per == "request"}
    kinds = {name: "guardrail" if each.role == "guardrail" else "objective" for name, each in counted.items()}
    return {
        **{f"{kinds[name]} {name}": _definition(each) for name, each in counted.items()},
        **{f"cohort {each.name}": "" for each in experiment.cohorts},
        "margin": gate.margin,
        "error_budget": gate.error_budget,
        "min_matched_rows": float(gate.min_matched_rows),
        "min_positives": float(gate.min_positives),
        "max_drift": gate.max_drift,
        "holdout_window": float(learner.holdout_window),
        "train_window": float(learner.train_window),
    }


def _change(name: str, old: Setting, new: Setting) -> str:
    if isinstance(old, str) or isinstance(new, str):
        return f"{name}: {old} → {new}"
    sign = LOOSER.get(name)
    if sign is None:
        return f"{name} {format_duration(round(old))} → {format_duration(round(new))}"
    return f"{name} {old:g} → {new:g} ({'looser' if (new - old) * sign > 0 else 'tighter'})"


def _judged_changes(old: Mapping[str, Setting], new: Mapping[str, Setting]) -> list[str]:
    """What is judged now and was not, or the other way round; nothing if `old` does not say what was judged."""
    before, after = _judged(old), _judged(new)
    if not before:
        return []
    added = [f"{name} added (tighter)" for name in after if name not in before]
    return added + [f"{name} removed (looser)" for name in before if name not in after]


def _judged(settings: Mapping[str, Setting]) -> list[str]:
    return [name for name in settings if name.startswith(tuple(f"{kind} " for kind in JUDGED))]


def _definition(counted: ObjectiveSpec) -> str:
    """What is counted, in words: `click or save, at most 1, within 1h`."""
    kinds, within = " or ".join(sorted(counted.kinds)), format_duration(counted.attribution)
    return f"{kinds}, at most {counted.clip:g}, within {within}"


def _setting(value: Any) -> Setting:
    return value if isinstance(value, str) else float(value)


def _lift(bounds: Any) -> Lift:
    relative, lower, upper = map(float, bounds)
    return [relative, lower, upper]
