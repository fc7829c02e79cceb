"""The experiment in force is written out whole, and reads back as the same experiment."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from event_schemas.experiment import Experiment, load_experiment, parse_experiment
from tests.components.experiment_sample import BRIDGED_SOURCE, HOMEFEED
from tests.producers.replay_samples import EXPERIMENT as SHELF
from trimtab import experiment_text
from trimtab.experiment_text import experiment_lines, experiment_summary, experiment_values
from trimtab.secret_masking import MASK

ROOT = Path(__file__).parents[2]
FOLDERS = (ROOT / "simulator" / "experiments", ROOT / "datasets" / "open_bandit" / "experiments")
FILES = sorted(file for folder in FOLDERS for file in folder.glob("*.toml"))
ODD = '\n[[bridge]]\ntopic = "a"\nformat = "avro"\nschema_registry = "https://ada:secret@registry"\n[bridge.fields]\n'
ODD += 'request_id = "r"\nevent_time = "$timestamp"\nkind = "k"\n[bridge.kinds]\n"très \\"long\\"" = "repin"\n'
ROLES = '\n[[guardrails]]\nname = "visits"\nkinds = ["visit"]\nattribution = "3h"\nclip = 2.0\n'
ROLES += '[[guardrails]]\nname = "later"\n'


def parsed(text: str) -> Experiment:
    return parse_experiment(tomllib.loads(text), Path("trimtab.toml"))


@pytest.mark.parametrize("text", [HOMEFEED, HOMEFEED + BRIDGED_SOURCE.format(topic="shop"), HOMEFEED + ROLES, SHELF])
def test_the_text_gives_the_same_experiment(text: str) -> None:
    experiment = parsed(text)
    written = "\n".join(experiment_lines(experiment))
    assert parsed(written) == experiment
    assert experiment_values(parsed(written)) == tomllib.loads(written) | empty_tables(experiment)


def empty_tables(experiment: Experiment) -> dict[str, list[object]]:
    """TOML has no way to write an array of no tables."""
    return {name: [] for name in type(experiment).model_fields if getattr(experiment, name) == ()}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_files_that_ship_too(file: Path) -> None:
    experiment = load_experiment(file)
    assert parsed("\n".join(experiment_lines(experiment))) == experiment


def test_what_the_file_does_not_say_is_marked() -> None:
    lines = list(experiment_lines(parsed(HOMEFEED)))
    assert 'attribution = "30m"' in lines
    assert "margin = 0.01  # default" in lines
    assert 'train_window = "2w"  # default' in lines
    assert "exploration_rate = 0.0125" in lines
    assert "[features]" in lines and not any(line.startswith("[[cohorts") for line in lines)


def test_a_password_in_an_address_is_masked() -> None:
    experiment = parsed(HOMEFEED + ODD)
    written = "\n".join(experiment_lines(experiment))
    assert "secret" not in written + str(experiment_values(experiment))
    again = parsed(written.replace(MASK, "secret"))
    assert again == experiment


def test_the_summary() -> None:
    summary = experiment_summary(parsed(HOMEFEED))
    assert summary | {"action_space": ""} == {
        "name": "homefeed",
        "arms": 50,
        "action_space": "",
        "objectives": ["repin", "click"],
        "cohorts": [],
        "exploration_rate": 0.0125,
        "window": "35m",
        "approval": "manual",
    }


@pytest.mark.parametrize("address", ["ada:secret@registry:8081", "https://ada:secret@registry"])
def test_a_password_is_masked_with_and_without_a_scheme(address: str) -> None:
    assert "secret" not in experiment_text._value(address)
    assert experiment_text._value("shop.actions") == "shop.actions"
