"""The drift chart: rows per bin, titles that say what happened, and a drawing."""

from __future__ import annotations

import numpy as np
import vl_convert

from drift_detection.drift_chart import drift_chart, drift_rows, panel_title
from drift_detection.head_drift import DriftLimits, check_heads
from drift_detection.quantile_sketch import QuantileSketch

RNG = np.random.default_rng(0)
REFERENCE = {name: QuantileSketch.from_sample(RNG.random(5000)) for name in ("click", "save", "hide")}
LIVE = {"click": RNG.random(800).tolist(), "save": (RNG.random(800) ** 3).tolist()}
VERDICT = check_heads(REFERENCE, LIVE, DriftLimits())


def test_rows_hold_shares_that_sum_to_a_hundred() -> None:
    rows = drift_rows(REFERENCE["save"], LIVE["save"])
    for side in ("reference", "live"):
        shares = [row["share"] for row in rows if row["side"] == side]
        assert len(shares) == 10
        assert sum(shares) == 100.0 or abs(sum(shares) - 100.0) < 1e-9
    assert {row["side"] for row in drift_rows(REFERENCE["hide"], [])} == {"reference"}


def test_titles_say_what_happened() -> None:
    titles = {head.head: panel_title(head) for head in VERDICT.heads}
    assert titles["click"].startswith("click: PSI 0.0")
    assert titles["save"].endswith("drifted")
    assert "missing" in titles["hide"]


def test_it_draws_one_panel_per_head() -> None:
    chart = drift_chart(VERDICT, REFERENCE, LIVE)
    svg = vl_convert.vegalite_to_svg(chart.to_dict())
    assert svg.count("quantile bin of the reference") >= 3
    assert "drifted" in svg


def test_it_draws_without_heads() -> None:
    nothing = drift_chart(check_heads({}, {}, DriftLimits()), {}, {})
    assert vl_convert.vegalite_to_svg(nothing.to_dict()).startswith("<svg")
