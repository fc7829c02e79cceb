"""`trimtab learn` against an embedded broker, and `trimtab evaluate` on what it stored."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
import typer
from confluent_kafka import Producer
from typer.testing import CliRunner

from event_schemas.codec import Codec
from event_schemas.errors import SettingError
from event_schemas.experiment import Experiment, load_experiment
from event_schemas.registry import Registry
from learner.examples.learner_errors import ExamplesLost, StoreDamaged
from learner.examples.segment_reading import read_segments
from tests.components.embedded_log import embedded_broker
from tests.learner_samples import START, World
from trimtab.commands import evaluate, learn

EXPERIMENT = """
[experiment]
name = "small"
salt = "s"
[[weights]]
name = "repin"
production = 91.6
low = 10
high = 200
steps = 3
[[weights]]
name = "p2p"
production = 9.1
low = 1
high = 30
steps = 3
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
[join]
allowed_lateness = "1m"
[learner]
train_window = "4h"
holdout_window = "1h"
epochs = 1
batch_size = 128
[preference]
alpha_objective = "p2p"
"""
EXAMPLES = 1500


@pytest.fixture(autouse=True)
def logging_restored() -> Iterator[None]:
    """The command logs to the stderr it was started with, which ends with the test."""
    handlers = list(logging.getLogger().handlers)
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers = handlers


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    app.callback()(lambda: None)
    learn.register(app)
    evaluate.register(app)
    return app


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    file = tmp_path / "trimtab.toml"
    file.write_text(EXPERIMENT)
    monkeypatch.setenv("TRIMTAB_EXPERIMENT", str(file))
    monkeypatch.setenv("TRIMTAB_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("TRIMTAB_TOPIC_PREFIX", "small.")
    monkeypatch.delenv("TRIMTAB_SIGNING_KEY", raising=False)
    return load_experiment(file)


@pytest.fixture
def broker(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A broker that holds the examples."""
    world = World(experiment, Codec(Registry.bundled()))
    with embedded_broker() as address:
        monkeypatch.setenv("TRIMTAB_KAFKA_BOOTSTRAP", address)
        monkeypatch.setenv("TRIMTAB_KAFKA_IDENTITY", "embedded-test")
        producer = Producer({"bootstrap.servers": address})
        for record in world.log(world.examples(EXAMPLES)):
            producer.produce("small.examples", record.value, record.key, record.partition)
        assert producer.flush(20) == 0
        yield address


def test_one_run_ingests_trains_and_judges(app: typer.Typer, broker: str, tmp_path: Path) -> None:
    options = ["learn", "--once", "--no-publish", "--json", "--wait-examples", str(EXAMPLES)]
    outcome = CliRunner().invoke(app, options, catch_exceptions=False)
    assert outcome.exit_code == 0
    report = json.loads(outcome.stdout)
    assert report["verdict"] == "inconclusive"  # the defaults ask for more evidence than this
    assert report["channel"] is None
    assert report["window"]["examples"] + report["window"]["holdout_examples"] > 1000
    assert (tmp_path / "var/learner/small/checkpoints" / report["version"] / "policy.onnx").exists()
    again = CliRunner().invoke(app, ["learn", "--once", "--no-publish"], catch_exceptions=False)
    assert "not trained again" in again.stdout
    assert report["version"] in again.stdout and "inconclusive" in again.stdout


def test_what_is_damaged_or_new_is_refused_and_read_again_on_request(
    app: typer.Typer, broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = ["learn", "--once", "--no-publish", "--json"]
    segments, checkpoints = tmp_path / "var/learner/small/examples", tmp_path / "var/learner/small/checkpoints"
    first = json.loads(CliRunner().invoke(app, once, catch_exceptions=False).stdout)
    [segment] = segments.glob("*.parquet")
    sound = segment.read_bytes()
    segment.write_bytes(sound[: len(sound) // 2])
    for command in (once, ["evaluate", "--policy", "uniform"]):
        with pytest.raises(StoreDamaged, match=segment.name) as damaged:
            CliRunner().invoke(app, command, catch_exceptions=False)
        assert "--reread" in damaged.value.fix
    assert [path.name for path in checkpoints.iterdir()] == [first["version"]], "nothing new"
    again = json.loads(CliRunner().invoke(app, [*once, "--reread"], catch_exceptions=False).stdout)
    assert again["window"]["examples"] == first["window"]["examples"]
    assert (segments / "damaged" / segment.name).exists()
    latest = datetime.fromtimestamp((START + (EXAMPLES - 2) * 10_000) / 1000, UTC).isoformat()
    CliRunner().invoke(app, [*once, "--reread", "--not-after", latest], catch_exceptions=False)
    assert read_segments(segments).height == EXAMPLES - 1
    monkeypatch.setenv("TRIMTAB_KAFKA_IDENTITY", "embedded-again")
    with pytest.raises(ExamplesLost, match="embedded-test, its id is now embedded-again"):
        CliRunner().invoke(app, once, catch_exceptions=False)


@pytest.mark.parametrize("options", [[], ["--once"], ["--reread"]])
def test_a_latest_time_holds_for_one_reread_only(app: typer.Typer, experiment: Experiment, options: list[str]) -> None:
    with pytest.raises(SettingError, match="--not-after without --once and --reread"):
        CliRunner().invoke(app, ["learn", "--not-after", "2030-01-01", *options], catch_exceptions=False)
    with pytest.raises(SettingError, match="--not-after 'soon' is not a time"):
        CliRunner().invoke(app, ["learn", "--once", "--reread", "--not-after", "soon"], catch_exceptions=False)


def test_publishing_needs_a_key(app: typer.Typer, experiment: Experiment) -> None:
    with pytest.raises(SettingError, match="TRIMTAB_SIGNING_KEY"):
        CliRunner().invoke(app, ["learn", "--once"], catch_exceptions=False)


WEIGHED, UNWEIGHED = ["harmless"], ["no_preference", "insufficient_evidence"]


@pytest.mark.parametrize(
    ("verdict", "channel", "codes", "following"),
    [
        ("pass", "shadow", WEIGHED, "trimtab policy promote v7 --to stable"),
        ("pass", None, WEIGHED, "trimtab learn --once"),
        (
            "inconclusive",
            "shadow",
            UNWEIGHED,
            "trimtab alpha propose --weight a=0.334 --weight b=0.333 --weight c=0.333",
        ),
        ("pass", "canary", WEIGHED, "trimtab experiment read canary-v7"),
        ("inconclusive", "shadow", ["insufficient_evidence"], None),
        ("refuse", None, ["harm"], None),
    ],
)
def test_a_run_says_what_it_leaves_to_people(
    verdict: str, channel: str | None, codes: list[str], following: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    learn.say_next_after({"version": "v7", "verdict": verdict, "channel": channel, "reason_codes": codes}, list("abc"))
    said = capsys.readouterr().err
    assert said.splitlines()[:1] == ([] if following is None else [f"next: {following}"])
