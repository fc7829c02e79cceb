"""Which checkpoints learnt from rows that were forgotten: themselves, or through the checkpoint that they continue."""

from collections.abc import Collection
from dataclasses import dataclass

from learner.checkpoints.checkpoint import CheckpointShelf
from learner.checkpoints.warm_start import lineage_of
from learner.examples.forgotten_decisions import ForgottenDecisions
from learner.examples.learner_errors import CheckpointBroken
from policy_store.records import CheckpointManifest

UNREADABLE_WINDOW = (CheckpointBroken, KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""What reading the window of a damaged or foreign manifest raises."""


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


def trained_on(shelf: CheckpointShelf, forgotten: ForgottenDecisions) -> TrainedCheckpoints:
    """The checkpoints of the shelf that learnt from a decision that is forgotten now."""
    direct, inherited, unknown = list[str](), list[str](), list[str]()
    read = list[str]()
    for version in shelf.versions():
        try:
            manifest = shelf.manifest(version)
            lineage, itself = lineage_of(manifest)[1:], forgotten.learnt(manifest.window)
            passed_on = inherited_from_gone(manifest, forgotten, read)
        except UNREADABLE_WINDOW:
            unknown.append(version)
            continue
        read.append(version)
        if itself:
            direct.append(version)
        elif passed_on or any(each.version in {*direct, *inherited} for each in lineage):
            inherited.append(version)
    return TrainedCheckpoints(tuple(direct), tuple(inherited), tuple(unknown))


def inherited_from_gone(manifest: CheckpointManifest, forgotten: ForgottenDecisions, versions: Collection[str]) -> bool:
    """Whether an ancestor that cannot be read among `versions` may have learnt from a decision that is forgotten now.

    Only the end of its training window is known. Raises one of UNREADABLE_WINDOW.
    """
    gone = [each for each in lineage_of(manifest)[1:] if each.version not in versions]
    return any(
        forgotten.between(-(2**63), each.train_to, each.forgotten if each.forgotten_list == forgotten.list_id else 0)
        for each in gone
    )
