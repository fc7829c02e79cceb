"""`trimtab evidence` on stored examples: rows, days, and what to do if the screen needs too many."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
import typer
from typer.testing import CliRunner

from event_schemas.codec import Codec
from event_schemas.errors import SettingError
from event_schemas.experiment import Experiment, load_experiment
from event_schemas.registry import Registry
from learner.examples.learner_errors import NothingToLearn
from policy_store.backends.memory_store import MemoryStore
from policy_store.records.channel_record import Channel
from tests.learner_samples import World, ingested
from tests.serving_samples import StoreDesk, preferring
from tests.trimtab.commands.test_learn import EXPERIMENT
from trimtab.commands import evidence


@pytest.fixture(autouse=True)
def logging_restored() -> Iterator[None]:
    handlers = list(logging.getLogger().handlers)
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers = handlers


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    app.callback()(lambda: None)
    evidence.register(app)
    return app


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    file = experiment_file(tmp_path, "min_matched_rows = 100", "holdout_window = '1h'")
    monkeypatch.setenv("TRIMTAB_EXPERIMENT", str(file))
    monkeypatch.setenv("TRIMTAB_DATA_DIR", str(tmp_path / "var"))
    return load_experiment(file)


def experiment_file(folder: Path, gate: str, holdout: str) -> Path:
    file = folder / "trimtab.toml"
    file.write_text(EXPERIMENT.replace('holdout_window = "1h"', holdout) + f"[gate]\nmargin = 0.05\n{gate}\n")
    return file


def stored(experiment: Experiment, folder: Path, spacing_ms: int) -> None:
    world = World(experiment, Codec(Registry.bundled()), spacing_ms=spacing_ms)
    ingested(world, world.examples(3000), folder / "var/learner/small")


def test_little_traffic_proposes_an_online_experiment(app: typer.Typer, experiment: Experiment, tmp_path: Path) -> None:
    stored(experiment, tmp_path, 400_000)
    told = CliRunner().invoke(app, ["evidence", "--lift", "0.1"], catch_exceptions=False)
    said = " ".join(told.stdout.split())
    assert "explored rows a day in the newest 13.9 days" in said
    assert "days of hold-out, more than 14, or experiment.exploration_rate = " in said
    assert "next: trimtab experiment start candidate --share " in told.stderr
    found = json.loads(CliRunner().invoke(app, ["evidence", "--json"], catch_exceptions=False).stdout)
    assert found["days"] > 14 and not found["screens"]
    share = float(told.stderr.split("--share ")[1].split()[0])
    assert found["experiment_share"] <= share <= 1.1 * found["experiment_share"]
    assert f"{found['arm_requests_per_day']:,.0f} requests a day in each of two arms" in said


def test_more_traffic_needs_a_longer_hold_out_or_none(app: typer.Typer, experiment: Experiment, tmp_path: Path) -> None:
    stored(experiment, tmp_path, 5_000)
    longer = CliRunner().invoke(app, ["evidence", "--lift", "0.5"], catch_exceptions=False)
    said = " ".join(longer.stdout.split())
    assert re.search(r"set learner.holdout_window = '\dd', which starts a new budget of the gate", said)
    experiment_file(tmp_path, "min_matched_rows = 1", "holdout_window = '3h'")
    enough = CliRunner().invoke(app, ["evidence", "--lift", "1.5"], catch_exceptions=False)
    assert "the hold-out of 0.125 days is long enough" in enough.stdout
    one = CliRunner().invoke(app, ["evidence", "--objective", "p2p", "--json"], catch_exceptions=False)
    assert [each["name"] for each in json.loads(one.stdout)["outcomes"]] == ["p2p"]


def test_what_is_not_there_is_said(app: typer.Typer, experiment: Experiment) -> None:
    with pytest.raises(SettingError, match="--objective 'x' is not an objective"):
        CliRunner().invoke(app, ["evidence", "--objective", "x"], catch_exceptions=False)
    with pytest.raises(NothingToLearn, match="no example is stored"):
        CliRunner().invoke(app, ["evidence"], catch_exceptions=False)


def test_while_a_checkpoint_serves_it_says_what_a_refresh_needs(
    app: typer.Typer, experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = StoreDesk(experiment, MemoryStore(experiment.name))
    for name in ("trust_rule", "open_store"):
        monkeypatch.setattr(evidence, name, lambda *_, of=name: desk.rule if of == "trust_rule" else desk.store)
    stored(experiment, tmp_path, 5_000)

    def told(*options: str) -> str:
        return " ".join(CliRunner().invoke(app, ["evidence", *options], catch_exceptions=False).stdout.split())

    assert "refresh" not in told()
    desk.publish("v1", preferring(experiment, repin=3), evaluation={"verdict": "pass"})
    desk.point(Channel.STABLE, "v1")
    assert "v1 is serving; no other checkpoint on this machine says how often a refresh agrees with it" in told()
    said = told("--refresh-agreement", "0.9")
    assert "v1 is serving; a refresh that agrees with it in 90.0% of requests" in said
    assert re.search(r"a refresh needs [\d.]+ days of hold-out|long enough for a refresh", said)
    refresh = json.loads(told("--refresh-agreement", "0.9", "--json"))["refresh"]
    assert (refresh["serving"], refresh["agreement"]) == ("v1 is serving", 0.9)
    assert refresh["forecast"]["days"] < json.loads(told("--json"))["days"]
