"""`trimtab experiment` as people use it, against a real Redis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from event_schemas.errors import SettingError
from event_schemas.units import DAY_MS, MINUTE_MS
from policy_store.records.channel_record import Channel
from policy_store.records.store_errors import (
    ExperimentRefused,
    RecordMalformed,
    RevisionConflict,
    RoleForbidden,
    UnknownCheckpoint,
)
from tests.policy_store.store_samples import LEARNER, people
from tests.trimtab.store_commands import StoreCommands

SWEEP = ("--share", "0.2", "--by", "ada", "--reason", "three alphas")


@pytest.fixture
def cli(redis_url: str, tmp_path: Path) -> StoreCommands:
    made = StoreCommands(redis_url, tmp_path)
    made.put("v1")
    return made


def start(cli: StoreCommands, name: str = "sweep", *more: str) -> dict[str, Any]:
    arms = ("--arm", "a3,alpha=0.3,version=latest", "--arm", "a5,alpha=0.5,version=latest")
    record: dict[str, Any] = cli.json("experiment", "start", name, *arms, *SWEEP, *more)
    return record


def test_an_experiment_is_started_listed_and_shown(cli: StoreCommands) -> None:
    assert cli.json("experiment", "list") == []
    before = cli.store().time_ms()
    [plan] = start(cli)["running"]
    assert [(arm["name"], arm["version"]) for arm in plan["arms"]] == [("control", None), ("a3", "v1"), ("a5", "v1")]
    assert [arm["share"] for arm in plan["arms"]] == pytest.approx([1 / 3] * 3)
    assert plan["planned_end"] - plan["start"] == 14 * DAY_MS
    assert before + MINUTE_MS <= plan["start"] < before + 2 * MINUTE_MS
    assert (plan["share"], plan["log_rate"], plan["guardrails"]) == (0.2, 1.0, [])
    assert cli.json("experiment", "list") == [plan]
    text = cli.run("experiment", "list")
    assert "sweep       starts later  20.0%" in text
    assert "arms control, a3, a5; control control" in text
    shown = cli.json("experiment", "show", "sweep")
    assert (shown["state"], shown["nodes"], shown["id"]) == ("starts later", {}, "sweep")
    text = cli.run("experiment", "show", "sweep")
    assert "sweep: 20.0% of the users, control control" in text
    assert "α = 0.3" in text


def test_live_nodes_are_shown_and_old_ones_stop_a_start(cli: StoreCommands) -> None:
    cli.store().heartbeat("n2", {}, 60)
    with pytest.raises(ExperimentRefused, match="the nodes n2 are of a release") as refused:
        start(cli)
    assert "--mixed-fleet" in refused.value.fix
    revision = start(cli, "sweep", "--mixed-fleet")["revision"]
    ready = {"revision": revision, "checkpoints": {"v1": {"result": "accepted", "notes": []}}}
    cli.store().heartbeat("n1", {"experiments": ready}, 60)
    assert cli.json("experiment", "show", "sweep")["nodes"] == {
        "n1": "serves every arm",
        "n2": "serves no experiments: it is of an earlier release",
    }
    assert "serves every arm" in cli.run("experiment", "show", "sweep")


def test_options_say_when_how_long_and_what_is_logged(cli: StoreCommands) -> None:
    options = ("--start", "2036-01-01T00:00Z", "--for", "2d", "--log-rate", "0.25")
    [plan] = start(cli, "sweep", *options)["running"]
    assert (plan["start"], plan["planned_end"] - plan["start"]) == (2_082_758_400_000, 2 * DAY_MS)
    assert plan["log_rate"] == 0.25
    with pytest.raises(ExperimentRefused, match="start it now or later"):
        start(cli, "earlier", "--start", "2020-01-01T00:00Z")
    with pytest.raises(SettingError, match="--for"):
        start(cli, "odd", "--for", "soon")


def test_the_share_grows(cli: StoreCommands) -> None:
    start(cli)
    [plan] = cli.json("experiment", "enlarge", "sweep", "--share", "0.5", "--by", "ada")["running"]
    assert plan["share"] == 0.5
    assert "60.0% of the users" in cli.run("experiment", "enlarge", "sweep", "--share", "0.6", "--by", "ada")
    with pytest.raises(ExperimentRefused, match="not more"):
        cli.run("experiment", "enlarge", "sweep", "--share", "0.1", "--by", "ada")


def test_what_people_cannot_mean_is_refused(cli: StoreCommands) -> None:
    with pytest.raises(UnknownCheckpoint, match="v9"):
        cli.run("experiment", "start", "x", "--arm", "a,version=v9", *SWEEP)
    with pytest.raises(SettingError, match="keys are"):
        cli.run("experiment", "start", "x", "--arm", "a,beta=1", *SWEEP)
    with pytest.raises(RecordMalformed, match="share"):
        cli.run("experiment", "start", "x", "--arm", "a,alpha=0.3", "--share", "0", "--by", "ada")
    with pytest.raises(ExperimentRefused, match="knows no experiment"):
        cli.run("experiment", "show", "x")
    cli.signing_key = LEARNER.secret_text()
    with pytest.raises(RoleForbidden):
        start(cli)
    assert cli.store().experiments() is None


def test_a_canary_is_shown_as_the_experiment_that_it_is(cli: StoreCommands) -> None:
    from policy_store.decisions.governance import point_channel

    point_channel(cli.store(), Channel.CANARY, "v1", people(), ttl_ms=DAY_MS)
    shown = cli.json("experiment", "show", "canary-v1")
    assert [(arm["name"], arm["share"], arm["version"]) for arm in shown["arms"]] == [
        ("canary", 0.5, "v1"),
        ("control", 0.5, None),
    ]
    assert (shown["share"], shown["state"], shown["nodes"]) == (0.1, "runs", {})
    served = {"experiments": {"revision": None, "checkpoints": {}}, "versions": {"canary": "v1"}}
    cli.store().heartbeat("n1", served, 60)
    assert "serves every arm" in cli.run("experiment", "show", "canary-v1")
    point_channel(cli.store(), Channel.STABLE, "v1", people(), ttl_ms=DAY_MS)
    ended = cli.json("experiment", "show", "canary-v1")
    assert (ended["state"], ended["nodes"]) == ("is not among those that run", {})
    with pytest.raises(ExperimentRefused, match="knows no experiment"):
        cli.run("experiment", "show", "canary-v2")


def test_two_people_at_once_do_not_overwrite_each_other(cli: StoreCommands, monkeypatch: pytest.MonkeyPatch) -> None:
    from policy_store.decisions import experiment_decisions

    checked = experiment_decisions._require_new_id

    def somebody_else_starts(*arguments: Any) -> None:
        monkeypatch.setattr(experiment_decisions, "_require_new_id", checked)
        start(cli, "theirs")

    monkeypatch.setattr(experiment_decisions, "_require_new_id", somebody_else_starts)
    with pytest.raises(RevisionConflict):
        start(cli, "mine")
    assert [each["id"] for each in cli.json("experiment", "list")] == ["theirs"]
