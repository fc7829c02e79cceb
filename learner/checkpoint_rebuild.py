"""Trains a checkpoint of this machine again, from the stored examples, and says how far the values differ.

What a run trains on is determined by the stored rows, its window, the experiment file, its parent and the number of
threads. The manifest names them all, and has a digest of the rows. If one is gone or another, the error names it:
values that are compared after training on other rows say nothing.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from event_schemas.experiment import Experiment
from event_schemas.exploration import ExplorationSettings
from event_schemas.section_digests import differing_sections, section_digests
from event_schemas.slices import Slice
from feature_contract import FeatureContract, ModelInput
from learner.checkpoints.checkpoint import OPTIMISER_FILE, Checkpoint, CheckpointShelf
from learner.examples.example_rule import EVENT_TIME
from learner.examples.forgotten_users import forgotten_counts
from learner.examples.learner_errors import NothingToLearn, RebuildImpossible
from learner.examples.learning_rows import COLUMNS
from learner.examples.row_digest import row_digest, rows_by_day
from learner.examples.segment_reading import read_segments
from learner.examples.training_window import LearningWindow, build_window
from learner.network.algorithm import Algorithm, make_algorithm
from learner.network.linear_rival import rows_set_aside
from learner.network.tensor_file import read_tensors
from learner.network.training_progress import OnProgress
from policy_store.records import WEIGHTS_BLOB

CLOSE = 1e-6
"""The largest difference of two values in [0, 1] that the same training may give."""
UNTRAINED_SECTIONS = frozenset({"gate", "preference", "serving", "bridge", "cohorts"})
"""Sections of the experiment file that training does not read."""
COMPARED_ROWS = 4_096
NAMED_DAYS = 5


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The result: `difference` is max |ΔQ| over all arms and objectives of the `compared` rows.

    These are the held-out rows that are stored, or without any the training rows.
    """

    version: str
    examples: int
    compared: int
    difference: float
    seconds: float

    @property
    def same(self) -> bool:
        """Whether the values agree."""
        return self.difference <= CLOSE

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self) | {"same": self.same}


@dataclass(frozen=True, eq=False)
class Rebuild:
    """What checkpoints are rebuilt from: this machine's files and the experiment file."""

    experiment: Experiment
    shelf: CheckpointShelf
    examples_directory: Path
    explorations: Mapping[str, ExplorationSettings]

    def run(self, version: str, on_progress: OnProgress = lambda _: None) -> Rebuilt:
        """Raises RebuildImpossible, CheckpointBroken and StoreDamaged. Sets the number of torch's threads."""
        started = time.monotonic()
        if version not in self.shelf.versions():
            kept = ", ".join(self.shelf.versions()) or "none"
            raise _impossible(version, f"it is not on this machine; there are: {kept}", "give one of these")
        checkpoint = self.shelf.load(version)
        self._require_settings(checkpoint)
        window = self._window(checkpoint)
        algorithm = self._parent(checkpoint)
        torch.set_num_threads(int(checkpoint.manifest.window.get("threads", torch.get_num_threads())))
        aside = rows_set_aside(algorithm, window.training, (self.experiment, self._contract))
        algorithm.fit(window.training.take(~aside), on_progress)
        rows = window.holdout if window.holdout.count else window.training
        difference = _difference(self._restored(checkpoint), algorithm, rows.inputs)
        return Rebuilt(version, window.training.count, rows.count, difference, time.monotonic() - started)

    @property
    def _contract(self) -> FeatureContract:
        return FeatureContract.from_experiment(self.experiment)

    def _require_settings(self, checkpoint: Checkpoint) -> None:
        manifest = checkpoint.manifest
        ours = section_digests(self.experiment)
        differing = differing_sections(ours, manifest.section_digests or ours)
        trained = [name for name in differing if name not in UNTRAINED_SECTIONS]
        if manifest.feature_contract != self._contract.digest and "features" not in trained:
            trained.append("the feature encoding")
        if trained:
            what = f"the experiment file has other settings than it was trained with: {', '.join(trained)}"
            raise _impossible(manifest.version, what, "give the file of that time as TRIMTAB_EXPERIMENT")

    def _window(self, checkpoint: Checkpoint) -> LearningWindow:
        """The window of that run, with the same training rows."""
        version, told = checkpoint.version, checkpoint.manifest.window
        try:
            holdout_to, examples = int(told["holdout_to"]), int(told["examples"])
        except (KeyError, TypeError, ValueError, OverflowError) as fault:
            raise _impossible(version, f"its manifest does not name its window: {fault!r}", "train again") from fault
        rows = told.get("training_rows")
        if not isinstance(rows, Mapping) or not {"digest", "days"} <= rows.keys():
            what = "an earlier release trained it, by other steps, and its manifest has no digest of its rows"
            raise _impossible(version, what, "rebuild a checkpoint of this release, or train one: trimtab learn --once")
        frame = read_segments(self.examples_directory, list(COLUMNS))
        if frame.height:
            frame = frame.filter(pl.col(EVENT_TIME) < holdout_to)
        try:
            window = build_window(frame, self.experiment, self._contract, self.explorations, holdout_to - 1)
        except NothingToLearn as fault:
            raise self._rows_differ(version, {}, told, fault.what) from fault
        if window.training.count != examples or rows["digest"] != row_digest(window.training):
            stored = f"{window.training.count}, with other values or of other requests"
            raise self._rows_differ(version, rows_by_day(window.training), told, stored)
        return window

    def _rows_differ(
        self, version: str, stored: Mapping[str, int], told: Mapping[str, Any], otherwise: str
    ) -> RebuildImpossible:
        """The error that names the days on which training rows are gone or came later."""
        trained: Mapping[str, int] = told["training_rows"]["days"]
        days = [day for day in sorted({*trained, *stored}) if trained.get(day, 0) != stored.get(day, 0)]
        named = [f"{stored.get(day, 0)} of {trained.get(day, 0)} on {day}" for day in days[:NAMED_DAYS]]
        more = [f"and {len(days) - NAMED_DAYS} more days"] if len(days) > NAMED_DAYS else []
        rows = ", ".join([*named, *more]) if days else otherwise
        arms = forgotten_counts(self.examples_directory).arms
        forgotten = sum(count for key, count in arms.items() if key.slice == Slice.EXPLORE.value)
        about = f"; {forgotten} explored decisions were forgotten on request" if forgotten else ""
        return _impossible(
            version,
            f"of its {told['examples']} training rows are stored now: {rows}{about}",
            "what retention (learner.retention) or `trimtab forget` deleted does not come back; train a checkpoint from"
            " the rows that are left: trimtab learn --once",
        )

    def _parent(self, checkpoint: Checkpoint) -> Algorithm:
        """What the run started from: its parent, or cold."""
        parent = checkpoint.manifest.parent
        if parent is None:
            return make_algorithm(self.experiment, self._contract)
        if parent not in self.shelf.versions():
            raise _impossible(
                checkpoint.version,
                f"it continues {parent}, which is not on this machine any more",
                "restore the folder of that checkpoint from a backup",
            )
        return self._restored(self.shelf.load(parent))

    def _restored(self, checkpoint: Checkpoint) -> Algorithm:
        algorithm, version = make_algorithm(self.experiment, self._contract), checkpoint.version
        algorithm.restore(
            read_tensors(checkpoint.blobs[WEIGHTS_BLOB], f"{version}/{WEIGHTS_BLOB}"),
            read_tensors(checkpoint.optimiser, f"{version}/{OPTIMISER_FILE}"),
        )
        return algorithm


def _difference(first: Algorithm, second: Algorithm, inputs: ModelInput) -> float:
    """max |ΔQ| over all rows, arms and objectives."""
    blocks = [inputs.take(slice(start, start + COMPARED_ROWS)) for start in range(0, inputs.rows, COMPARED_ROWS)]
    return max(float(np.abs(first.score(block) - second.score(block)).max()) for block in blocks)


def _impossible(version: str, what: str, fix: str) -> RebuildImpossible:
    return RebuildImpossible(f"checkpoint {version} cannot be rebuilt: {what}", fix=fix)
