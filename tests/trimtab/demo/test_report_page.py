"""The page: self-contained, escaped, with a chart for every result."""

import re
from datetime import UTC, datetime

from off_policy.estimates import Estimate
from tests.demo_samples import sample_funnel, sample_result
from trimtab.demo.report_page import estimate_cells, fate_rows, funnel_rows, render_report

NOW = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


def test_the_page_needs_nothing_from_elsewhere() -> None:
    page = render_report(sample_result(), NOW)
    assert "<script" not in page and "<link" not in page and "<img" not in page and "@import" not in page
    assert set(re.findall(r'(?:src|href)="(https?://[^"]*)"', page)) <= {"https://arxiv.org/abs/2008.07146"}
    assert '<meta name="viewport" content="width=device-width' in page


def test_the_page_holds_funnel_estimates_frontier_drift_and_verdicts() -> None:
    page = render_report(sample_result(), NOW)
    labels = re.findall(r'<svg[^>]*aria-label="([^"]*)"', page)
    assert len(labels) == 5
    assert any("frontier" in label for label in labels) and any("reference against live" in label for label in labels)
    assert sum("estimates of" in label for label in labels) == 3
    assert "inconclusive (insufficient evidence)" in page and "pass (harmless)" in page
    assert "few &lt;rows&gt;" in page
    assert "explored 95 %" in page and "item 7 (6)" in page


def test_charts_shrink_with_the_screen() -> None:
    page = render_report(sample_result(), NOW)
    heads = re.findall(r"<svg\b[^>]*>", page)
    assert heads and all("width:100%" in head and "viewBox" in head for head in heads)


def test_the_funnel_is_measured_against_the_decisions() -> None:
    rows = funnel_rows(sample_funnel(200, {"repin": 50}))
    assert [(row["count"], row["width"]) for row in rows] == [(200, 100.0), (200, 100.0), (50, 25.0)]


def test_fates_that_do_not_occur_are_left_out_and_dead_letters_marked() -> None:
    rows = fate_rows({"joined": 8, "late": 2, "orphan": 0})
    assert [(row["fate"], row["dead"]) for row in rows] == [("joined", False), ("late", True)]
    assert rows[0]["share"] == 0.8


def test_an_estimate_without_an_interval_says_why() -> None:
    estimate = Estimate.from_dict(
        {
            "estimator": "dm",
            "value": None,
            "standard_error": None,
            "interval": None,
            "refusal": {"code": "biased_estimator", "reason": "shown only"},
            "n": 10,
            "matched_rows": 3,
            "positives": 1,
            "ess": 3.0,
            "ess_inf": 3.0,
        }
    )
    cells = estimate_cells(estimate)
    assert cells["value"] == "undefined" and cells["interval"] == "none: biased estimator"
    assert cells["evidence"] == "3 matched, 1 positive, ESS 3"
