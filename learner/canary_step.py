"""What the learner does about a canary at each of its runs: promote it, withdraw it, or wait.

A pass of the gate only starts a canary: an online experiment between users who get the checkpoint and users who get
what stable serves, or production while stable serves nothing. This step may look at it as often as it likes, because
the bounds hold at all looks together (`off_policy.sequential_reading`):

1. Harmed: withdrawn at once.
2. Superior, and its requests span `gate.min_canary_time`: promoted to stable, which ends the experiment.
3. The same, but the weights in force are not those that the gate judged it under: withdrawn, as nobody has tested it
   under them.
4. Superior, and its requests do not span that yet: it waits, but for no longer than `gate.max_canary_time` and
   `gate.min_canary_time` together: by then they would span it, had they gone on.
5. Undecided after `gate.max_canary_time`, or superior without a pass of the gate and people have not decided by then:
   withdrawn.
6. Otherwise it waits, and no other checkpoint takes its place (`learner.checkpoints.publishing`).

Under manual approval it only says what it sees. When it ends the canary, the audit keeps the offline lift beside the
online lift. If the process dies before that, the decision stands and only this entry is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from event_schemas.experiment_sections import GateSpec
from event_schemas.units import DAY_MS
from learner.checkpoints.publishing import OWNER, Publisher
from learner.experiment_look import ExperimentLook, error_budget_of, look_at, offline_lifts
from off_policy.sequential_reading import ArmState
from policy_store.decisions import (
    Release,
    canary_runs,
    keep_release,
    planned_experiment,
    read_preference_verified,
    running_canary,
    verify_checkpoint,
)
from policy_store.records import CANARY_ARM, CANARY_PREFIX, CheckpointManifest, ObjectiveWeights, judged_under

Step = Literal["promote", "withdraw", "wait"]
ENDED: dict[Step, Literal["promoted", "withdrawn"]] = {"promote": "promoted", "withdraw": "withdrawn"}


@dataclass(frozen=True, slots=True)
class CanaryDecision:
    """What is to be done about the canary of `version`, and why; `done` is False under manual approval."""

    version: str
    step: Step
    reason: str
    done: bool


@dataclass(frozen=True, eq=False)
class CanaryStep:
    """Reads the canary of one store, from the examples in the learner's `directory`, and acts by the publisher's key.

    `stage` is told what was decided.
    """

    publisher: Publisher
    directory: Path
    stage: Callable[[str, str], None]

    def take(self) -> CanaryDecision | None:
        """Look and act; None without a canary. Raises StoreDamaged and the errors of verifying and publishing."""
        store, rule, experiment = self.publisher.store, self.publisher.rule, self.publisher.experiment
        experiment_id = running_canary(store, rule)
        if experiment_id is None:
            return None
        plan = planned_experiment(store, experiment_id, rule, experiment)
        error = error_budget_of(experiment_id, experiment, canary_runs(store, rule))
        look = look_at(plan, self.directory, experiment, error)
        version = experiment_id.removeprefix(CANARY_PREFIX)
        manifest = verify_checkpoint(store.get_checkpoint(version), version, rule)
        step, reason = decide(look, manifest, experiment.gate)
        if step == "promote" and not judged_under(self._weights(), manifest.evaluation):
            step, reason = "withdraw", "the preference has changed since it passed"
        automatic = experiment.gate.approval == "auto"
        self.stage("canary", f"{version}: {step}, {reason}" + ("" if automatic else "; people decide"))
        if automatic:
            self._act(step, manifest, reason, look)
        return CanaryDecision(version, step, reason, automatic)

    def _weights(self) -> ObjectiveWeights:
        """Those in force. Only a promotion asks: harm is acted on even if nobody can read the preference."""
        record = read_preference_verified(self.publisher.store, self.publisher.rule)
        return ObjectiveWeights.in_force(self.publisher.experiment, record)

    def _act(self, step: Step, manifest: CheckpointManifest, reason: str, look: ExperimentLook) -> None:
        if step == "wait":
            return
        if step == "promote":
            self.publisher.promote(manifest.version, reason)
        else:
            self.publisher.withdraw(manifest.version, reason)
        keep_release(
            self.publisher.store,
            Release(
                version=manifest.version,
                experiment=look.plan.id,
                arm=CANARY_ARM,
                ended=ENDED[step],
                reason=reason,
                users=sum(arm.users for arm in look.found.comparison.arms.values()),
                offline=offline_lifts(manifest),
                online=look.online_lifts(CANARY_ARM),
            ),
            OWNER,
        )


def decide(look: ExperimentLook, manifest: CheckpointManifest, gate: GateSpec) -> tuple[Step, str]:
    """The next step and the reason for it, from one look; `look.plan.planned_end` is now."""
    arm, seen = look.arms[CANARY_ARM], look.found.seen
    told = "; ".join(arm.reasons)
    spanned = 0 if seen is None else seen[1] - seen[0]
    ran = look.plan.planned_end - look.plan.start
    if arm.state is ArmState.HARMED:
        return "withdraw", told
    if arm.state is ArmState.SUPERIOR and manifest.verdict == "pass":
        if spanned >= gate.min_canary_time:
            return "promote", f"{told}; {_lifts(look)}"
        longest, wanted = gate.max_canary_time + gate.min_canary_time, f"{gate.min_canary_time / DAY_MS:g} days"
        if ran >= longest:
            span = f"its requests span {spanned / DAY_MS:.1f} of {wanted}"
            return "withdraw", f"{told}, but {span} after {longest / DAY_MS:g} days: its traffic has stopped"
        return "wait", f"{told}, but its requests do not span {wanted} yet"
    days = f"{gate.max_canary_time / DAY_MS:g} days"
    over = ran >= gate.max_canary_time
    if arm.state is ArmState.SUPERIOR:
        if over:
            return "withdraw", f"{told}, but people did not decide within {days}"
        return "wait", f"{told}, but the gate's verdict is {manifest.verdict}: people decide"
    return ("withdraw", f"no verdict after {days}: {told}") if over else ("wait", told)


def _lifts(look: ExperimentLook) -> str:
    shown = []
    for name, reading in look.arms[CANARY_ARM].outcomes.items():
        if reading.interval is not None:
            lift = look.found.comparison.arms[CANARY_ARM].outcomes[name].lift
            shown.append(f"{name} {lift:+.1%} [{reading.interval.lower:+.1%}, {reading.interval.upper:+.1%}]")
    return ", ".join(shown)
