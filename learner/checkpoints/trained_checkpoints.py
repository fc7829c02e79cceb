"""Which checkpoints were trained on rows of given times: themselves, or through the checkpoint that they continue."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from learner.checkpoints.checkpoint import CheckpointShelf
from learner.checkpoints.warm_start import lineage_of
from learner.examples.learner_errors import CheckpointBroken


@dataclass(frozen=True, slots=True)
class TrainedCheckpoints:
    """Versions on this machine, the oldest first.

    direct     the rows were in their own training windows
    inherited  an ancestor was trained on them; or one that is no longer here may have been
    unknown    their manifests cannot be read
    """

    direct: tuple[str, ...] = ()
    inherited: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def trained_on(shelf: CheckpointShelf, event_times: Collection[int]) -> TrainedCheckpoints:
    """The checkpoints of the shelf that were trained on explored rows with these request times (epoch ms)."""
    times = np.sort(np.fromiter(event_times, dtype=np.int64))
    direct, inherited, unknown = list[str](), list[str](), list[str]()
    versions = shelf.versions()
    for version in versions:
        try:
            manifest = shelf.manifest(version)
            window, lineage = manifest.window, lineage_of(manifest)[1:]
            first, after = np.searchsorted(times, [int(window["train_from"]), int(window["train_to"])])
        except (CheckpointBroken, KeyError, TypeError, ValueError, OverflowError):
            unknown.append(version)
            continue
        reached = {*direct, *inherited}
        gone = [each for each in lineage if each.version not in versions]
        if after > first:
            direct.append(version)
        elif any(each.version in reached for each in lineage) or any((times < each.train_to).any() for each in gone):
            inherited.append(version)
    return TrainedCheckpoints(tuple(direct), tuple(inherited), tuple(unknown))
