"""Lifts in words."""

import math
from dataclasses import replace

from learner.judgement.serving_comparison import ServingComparison
from off_policy.estimates import Interval, Refusal, RefusalCode
from off_policy.paired_lift import PairedLift
from trimtab.lift_text import lift_in_words, serving_lines

BOUNDS = Interval(-0.01, 0.0523, 0.95, "mover")
LIFT = PairedLift("dr", 0.01, 0.002, BOUNDS, 0.021, 0.01, BOUNDS, None, 0.4, 100, 100, 30, 30)


def test_an_interval_or_the_reason_why_there_is_none() -> None:
    assert lift_in_words(LIFT) == "+2.1% [-1.0%, +5.2%]"
    refused = replace(LIFT, refusal=Refusal(RefusalCode.TOO_FEW_POSITIVES, "fewer than 10"))
    assert lift_in_words(refused) == "fewer than 10"
    assert lift_in_words(replace(LIFT, relative=math.nan, relative_interval=None)) == "undefined"


def test_lines_name_the_serving_checkpoint_and_the_cohorts() -> None:
    found = ServingComparison("v1", "v1 is serving", {"repin": LIFT}, {"CORE": {"repin": LIFT}})
    assert list(serving_lines(found)) == [
        "v1 is serving",
        "lift of repin over it: +2.1% [-1.0%, +5.2%]",
        "lift of repin over it in CORE: +2.1% [-1.0%, +5.2%]",
    ]
    assert list(serving_lines(ServingComparison())) == ["nobody asked which checkpoint is serving"]
