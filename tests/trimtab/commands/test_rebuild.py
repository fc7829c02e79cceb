"""`trimtab rebuild` on a trained checkpoint."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from event_schemas.codec import Codec
from event_schemas.experiment import load_experiment
from event_schemas.registry import Registry
from learner.examples.learner_errors import RebuildImpossible
from learner.learner_run import Learner
from policy_store.records import ObjectiveWeights
from tests.learner_samples import NOW, World, ingested
from tests.trimtab.commands.test_evaluate import EXPERIMENT
from trimtab.commands import rebuild


def run(*arguments: str) -> str:
    app = typer.Typer()
    app.callback()(lambda: None)
    rebuild.register(app)
    outcome = CliRunner().invoke(app, ["rebuild", *arguments], catch_exceptions=False)
    assert outcome.exit_code == 0
    return outcome.stdout


def test_a_checkpoint_is_rebuilt_and_an_unknown_one_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "trimtab.toml"
    file.write_text(EXPERIMENT)
    monkeypatch.setenv("TRIMTAB_EXPERIMENT", str(file))
    monkeypatch.setenv("TRIMTAB_DATA_DIR", str(tmp_path / "var"))
    experiment, directory = load_experiment(file), tmp_path / "var/learner/small"
    world = World(experiment, Codec(Registry.bundled()), truth=lambda users, features: features[:, :1] * 0.5 + 0.2)
    ingested(world, world.examples(1000), directory)
    report = Learner(experiment, directory, lambda: NOW).run(ObjectiveWeights.in_force(experiment))
    version, examples = report.checkpoint.version, report.checkpoint.manifest.window["examples"]
    found = json.loads(run(version, "--json"))
    assert (found["version"], found["examples"], found["same"]) == (version, examples, True)
    assert found["difference"] <= 1e-6
    shown = run(version)
    assert shown.startswith(f"trained again on {examples:,} examples in ") and ": the same\n" in shown
    with pytest.raises(RebuildImpossible, match=f"there are: {version}"):
        run("v0")
