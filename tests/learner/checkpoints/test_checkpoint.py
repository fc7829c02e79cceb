"""Checkpoints on disk: complete or not there, and never altered unnoticed."""

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract
from learner.checkpoints.checkpoint import (
    BLOBS,
    END_OF_NAMES_MS,
    HASHES_FILE,
    KEPT_VERSIONS,
    OPTIMISER_FILE,
    Checkpoint,
    CheckpointShelf,
    learner_directory,
    version_id,
)
from learner.checkpoints.run_history import next_run
from learner.checkpoints.warm_start import start_from
from learner.examples.learner_errors import CheckpointBroken, ClockMismatch, StoreUnwritable
from learner.examples.training_window import WindowBounds
from learner.network.algorithm import make_algorithm
from policy_store.records.checkpoint_record import describe_blobs
from tests.learner.segment_samples import Damage, append, flip, truncate, zero


@pytest.fixture
def shelf(tmp_path: Path) -> CheckpointShelf:
    return CheckpointShelf(tmp_path / "checkpoints")


def test_each_experiment_has_a_directory_of_its_own(experiment: Experiment, tmp_path: Path) -> None:
    assert learner_directory(tmp_path, experiment) == tmp_path / "learner" / experiment.name


def renamed(checkpoint: Checkpoint, version: str) -> Checkpoint:
    return Checkpoint(checkpoint.manifest.model_copy(update={"version": version}), checkpoint.blobs, b"optimiser")


def test_a_saved_checkpoint_loads_as_it_was(shelf: CheckpointShelf, trained: Any) -> None:
    checkpoint = trained.report.checkpoint
    shelf.save(checkpoint)
    loaded = shelf.load(checkpoint.version)
    assert loaded.manifest == checkpoint.manifest
    assert loaded.blobs == dict(checkpoint.blobs)
    assert loaded.optimiser == checkpoint.optimiser
    assert set(loaded.blobs) == set(BLOBS)


def test_versions_sort_by_age_and_old_ones_are_cleared(shelf: CheckpointShelf, trained: Any) -> None:
    assert shelf.versions() == []
    names = [f"2026010{i:02d}T000000000Z-00000000" for i in range(KEPT_VERSIONS + 3)]
    for name in reversed(names[:5]):
        shelf.save(renamed(trained.report.checkpoint, name))
    for name in names[5:]:
        shelf.save(renamed(trained.report.checkpoint, name))
    assert shelf.versions() == names[3:]


def of_run(checkpoint: Checkpoint, version: str, run: Any) -> Checkpoint:
    evaluation = dict(checkpoint.manifest.evaluation) | {"run": run}
    return renamed(
        replace(checkpoint, manifest=checkpoint.manifest.model_copy(update={"evaluation": evaluation})), version
    )


def test_versions_sort_by_their_runs_whatever_times_their_names_have(shelf: CheckpointShelf, trained: Any) -> None:
    times = [f"202601{day:02d}T000000000Z-00000000" for day in (9, 3, 27, 1, 14)] + ["by-hand", "99991231T000000000Z-0"]
    for look, name in enumerate(times, start=1):
        shelf.save(of_run(trained.report.checkpoint, name, look))
    assert shelf.versions() == times
    assert next_run(shelf) == len(times) + 1
    for look in range(len(times) + 1, KEPT_VERSIONS + 3):
        times.append(f"20250101T00000{look:04d}Z-00000000")
        shelf.save(of_run(trained.report.checkpoint, times[-1], look))
    assert shelf.versions() == times[-KEPT_VERSIONS:], "the oldest runs are cleared"


BROKEN = "a manifest that cannot be read"


@pytest.mark.parametrize("look", [None, "7", True, 0, -1, 1.5, BROKEN])
def test_a_manifest_without_a_look_stays_where_its_name_is(
    shelf: CheckpointShelf, trained: Any, look: Any, tmp_path: Path
) -> None:
    names = [f"2026010{day}T000000000Z-00000000" for day in (1, 2, 3)]
    for number, name in enumerate(names, start=1):
        shelf.save(of_run(trained.report.checkpoint, name, look if number == 2 else number))
    if look == BROKEN:
        (tmp_path / "checkpoints" / names[1] / "manifest.json").write_bytes(b"junk")
    assert shelf.versions() == names
    assert shelf.run_number(names[1]) is None
    assert next_run(shelf) == 4


def test_a_half_written_version_is_not_one(shelf: CheckpointShelf, trained: Any, tmp_path: Path) -> None:
    shelf.save(trained.report.checkpoint)
    half = tmp_path / "checkpoints" / ".later.tmp"
    half.mkdir()
    (half / "manifest.json").write_bytes(b"{}")
    assert shelf.versions() == [trained.report.checkpoint.version]
    shelf.save(renamed(trained.report.checkpoint, "20270101T000000000Z-00000000"))
    assert not half.exists(), "the next save takes it away"


@pytest.mark.parametrize("name", [*BLOBS, OPTIMISER_FILE, "manifest.json"])
def test_a_missing_file_is_noticed(shelf: CheckpointShelf, trained: Any, name: str) -> None:
    (shelf.save(trained.report.checkpoint) / name).unlink()
    with pytest.raises(CheckpointBroken, match=trained.report.checkpoint.version):
        shelf.load(trained.report.checkpoint.version)


def test_a_checkpoint_of_version_0_1_0_has_no_hashes(shelf: CheckpointShelf, trained: Any) -> None:
    checkpoint = trained.report.checkpoint
    (shelf.save(checkpoint) / HASHES_FILE).unlink()
    assert shelf.load(checkpoint.version).optimiser == checkpoint.optimiser


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from([*BLOBS, OPTIMISER_FILE, "manifest.json", HASHES_FILE]),
    damage=st.sampled_from([truncate, zero, flip, append]),
    share=st.floats(0, 1, exclude_max=True),
    hashed=st.booleans(),
)
def test_damage_is_named_and_the_next_run_starts_without_it(
    name: str, damage: Damage, share: float, hashed: bool, trained: Any, experiment: Experiment, tmp_path: Path
) -> None:
    """Without hashes, as version 0.1.0 left it, some damage cannot be seen; there is never a traceback."""
    shutil.rmtree(tmp_path, ignore_errors=True)
    shelf, checkpoint = CheckpointShelf(tmp_path), trained.report.checkpoint
    folder = shelf.save(checkpoint)
    before = (folder / name).read_bytes()
    damage(folder / name, share)
    assume((folder / name).read_bytes() != before)
    if not hashed:
        (folder / HASHES_FILE).unlink()
    contract = FeatureContract.from_experiment(experiment)
    bounds = WindowBounds(0, 2**60 - 10, 2**60, 2**60 + 10, 10)
    found = start_from(partial(make_algorithm, experiment, contract), shelf, bounds, (experiment, contract))
    assert next_run(shelf) >= 1
    if hashed:
        assert found.parent is None
        assert checkpoint.version in found.why
    try:
        loaded = shelf.load(checkpoint.version)
        assert not hashed or loaded == checkpoint
    except CheckpointBroken as fault:
        assert "\n" not in fault.what
        assert "delete its directory" in fault.fix


def test_an_altered_blob_is_noticed(shelf: CheckpointShelf, trained: Any) -> None:
    path = shelf.save(trained.report.checkpoint) / "policy.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(CheckpointBroken, match=r"policy\.onnx does not match"):
        shelf.load(trained.report.checkpoint.version)


def test_a_shelf_that_cannot_be_written_is_named(trained: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnwritable, match="cannot be written"):
        CheckpointShelf(tmp_path / "file" / "checkpoints").save(trained.report.checkpoint)


def test_a_clock_that_ran_ahead_hides_no_later_version(shelf: CheckpointShelf, trained: Any) -> None:
    now, ahead = 1_700_000_000_123, 2_000_000_000_999
    assert shelf.next_time(now) == now
    for number in range(KEPT_VERSIONS):
        shelf.save(renamed(trained.report.checkpoint, version_id(ahead + number, {"a": b"%d" % number})))
    shelf.save(renamed(trained.report.checkpoint, "by-hand"))
    saved = [version_id(shelf.next_time(now), {"a": b"new"})]
    shelf.save(renamed(trained.report.checkpoint, saved[0]))
    assert shelf.next_time(now) == ahead + KEPT_VERSIONS + 1
    assert saved[0] in shelf.versions()
    assert shelf.next_time(ahead + 5_000) == ahead + 5_000


FAR_NAMES = st.sampled_from(["99991231T235959999Z-aaaa", "99990101T000000000Z-0000", "garbage", "Z-", "x" * 99])
NAMES = FAR_NAMES | st.integers(0, END_OF_NAMES_MS - 1_000).map(lambda at: version_id(at, {}))


@settings(max_examples=60, deadline=None)
@given(names=st.sets(NAMES, max_size=4), now=st.integers(1, END_OF_NAMES_MS - 10))
def test_whatever_names_are_there_a_next_one_can_be_written(
    tmp_path_factory: pytest.TempPathFactory, names: set[str], now: int
) -> None:
    directory = tmp_path_factory.mktemp("shelf")
    for name in names:
        (directory / name).mkdir()
        (directory / name / "manifest.json").write_bytes(b"{}")
    shelf = CheckpointShelf(directory)
    following = version_id(shelf.next_time(now), {"a": b"new"})
    (directory / following).mkdir()
    (directory / following / "manifest.json").write_bytes(b"{}")
    timed = [name for name in shelf.versions() if name[0].isdigit() and not name.startswith("9999")]
    assert timed[-1] == following
    far = [name for name in shelf.versions() if name.startswith("9999")]
    assert shelf.versions()[: len(far)] == far, "they are cleared away first"


@pytest.mark.parametrize("now", [-1, 0, END_OF_NAMES_MS, 2**62])
def test_a_clock_that_no_name_can_hold_is_named(shelf: CheckpointShelf, now: int) -> None:
    with pytest.raises(ClockMismatch, match="this machine's clock shows"):
        shelf.next_time(now)


def test_a_version_names_its_time_and_content() -> None:
    first = version_id(1_700_000_000_123, {"a": b"1", "b": b"2"})
    assert first.startswith("20231114T221320123Z-")
    assert first != version_id(1_700_000_000_123, {"a": b"12", "b": b""})
    assert first < version_id(1_700_000_000_124, {"a": b"1", "b": b"2"})
    assert describe_blobs({"a": b"1"})["a"].size == 1
