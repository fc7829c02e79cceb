"""On an unsound log values stay and every interval goes; any other report stays what it is."""

import json
import math
from dataclasses import replace
from typing import Any

from learner.judgement.gate import Reason
from learner.judgement.log_soundness import LogSoundness, LogVerdict
from learner.judgement.withheld_intervals import shown_report
from off_policy.evaluation_report import EvaluationReport

SOUND = LogSoundness(9, 0.5, "chi_square", "nine rows", doubt="")


def test_only_an_unsound_log_has_no_intervals(trained: Any) -> None:
    content = json.loads(trained.report.checkpoint.blobs["evaluation.json"])
    report = EvaluationReport.from_dict(content["judgement"])
    assert shown_report(report, SOUND) is report
    assert shown_report(report, replace(SOUND, doubt="no tallies")) is report
    unsound = replace(SOUND, faults=(Reason("counts", "rows are missing"),))
    assert unsound.verdict is LogVerdict.UNSOUND
    shown = shown_report(report, unsound)
    text = json.dumps(shown.as_dict())
    assert "upper" not in text and "unsound_log" in text and "upper" in json.dumps(report.as_dict())
    for policy, before in zip((shown.baseline, *shown.policies), (report.baseline, *report.policies), strict=True):
        for name, found in policy.objectives.items():
            assert found.lift.relative == before.objectives[name].lift.relative or math.isnan(found.lift.relative)
            assert not found.lift.gateable and math.isnan(found.lift.standard_error)
            assert {each: value.value for each, value in found.estimates.items()} == {
                each: value.value for each, value in before.objectives[name].estimates.items()
            }
    assert EvaluationReport.from_dict(shown.as_dict()).as_dict() == shown.as_dict()
