"""`trimtab evaluate` on stored segments."""

import json
from pathlib import Path

import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from event_schemas.codec import Codec
from event_schemas.errors import SettingError
from event_schemas.experiment import load_experiment
from event_schemas.registry import Registry
from learner.asked_policies import UnknownArm
from learner.judgement.table_policy import TablePolicyError
from policy_store.records.store_errors import StoreUnreachable
from tests.components.free_port import free_port
from tests.learner_samples import World, ingested
from trimtab.commands import evaluate
from trimtab.evaluation_screen import HEIGHT, WIDTH

EXPERIMENT = """
[experiment]
name = "small"
salt = "s"
[catalogue]
production = "b"
features = ["size", "price"]
[[catalogue.arms]]
name = "a"
features = [0.0, 1.0]
[[catalogue.arms]]
name = "b"
features = [1.0, 0.0]
[[objectives]]
name = "repin"
kinds = ["repin"]
attribution = "5m"
[features]
user_embedding_dim = 4
[learner]
train_window = "4h"
holdout_window = "1h"
"""


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    app.callback()(lambda: None)
    evaluate.register(app)
    return app


@pytest.fixture
def mean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> float:
    """The mean reward of the 300 examples stored; every third one was shown at the first position, counted from 1."""
    file = tmp_path / "trimtab.toml"
    file.write_text(EXPERIMENT)
    monkeypatch.setenv("TRIMTAB_EXPERIMENT", str(file))
    monkeypatch.setenv("TRIMTAB_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("TRIMTAB_REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    world = World(
        load_experiment(file), Codec(Registry.bundled()), truth=lambda users, features: features[:, :1] * 0.5 + 0.2
    )
    examples = world.examples(300)
    for number, example in enumerate(examples):
        example["request"]["context"].append({"name": "position", "value": str(1 + number % 3)})
    ingested(world, examples, tmp_path / "var/learner/small")
    return float(world.rows(examples).mean_rewards()[0])


def run(app: typer.Typer, *options: str) -> str:
    outcome = CliRunner().invoke(app, ["evaluate", *options], catch_exceptions=False)
    assert outcome.exit_code == 0
    return outcome.stdout


def test_uniform_on_a_uniform_log_is_the_mean(app: typer.Typer, mean: float) -> None:
    answer = json.loads(run(app, "--policy", "uniform", "--all", "--json"))
    [policy] = answer["report"]["policies"]
    assert answer["rows"] == 300
    assert policy["objectives"]["repin"]["estimates"]["snips"]["value"] == pytest.approx(mean, rel=1e-12)
    assert policy["objectives"]["repin"]["estimates"]["ips"]["value"] == pytest.approx(mean, rel=1e-12)


def test_a_table_by_position_with_its_mapping_stated(app: typer.Typer, mean: float, tmp_path: Path) -> None:
    table = {
        "set": ["x"] * 6 + ["y"],
        "item": ["a", "b"] * 3 + ["a"],
        "slot": [0, 0, 1, 1, 2, 2, 0],
        "p": [0.5] * 6 + [1.0],
    }
    file = tmp_path / "table.parquet"
    pl.DataFrame(table).write_parquet(file)
    layout = "arm=item,probability=p,position=slot,feature=position,base=1"
    options = ("--policy", str(file), "--table", layout, "--where", "set=x", "--all")
    answer = json.loads(run(app, *options, "--json"))
    assert answer["report"]["policies"][0]["objectives"]["repin"]["estimates"]["ips"]["value"] == pytest.approx(mean)
    with pytest.raises(TablePolicyError, match="position"):
        run(app, *(option.replace("base=1", "base=0") for option in options))


def test_the_table_for_people(app: typer.Typer, mean: float) -> None:
    shown = run(app, "--policy", "production", "--all", "--full")
    assert shown.startswith("log completeness unverified\n") and "completeness_unverified: without tallies" in shown
    assert "300 explored decisions" in shown
    assert "snips" in shown
    assert "lift of repin" in shown
    assert "which checkpoint is serving is unknown: " in " ".join(shown.split())


def test_one_screen_for_people(app: typer.Typer, mean: float) -> None:
    shown = run(app, "--policy", "arm:b", "--all")
    lines = shown.splitlines()
    assert lines[0] == "log completeness unverified"
    assert len(lines) <= HEIGHT and all(len(line) <= WIDTH for line in lines)
    assert lines[-1].endswith("trimtab evaluate --full")
    assert any(line.startswith("arm:b   (agrees with ") for line in lines)


def test_what_is_only_watched_is_shown_too(app: typer.Typer, mean: float, tmp_path: Path) -> None:
    file = tmp_path / "trimtab.toml"
    file.write_text(EXPERIMENT + '[[guardrails]]\nname = "visits"\nkinds = ["visit"]\n')
    shown = run(app, "--policy", "arm:a", "--all", "--full")
    assert "lift of visits: the policy: " in " ".join(shown.split())
    content = json.loads(run(app, "--policy", "uniform", "--all", "--json"))
    assert content["report"]["objectives"] == ["repin"]
    assert content["watched"]["objectives"] == ["visits"]
    file.write_text(EXPERIMENT)
    assert json.loads(run(app, "--policy", "uniform", "--all", "--json"))["watched"] is None


def test_what_only_online_experiments_judge_is_named(app: typer.Typer, mean: float, tmp_path: Path) -> None:
    guarded = '[[guardrails]]\nname = "days"\nkinds = ["visit"]\nper = "user-day"\n'
    text = EXPERIMENT.replace("[experiment]\n", '[experiment]\nlog_unit = "user"\n') + guarded
    (tmp_path / "trimtab.toml").write_text(text)
    assert "counted per session or user-day, so judged by online experiments: days" in " ".join(
        run(app, "--policy", "arm:a", "--all", "--full").split()
    )
    assert "judged by online experiments alone: days\n" in run(app, "--policy", "arm:a", "--all")
    content = json.loads(run(app, "--policy", "uniform", "--all", "--json"))
    assert (content["watched"], content["judged_online"]) == (None, ["days"])


@pytest.mark.parametrize(
    "options",
    [
        ("--table", "colour=red"),
        ("--table", "base=one"),
        ("--table", "base=--5"),
        ("--table", "base=²"),
        ("--table", "arm"),
        ("--where", "all"),
        ("--where", "=all"),
    ],
)
def test_options_that_are_not_understood(app: typer.Typer, mean: float, options: tuple[str, ...]) -> None:
    with pytest.raises(SettingError, match=options[0]):
        run(app, "--policy", "x.parquet", *options)


def test_a_version_is_looked_up_in_the_store(app: typer.Typer, mean: float) -> None:
    with pytest.raises(StoreUnreachable):
        run(app, "--policy", "latest")


@pytest.mark.parametrize("policy", ["learned", "uniform", "production", "arm:a", "x.parquet", "folder/x"])
def test_what_is_no_version(policy: str) -> None:
    assert evaluate._is_no_version(policy)
    assert not evaluate._is_no_version("20240501T120000000Z-0a1b2c3d")


def test_one_arm_for_everybody(app: typer.Typer, mean: float) -> None:
    [policy] = json.loads(run(app, "--policy", "arm:b", "--all", "--json"))["report"]["policies"]
    assert policy["name"] == "arm:b"
    assert policy["objectives"]["repin"]["estimates"]["snips"]["value"] > mean, "arm b is the better one"


@pytest.mark.parametrize("absent", ["nope", "", "A"])
def test_an_arm_that_is_not_there_is_told_with_those_that_are(app: typer.Typer, mean: float, absent: str) -> None:
    with pytest.raises(UnknownArm, match=f"no arm '{absent}'; its 2 arms are a, b") as unknown:
        run(app, "--policy", f"arm:{absent}", "--all")
    assert "arm:b" in unknown.value.fix
