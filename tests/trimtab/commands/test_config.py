"""`trimtab config` as people use it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from event_schemas.errors import ExperimentError
from event_schemas.experiment import load_experiment, parse_experiment
from tests.components.experiment_sample import HOMEFEED
from tests.policy_store.store_samples import PEOPLE
from trimtab.commands import config
from trimtab.secret_masking import MASK


@pytest.fixture(autouse=True)
def environment(experiment_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIMTAB_EXPERIMENT", str(experiment_file))
    monkeypatch.setenv("COLUMNS", "80")
    return experiment_file


def run(*arguments: str) -> Result:
    app = typer.Typer()
    config.register(app)
    return CliRunner().invoke(app, ["config", *arguments])


def test_settings_are_shown_with_their_source_and_no_secret(
    monkeypatch: pytest.MonkeyPatch, experiment_file: Path
) -> None:
    monkeypatch.setenv("TRIMTAB_REDIS_URL", "redis://ada:xyzzy@redis/0")
    monkeypatch.setenv("TRIMTAB_SIGNING_KEY", PEOPLE.secret_text())
    secret = PEOPLE.secret_text().partition("=")[2]
    for options in (["show"], ["show", "--json"], ["show", "--experiment"], ["show", "--json", "--experiment"]):
        shown = run(*options)
        assert shown.exit_code == 0, shown.output
        assert "xyzzy" not in shown.output and secret not in shown.output
    lines = run("show").stdout.splitlines()
    assert f"TRIMTAB_REDIS_URL                environment  redis://ada:{MASK}@redis/0" in lines
    assert "TRIMTAB_KILLED                   default      false" in lines
    assert "TRIMTAB_SCHEMA_REGISTRY_URL      default      unset" in lines
    assert f"experiment {experiment_file}" in lines
    assert "    objectives       repin, click" in lines
    told = json.loads(run("show", "--json").stdout)
    assert {"variable": "TRIMTAB_TOPIC_PREFIX", "value": "trimtab.", "source": "default"}.items() <= told["settings"][
        1
    ].items()
    assert (told["experiment"]["file"], told["experiment"]["arms"]) == (str(experiment_file), 50)
    assert "values" not in told["experiment"]


def test_the_whole_experiment_can_be_written_to_a_file(experiment_file: Path) -> None:
    lines = run("show", "--experiment").stdout.splitlines()
    text = "\n".join(lines[lines.index("[experiment]") :])
    assert parse_experiment(tomllib.loads(text), Path("x")) == load_experiment(experiment_file)
    told = json.loads(run("show", "--experiment", "--json").stdout)
    assert told["experiment"]["values"]["join"]["allowed_lateness"] == "5m"
    assert told["experiment"]["values"]["gate"]["margin"] == 0.01


def test_settings_are_shown_although_the_experiment_is_broken(environment: Path) -> None:
    environment.write_text(HOMEFEED.replace("steps = 7", "steps = 1"))
    shown = run("show")
    assert isinstance(shown.exception, ExperimentError)
    assert "TRIMTAB_REDIS_URL" in shown.stdout
    told = run("show", "--json")
    assert isinstance(told.exception, ExperimentError)
    assert "weights[repin].steps = 1" in json.loads(told.stdout)["experiment"]["error"]


def test_all_is_well() -> None:
    checked = run("check", "--offline")
    assert (checked.exit_code, checked.stderr) == (0, "")
    assert [line.split()[:2] for line in checked.stdout.splitlines()] == [
        ["settings", "ok"],
        ["experiment", "ok"],
        ["keys", "ok"],
    ]
    assert json.loads(run("check", "--offline", "--json").stdout)["ok"] is True


def test_a_warning_is_told_with_its_fix_and_fails_nothing(environment: Path) -> None:
    live = HOMEFEED.replace('clock = "replay"', 'clock = "live"')
    environment.write_text(live.replace('allowed_lateness = "5m"', 'allowed_lateness = "1m"'))
    checked = run("check", "--offline")
    assert checked.exit_code == 0
    what, fix = checked.stderr.splitlines()
    assert what.startswith("warning: join.allowed_lateness = 1m is below join.max_future_skew = 5m: one clock")
    assert fix.startswith("fix: set join.max_future_skew to at most")
    told = json.loads(run("check", "--offline", "--json").stdout)
    assert (told["ok"], [len(each["warnings"]) for each in told["checks"]]) == (True, [0, 1, 0])


def test_every_problem_is_an_error_and_a_fix(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_KAFKA_BOOTSTRP", "x")
    monkeypatch.setenv("TRIMTAB_SIGNING_KEY", "@/nowhere")
    environment.write_text(HOMEFEED.replace("steps = 7", "steps = 1"))
    checked = run("check", "--offline")
    assert checked.exit_code == 1
    lines = checked.stderr.splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["error", "fix"] * 4
    assert [
        word in line
        for word, line in zip(("BOOTSTRP", "weights[repin]", "weights[click]", "/nowhere"), lines[::2], strict=True)
    ] == [True] * 4
    assert "experiment       2 wrong" in checked.stdout
    told = json.loads(run("check", "--offline", "--json").stdout)
    assert (told["ok"], [len(each["problems"]) for each in told["checks"]]) == (False, [1, 2, 1])
