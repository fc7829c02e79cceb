"""A small demo result as the acts would make it: two experiments, random rewards, no process involved."""

from __future__ import annotations

import numpy as np

from drift_detection.head_drift import DriftLimits, check_heads
from drift_detection.quantile_sketch import QuantileSketch
from off_policy.evaluation_report import EvaluationReport
from off_policy.intervals import EvidenceRequirements
from off_policy.logged_bandit import LoggedBandit
from off_policy.policy_evaluation import evaluate_policies
from off_policy.target_policies import TargetPolicy, alpha_policies, constant_policy
from trimtab.demo.act_outcome import (
    DriftView,
    EvaluationView,
    ExperimentOutcome,
    Funnel,
    LearnOutcome,
    NodeOutcome,
    ServedTraffic,
)
from trimtab.demo.demo_summary import DemoResult

ROWS, ARMS = 2_000, 4
LEARN_REPORT = {
    "version": "v1",
    "verdict": "pass",
    "reasons": ["every lift lies above -5.0%"],
    "reason_codes": ["harmless"],
    "channel": "canary",
    "window": {"examples": 900, "holdout_examples": 300},
    "seconds_training": 1.5,
}


def sample_evaluation(objectives: tuple[str, ...]) -> EvaluationReport:
    """A uniform log of four arms, evaluated for the policy named `preference` and, with two objectives, a family."""
    random = np.random.default_rng(5)
    action = random.integers(0, ARMS, ROWS)
    reward = (random.random((ROWS, len(objectives))) < 0.2 + 0.1 * action[:, None]).astype(np.float64)
    q = np.clip(random.random((ROWS, ARMS, len(objectives))), 0, 1)
    log = LoggedBandit(action, np.full(ROWS, 1 / ARMS), reward, np.ones_like(reward, dtype=bool), objectives)
    family = alpha_policies(q, 1, [0.0, 0.5, 1.0]) if len(objectives) == 2 else []
    policies = [TargetPolicy("preference", arms=q[:, :, 0].argmax(axis=1)), *family]
    baseline = constant_policy("production", 0, ROWS)
    return evaluate_policies(log, policies, baseline, q, EvidenceRequirements())


def sample_result() -> DemoResult:
    """One inconclusive experiment of act 1, one that passed of act 2."""
    random = np.random.default_rng(6)
    reference = {"repin": QuantileSketch.from_sample(random.random(1_000))}
    live = {"repin": random.random(500).tolist()}
    held_back = {**LEARN_REPORT, "verdict": "inconclusive", "reason_codes": ["insufficient_evidence"]}
    bandit = ExperimentOutcome(
        act=1,
        experiment="open-bandit-all",
        title="Open Bandit, campaign all",
        funnel=sample_funnel(100, {"click": 3}),
        learned=LearnOutcome.of({**held_back, "channel": "shadow"}),
        nodes=[
            NodeOutcome("open-bandit-all/node-1", "shadow", "v1", "accepted", ("few <rows>",), 10, {"q:click": 0.1})
        ],
        evaluations=[EvaluationView("learned policy", sample_evaluation(("click",)), ("preference",))],
        shadowed={"item 7": 6},
    )
    two = sample_evaluation(("repin", "p2p"))
    homefeed = ExperimentOutcome(
        act=2,
        experiment="homefeed",
        title="Simulated homefeed",
        funnel=sample_funnel(200, {"repin": 60, "p2p": 50}),
        learned=LearnOutcome.of(LEARN_REPORT),
        nodes=[NodeOutcome("homefeed/node-1", "stable", "v1", "accepted", (), 20, {})],
        evaluations=[EvaluationView("preference α = 0.1", two, ("preference",))],
        selection=two,
        drift=DriftView(check_heads(reference, live, DriftLimits()), reference, live),
        head_shift={"repin": 0.01},
        traffic=[
            ServedTraffic(0.1, 50, 40, {"repin": 110.0, "p2p": 15.0}, {"repin": 0.6, "p2p": 0.4}),
            ServedTraffic(0.3, 50, 40, {"repin": 100.0, "p2p": 20.0}, {"repin": 0.5, "p2p": 0.7}),
        ],
        exploration_rate=0.95,
    )
    return DemoResult([bandit, homefeed], [("Act 1", "replay", 2.0)], 12.0, 2**30)


def sample_funnel(decisions: int, rewarded: dict[str, int]) -> Funnel:
    """Every decision joined; one engagement came late for its window."""
    return Funnel(
        decisions=decisions,
        examples=decisions,
        lost=0,
        duplicated=0,
        pending=0,
        events=3 * decisions + 1,
        fates={"joined": 3 * decisions, "orphan": 0, "outside": 1},
        rewarded=rewarded,
        slices={"EXPLORE": decisions},
        reconciled=True,
    )
