"""The demo in numbers: totals that add up, and the rest by experiment."""

import io
import json

from rich.console import Console

from tests.demo_samples import sample_result
from trimtab.demo.demo_summary import result_table, summary_of, traffic_table, verdict_lines


def test_the_summary_survives_json_and_its_totals_add_up() -> None:
    summary = json.loads(json.dumps(summary_of(sample_result()), allow_nan=False))
    assert (summary["decisions"], summary["examples"], summary["lost"], summary["duplicated"]) == (300, 300, 0, 0)
    assert summary["reconciled"] is True
    assert summary["verdict"] == {
        "open-bandit-all": "inconclusive (insufficient evidence)",
        "homefeed": "pass (harmless)",
    }
    assert summary["checkpoint"]["homefeed"] == "v1"
    assert summary["nodes"]["open-bandit-all"][0]["result"] == "accepted"
    rows = summary["estimates"]["homefeed"]
    assert {row["estimator"] for row in rows} >= {"ips", "snips", "dr", "reward_at_hit"}
    assert {(row["policy"], row["objective"]) for row in rows} >= {("production", "p2p"), ("preference", "repin")}
    assert summary["experiments"]["homefeed"]["traffic"][1]["mean_weights"]["p2p"] == 20.0


def test_the_tables_fit_eighty_columns() -> None:
    text, result = io.StringIO(), sample_result()
    console = Console(file=text, width=80)
    console.print(result_table(result))
    console.print(traffic_table(result.outcomes[1]))
    shown = text.getvalue()
    assert "open-bandit-all" in shown and "inconclusive" in shown and "shadow" in shown
    assert "repin 100.0, p2p 20.0" in shown and "…" not in shown
    assert verdict_lines(result)[0].startswith("open-bandit-all: inconclusive (insufficient evidence): every lift")
