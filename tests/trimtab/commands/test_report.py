"""`trimtab report` on stored segments: a page or JSON, and what it refuses."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from event_schemas.codec import Codec
from event_schemas.errors import SettingError
from event_schemas.experiment import load_experiment
from event_schemas.registry import Registry
from learner.examples.learner_errors import NothingToLearn
from learner.learner_run import Learner
from policy_store.records.objective_weights import ObjectiveWeights
from policy_store.records.store_errors import StoreUnreachable
from tests.components.free_port import free_port
from tests.learner_samples import NOW, World, ingested
from trimtab.commands import report
from trimtab.commands.report import head_weights

EXPERIMENT = """
[experiment]
name = "small"
salt = "s"
[[weights]]
name = "repin"
production = 91.6
low = 10
high = 200
steps = 2
[[weights]]
name = "p2p"
production = 9.1
low = 1
high = 30
steps = 2
[[objectives]]
name = "repin"
kinds = ["repin"]
attribution = "5m"
[[objectives]]
name = "p2p"
kinds = ["p2p"]
attribution = "5m"
[features]
user_embedding_dim = 4
[learner]
algorithm = "linear"
train_window = "4h"
holdout_window = "1h"
alpha_steps = 2
[preference]
alpha_objective = "p2p"
"""


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    app.callback()(lambda: None)
    report.register(app)
    return app


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of the learner, with 1,200 examples and no checkpoint."""
    file = tmp_path / "trimtab.toml"
    file.write_text(EXPERIMENT)
    monkeypatch.setenv("TRIMTAB_EXPERIMENT", str(file))
    monkeypatch.setenv("TRIMTAB_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("TRIMTAB_REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    world = World(load_experiment(file), Codec(Registry.bundled()))
    ingested(world, world.examples(1200), tmp_path / "var/learner/small")
    return tmp_path / "var/learner/small"


def run(app: typer.Typer, *options: str) -> str:
    outcome = CliRunner().invoke(app, ["report", *options], catch_exceptions=False)
    assert outcome.exit_code == 0
    return outcome.stdout


def test_a_page_and_the_same_as_json(app: typer.Typer, directory: Path, tmp_path: Path) -> None:
    experiment = load_experiment(tmp_path / "trimtab.toml")
    made = Learner(experiment, directory, lambda: NOW).run(ObjectiveWeights.in_force(experiment)).checkpoint
    content = json.loads(run(app, "--json", "--head-weight", "closeup=3"))
    assert (content["version"], len(content["frontiers"][0]["points"])) == (made.version, 2)
    assert "isolation" in content["refusals"]
    out = tmp_path / "page.html"
    assert run(app, "--policy", made.version, "--out", str(out)).startswith(f"{out} written: ")
    page = out.read_text(encoding="utf-8")
    assert made.version in page and "trimtab report --isolate-features" in page
    with pytest.raises(StoreUnreachable):
        run(app, "--policy", "stable")


def test_nothing_to_report_on(app: typer.Typer, directory: Path) -> None:
    with pytest.raises(NothingToLearn, match="no checkpoint"):
        run(app)


@pytest.mark.parametrize("pair", ["closeup", "closeup=x", "=1", "repin=5", "closeup=1e400"])
def test_a_weight_that_is_none(app: typer.Typer, directory: Path, pair: str) -> None:
    with pytest.raises(SettingError, match="--head-weight"):
        run(app, "--head-weight", pair)


def test_weights_of_other_heads() -> None:
    assert head_weights(["closeup=12", "hide=-3.5"], ("repin",)) == {"closeup": 12.0, "hide": -3.5}
