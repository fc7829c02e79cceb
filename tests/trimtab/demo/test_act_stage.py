"""The funnel, from the report of reconcile and the examples topic."""

from typing import Any

import polars as pl

from trimtab.commands.reconcile import parse_offsets
from trimtab.demo.act_stage import HALVES, funnel_of, merged_reports
from trimtab.demo.joined_examples import JoinedExamples

RECONCILED: dict[str, Any] = {
    "lost": 1,
    "duplicated": 2,
    "pending": 0,
    "inputs": 9,
    "fates": {"joined": 8, "late": 1},
    "ok": False,
}


def test_the_funnel_takes_decisions_from_producers_and_examples_from_the_topic() -> None:
    outcome = {"objective": "click", "count": 1.0, "reward": 1.0, "observed": True}
    frame = pl.DataFrame(
        {
            "request_request_id": ["a", "b"],
            "action_slice": ["EXPLORE", "FALLBACK"],
            "outcome_objectives": [[outcome], [{**outcome, "reward": 0.0}]],
        }
    )
    funnel = funnel_of(3, RECONCILED, JoinedExamples(frame))
    assert (funnel.decisions, funnel.examples, funnel.lost, funnel.duplicated) == (3, 2, 1, 2)
    assert funnel.rewarded == {"click": 1} and funnel.slices == {"EXPLORE": 1, "FALLBACK": 1}
    assert not funnel.reconciled and funnel.as_dict()["fates"]["late"] == 1


def test_the_halves_judge_every_partition_once() -> None:
    left_out = [set(parse_offsets(option, text, 4)) for option, text in HALVES]
    assert left_out == [{0, 1}, {2, 3}]


def test_reports_on_halves_add_up() -> None:
    whole = merged_reports([RECONCILED, {**RECONCILED, "lost": 0, "fates": {"joined": 1}, "ok": True}])
    assert (whole["lost"], whole["duplicated"], whole["inputs"], whole["ok"]) == (1, 4, 18, False)
    assert whole["fates"] == {"joined": 9, "late": 1}
