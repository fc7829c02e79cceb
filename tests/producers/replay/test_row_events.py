"""One row → one decision, or the reason why it is not one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from event_schemas.codec import Codec
from event_schemas.registry import Registry
from producers.replay.column_mapping import ColumnMapping, SyntheticDelay, load_mapping
from producers.replay.log_rows import LogRow
from producers.replay.row_events import BadRow, RowEvents, RowTranslator, row_as_json, synthetic_delay_ms
from tests.components.experiment_sample import HOMEFEED
from tests.producers.replay_samples import EXPERIMENT, MAPPING, START, row, shelf_experiment


def parsed(folder: Path, text: str) -> ColumnMapping:
    path = folder / "mapping.toml"
    path.write_text(text, encoding="utf-8")
    return load_mapping(path)


def translate(folder: Path, values: dict[str, Any], mapping: str = MAPPING, experiment: str = EXPERIMENT) -> Any:
    translator = RowTranslator(parsed(folder, mapping), shelf_experiment(folder, experiment), "log")
    return translator.translate(LogRow(3, values["when"], values))


def test_a_row_is_a_decision(tmp_path: Path) -> None:
    events = translate(tmp_path, row(hour=8))
    assert isinstance(events, RowEvents)
    assert events.request == {
        "request_id": "log-3",
        "event_time": START,
        "user_id": "u1",
        "session_id": None,
        "cohort": None,
        "user_embedding": [],
        "context": [{"name": "surface", "value": "home"}, {"name": "hour", "value": "8"}],
        "history": [],
        "previous": [],
    }
    action = events.action
    assert (action["slice"], action["arm"], action["weights"], action["eligible"]) == ("EXPLORE", 1, [], [])
    assert action["action_space"] == shelf_experiment(tmp_path).action_space.digest
    assert action["policy_version"] == "logged-log"
    assert events.propensity == {
        "request_id": "log-3",
        "event_time": START,
        "propensity": 0.5,
        "slice_probability": 1.0,
        "sampling_rate": 1.0,
        "probabilities": [],
        "log_density": None,
        "exploration": None,
    }
    assert events.engagements == ()


def test_its_records_fit_their_schemas(tmp_path: Path) -> None:
    codec = Codec(Registry.bundled())
    events = translate(tmp_path, row(clicks=2, clicked_at=START + 9))
    codec.encode("Request", events.request)
    codec.encode("Action", events.action)
    codec.encode("Propensity", events.propensity)
    assert codec.decode(codec.encode("Engagement", events.engagements[0])).record == {
        "engagement_id": "log-3/click/0",
        "request_id": "log-3",
        "event_time": START + 9,
        "kind": "click",
        "item_id": "b",
        "value": 2.0,
    }


def test_numbers_may_be_texts_as_in_csv(tmp_path: Path) -> None:
    events = translate(tmp_path, row(item="7", p="0.25", clicks="1", clicked_at=str(START)))
    assert (events.action["arm"], events.propensity["propensity"], len(events.engagements)) == (2, 0.25, 1)


def test_arm_names_that_look_like_numbers_are_names(tmp_path: Path) -> None:
    assert translate(tmp_path, row(item=7)).action["arm"] == 2


def test_arms_of_a_grid_come_by_index_with_their_weights(tmp_path: Path) -> None:
    mapping = MAPPING.replace('arm = "item"', 'arm = "item"\narm_is = "index"')
    events = translate(tmp_path, row(item=49), mapping, HOMEFEED)
    assert (events.action["arm"], events.action["weights"]) == (49, [91.6, 9.1])
    assert "unknown arm" in translate(tmp_path, row(item=50), mapping, HOMEFEED).detail
    assert "unknown arm" in translate(tmp_path, row(item=1.5), mapping, HOMEFEED).detail


def test_eligible_arms(tmp_path: Path) -> None:
    mapping = MAPPING.replace('arm = "item"', 'arm = "item"\neligible = "shown"')
    assert translate(tmp_path, row(shown=["b", "a"]), mapping).action["eligible"] == [0, 1]
    assert translate(tmp_path, row(shown='["b", "7"]'), mapping).action["eligible"] == [1, 2]
    assert "is not eligible" in translate(tmp_path, row(shown=["a"]), mapping).detail
    assert "shown is not a list" in translate(tmp_path, row(shown="a, b"), mapping).detail


def test_embeddings_have_the_length_the_experiment_says(tmp_path: Path) -> None:
    mapping = MAPPING.replace('user_id = "user"', 'user_embedding = "vector"')
    experiment = EXPERIMENT + "\n[features]\nuser_embedding_dim = 2\n"
    good = translate(tmp_path, row(vector=[0.5, 1]), mapping, experiment)
    assert good.request["user_embedding"] == [0.5, 1.0]
    assert "vector has 3 values" in translate(tmp_path, row(vector=[1, 2, 3]), mapping, experiment).detail
    assert "is not finite" in translate(tmp_path, row(vector=[1, float("inf")]), mapping, experiment).detail


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"p": 0}, "p = 0 is not in (0, 1] | fix: log the probability of the chosen arm"),
        ({"p": 1.5}, "p = 1.5 is not in (0, 1]"),
        ({"p": -0.1}, "p = -0.1 is not in (0, 1]"),
        ({"p": float("nan")}, "p = nan is not finite"),
        ({"p": None}, "p is missing"),
        ({"p": "half"}, "p = 'half' is not a number"),
        ({"item": "z"}, "item = 'z' is an unknown arm | fix: declare it in the experiment's action space"),
        ({"item": None}, "item is missing"),
        ({"surface": None}, "surface is missing | fix: fill it, because the experiment requires surface"),
        ({"when": None}, "when = None is not a time"),
        ({"clicks": None}, "clicks is missing"),
        ({"clicks": -1}, "clicks = -1.0 is not between 0"),
        ({"clicks": 1}, "clicked_at = None is not a time"),
    ],
)
def test_bad_rows_say_what_is_wrong(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    bad = translate(tmp_path, row(**change))
    assert isinstance(bad, BadRow)
    assert bad.detail.startswith(f"row 3 of log: {message}")
    assert " | fix: " in bad.detail
    assert bad.request_id == "log-3"


def test_a_broken_line_is_a_bad_row_without_an_id(tmp_path: Path) -> None:
    translator = RowTranslator(parsed(tmp_path, MAPPING), shelf_experiment(tmp_path), "log")
    broken = LogRow(0, None, {"line": "{"}, "line 5 is not JSON")
    bad = translator.translate(broken)
    assert bad == BadRow("log: line 5 is not JSON | fix: fix the line", None, None)
    assert json.loads(row_as_json(broken)) == {"line": "{"}


def test_made_up_delays_are_a_truncated_exponential_and_the_same_every_time() -> None:
    delay = SyntheticDelay(mean=300_000, cap=600_000)
    drawn = np.array([synthetic_delay_ms(delay, f"r{number}", "click") for number in range(4_000)])
    assert drawn[7] == synthetic_delay_ms(delay, "r7", "click")
    assert drawn[7] != synthetic_delay_ms(delay, "r7", "save")
    assert drawn.min() >= 0
    assert drawn.max() <= 600_000
    # E[t | t ≤ cap] = mean − cap / (e^(cap/mean) − 1); the sample mean's standard error is about 2.6 s
    expected = 300_000 - 600_000 / np.expm1(2.0)
    assert abs(drawn.mean() - expected) < 5 * drawn.std() / np.sqrt(len(drawn))
