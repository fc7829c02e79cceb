"""`trimtab forget` on stored segments."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from event_schemas.codec import Codec
from event_schemas.errors import SettingError
from event_schemas.experiment import load_experiment
from event_schemas.registry import Registry
from learner.examples.segment_reading import read_segments
from learner.examples.stored_files import EXAMPLES_FOLDER
from tests.learner_samples import World, ingested
from tests.trimtab.commands.test_evaluate import EXPERIMENT
from trimtab.commands import forget


@pytest.fixture
def segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """30 examples, one for each user."""
    file = tmp_path / "trimtab.toml"
    file.write_text(EXPERIMENT)
    monkeypatch.setenv("TRIMTAB_EXPERIMENT", str(file))
    monkeypatch.setenv("TRIMTAB_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("TRIMTAB_TOPIC_PREFIX", "t.")
    world = World(load_experiment(file), Codec(Registry.bundled()), truth=lambda users, features: features[:, :1] * 0.5)
    ingested(world, world.examples(30), tmp_path / "var/learner/small")
    return tmp_path / "var/learner/small" / EXAMPLES_FOLDER


def run(*arguments: str) -> str:
    app = typer.Typer()
    app.callback()(lambda: None)
    forget.register(app)
    outcome = CliRunner().invoke(app, ["forget", *arguments], catch_exceptions=False)
    assert outcome.exit_code == 0
    return outcome.stdout


def test_the_rows_are_removed_and_a_second_time_there_are_none(segments: Path) -> None:
    told = json.loads(run("u7", "--json"))
    assert (told["removed"], told["trained"], told["inherited"], told["unknown"]) == (1, [], [], [])
    assert "u7" not in read_segments(segments)["request_user_id"].to_list()
    assert run("u7").startswith("0 examples removed; requests up to ")


def test_a_checkpoint_that_cannot_be_read_is_named_with_what_to_do(segments: Path) -> None:
    broken = segments.parent / "checkpoints" / "v1"
    broken.mkdir(parents=True)
    (broken / "manifest.json").write_text("{}")
    shown = run("u7")
    assert "checkpoint v1   cannot be read" in shown and "delete their folders under checkpoints" in shown


def test_placeholders_are_nobody(segments: Path) -> None:
    with pytest.raises(SettingError, match="names nobody"):
        run(" null")
    assert read_segments(segments).height == 30
