"""The demo's directory, keys and environments."""

from pathlib import Path

import pytest

from policy_store.records.signing import Role, SigningKey, TrustedKeys
from trimtab.demo.job_runner import DemoFailed
from trimtab.demo.workspace import GOVERNANCE, HOMEFEED, OPEN_BANDIT, DemoExperiment, Workspace
from trimtab.embedded_runtime import EmbeddedRuntime

RUNTIME = EmbeddedRuntime("127.0.0.1:9", "redis://127.0.0.1:8/0", "embedded-test")


def test_the_keys_sign_in_their_roles_and_are_trusted(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "demo")
    with workspace.prepared():
        pass
    keys = [SigningKey.parse(workspace.signing_key(role)) for role in ("learner", "governance")]
    assert [key.role for key in keys] == [Role.LEARNER, Role.GOVERNANCE]
    trusted = TrustedKeys.parse(workspace.trusted_keys())
    for key in keys:
        assert trusted.verify(key.key_id, b"payload", key.sign(b"payload"), "it") is key.role


def test_an_earlier_demo_is_emptied_and_anything_else_is_left_alone(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "demo")
    with workspace.prepared():
        (workspace.directory / "old").touch()
    with workspace.prepared():
        pass
    assert not (workspace.directory / "old").exists()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "precious").touch()
    with pytest.raises(DemoFailed, match="not from a demo"), Workspace(mine).prepared():
        pass
    assert (mine / "precious").exists()


def test_a_second_demo_in_the_directory_is_refused_and_deletes_nothing(tmp_path: Path) -> None:
    first, second = Workspace(tmp_path / "demo"), Workspace(tmp_path / "demo")
    with first.prepared():
        (first.directory / "held").touch()
        with pytest.raises(DemoFailed, match="another demo is running in") as caught, second.prepared():
            pass
        assert "TRIMTAB_DATA_DIR" in caught.value.fix
        assert (first.directory / "held").exists()
        with Workspace(tmp_path / "other").prepared():
            pass
    with second.prepared():
        assert not (first.directory / "held").exists()


def test_an_experiment_has_topics_data_and_settings_of_its_own(tmp_path: Path) -> None:
    experiment = DemoExperiment(Workspace(tmp_path), RUNTIME, HOMEFEED)
    environment = experiment.environment()
    assert environment["TRIMTAB_KAFKA_BOOTSTRAP"] == RUNTIME.kafka_bootstrap
    assert environment["TRIMTAB_TOPIC_PREFIX"] == "trimtab.homefeed."
    assert environment["TRIMTAB_DATA_DIR"] == str(tmp_path / "homefeed")
    job = experiment.job("alpha", "approve", "p-1", label="approve", signs_as=GOVERNANCE)
    assert job.name == "homefeed-approve" and list(job.arguments) == ["alpha", "approve", "p-1"]
    assert job.environment["TRIMTAB_SIGNING_KEY"].endswith("governance.key")


def test_what_the_demo_reads_ships_with_the_repository() -> None:
    assert HOMEFEED.exists() and (OPEN_BANDIT / "mapping.toml").exists()
