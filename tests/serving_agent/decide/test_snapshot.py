"""Snapshots are replaced as a whole."""

from __future__ import annotations

import dataclasses

import pytest

from serving_agent.decide.snapshot import SnapshotHolder
from tests.serving_samples import loaded, preferring, serving_experiment, snapshot_of


def test_versions_by_channel() -> None:
    experiment = serving_experiment()
    graph = preferring(experiment, repin=1)
    snapshot = snapshot_of(experiment, stable=loaded(experiment, graph, "v1"), shadow=loaded(experiment, graph, "v2"))
    assert snapshot.versions() == {"stable": "v1", "shadow": "v2"}


def test_a_snapshot_cannot_be_changed_in_place() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        snapshot_of(serving_experiment()).killed = True  # type: ignore[misc]


def test_a_reader_keeps_what_it_took() -> None:
    experiment = serving_experiment()
    holder = SnapshotHolder(snapshot_of(experiment))
    taken = holder.current
    holder.swap(snapshot_of(experiment, killed=True))
    assert (taken.killed, holder.current.killed) == (False, True)
