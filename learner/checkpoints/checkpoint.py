"""A checkpoint: manifest, weights, graph and evaluation, either complete or absent.

On disk each version is a directory, which appears by one rename. The policy store gets its manifest and the three blobs
that the manifest names by hash. The optimiser's state stays on this machine; no algorithm of today has one. A file
with the hashes of all other files protects that state and the manifest; version 0.1.0 wrote no such file.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from event_schemas.directory_sync import publish, sync_directory
from event_schemas.experiment import Experiment
from event_schemas.instant import epoch_ms, moment_of, utc_text
from learner.examples.durable_files import write_durably, writing
from learner.examples.learner_errors import CheckpointBroken, ClockMismatch
from policy_store.records import (
    EVALUATION_BLOB,
    POLICY_BLOB,
    WEIGHTS_BLOB,
    CheckpointManifest,
    RecordMalformed,
    SignatureInvalid,
    check_blobs,
)

CHECKPOINTS_FOLDER = "checkpoints"
MANIFEST_FILE = "manifest.json"
OPTIMISER_FILE = "optimiser.safetensors"
HASHES_FILE = "hashes.json"
BLOBS = (POLICY_BLOB, WEIGHTS_BLOB, EVALUATION_BLOB)
KEPT_VERSIONS = 10
VERSION_TIME = "%Y%m%dT%H%M%S"
END_OF_NAMES_MS = 253_370_764_800_000
"""The start of the year 9999: no later name could follow a name with such a time, and no correct clock gives it."""


@dataclass(frozen=True)
class Checkpoint:
    """`blobs` are policy.onnx, weights.safetensors and evaluation.json, with the hashes that the manifest names."""

    manifest: CheckpointManifest
    blobs: Mapping[str, bytes]
    optimiser: bytes

    @property
    def version(self) -> str:
        """Its permanent name."""
        return self.manifest.version


def learner_directory(data_dir: Path, experiment: Experiment) -> Path:
    """Where the learner of one experiment keeps its segments and checkpoints on this machine."""
    return data_dir / "learner" / experiment.name


def version_id(now_ms: int, blobs: Mapping[str, bytes]) -> str:
    """UTC time and the first digits of the content's hash, for people to read: other content gets another name."""
    digest = sha256(b"".join(sha256(blobs[name]).digest() for name in sorted(blobs))).hexdigest()
    moment = moment_of(now_ms)
    return f"{moment:{VERSION_TIME}}{moment.microsecond // 1000:03d}Z-{digest[:8]}"


class CheckpointShelf:
    """The checkpoints of one learner on disk; the newest KEPT_VERSIONS are kept."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write a version durably: its complete directory appears by one rename; the oldest versions are deleted.

        Raises StoreUnwritable if the disk cannot be written; the next save deletes what a failed one left.
        """
        final = self._directory / checkpoint.version
        beside = self._directory / f".{checkpoint.version}.tmp"
        with writing(beside):
            self._directory.mkdir(parents=True, exist_ok=True)
            for unfinished in self._directory.glob(".*.tmp"):
                shutil.rmtree(unfinished, ignore_errors=True)
            beside.mkdir()
            for name, content in _files(checkpoint).items():
                write_durably(beside / name, content)
            publish(beside, final)
            self._clear()
        return final

    def versions(self) -> list[str]:
        """Complete versions in the order of their runs, the oldest first.

        The order follows the number of the run in the manifests and not the times in the names: a clock may be set
        back. A broken manifest, or one without a number, counts as of the run of the name before it. Names from the
        year 9999 on come before other names.
        """
        by_name = sorted(self._names(), key=lambda name: ((_time_of(name) or 0) < END_OF_NAMES_MS, name))
        runs, run = dict[str, int](), 0
        for name in by_name:
            run = runs[name] = self.run_number(name) or run
        return sorted(by_name, key=runs.__getitem__)

    def _names(self) -> list[str]:
        """The names of complete versions, in no order."""
        return [path.parent.name for path in self._directory.glob(f"[!.]*/{MANIFEST_FILE}")]

    def run_number(self, version: str) -> int | None:
        """The number of the run that made this version; None if its manifest does not say.

        In manifests of version 0.1.0 it is that of the look: there every run took one.
        """
        try:
            evaluation = self.manifest(version).evaluation
        except CheckpointBroken:
            return None
        run = evaluation.get("run", evaluation.get("look"))
        return run if isinstance(run, int) and not isinstance(run, bool) and run > 0 else None

    def next_time(self, now_ms: int) -> int:
        """The time (epoch ms) for the name of the next version: now, or just after the newest version if that is later.

        Names thus rise for people too, even if an earlier one was named while the clock ran ahead. Raises ClockMismatch
        if `now` cannot be used in a name.
        """
        if not 0 < now_ms < END_OF_NAMES_MS:
            raise ClockMismatch(
                f"this machine's clock shows {utc_text(now_ms)}, which cannot be used in the name of a checkpoint",
                fix="set this machine's clock",
            )
        following = [time + 1 for version in self._names() if (time := _time_of(version)) is not None]
        return max([now_ms, *(time for time in following if time < END_OF_NAMES_MS)])

    def manifest(self, version: str) -> CheckpointManifest:
        """The manifest alone; raises CheckpointBroken."""
        try:
            return CheckpointManifest.parse(self._read(version, MANIFEST_FILE))
        except (OSError, ValueError, RecordMalformed) as fault:
            raise _broken(version, fault) from fault

    def load(self, version: str) -> Checkpoint:
        """A version, after its hashes were checked; raises CheckpointBroken."""
        manifest = self.manifest(version)
        try:
            blobs = {name: self._read(version, name) for name in BLOBS}
            check_blobs(manifest, blobs)
            return Checkpoint(manifest, blobs, self._read(version, OPTIMISER_FILE))
        except (OSError, ValueError, SignatureInvalid) as fault:
            raise _broken(version, fault) from fault

    def _read(self, version: str, name: str) -> bytes:
        """A file of the version; raises ValueError if it differs from its saved hash (if there is one), and OSError."""
        folder = self._directory / version
        content = (folder / name).read_bytes()
        try:
            saved = json.loads((folder / HASHES_FILE).read_bytes())
        except FileNotFoundError:
            return content
        except (ValueError, RecursionError) as fault:
            raise ValueError(f"{HASHES_FILE} is unreadable: {fault}") from fault
        if not isinstance(saved, dict) or saved.get(name) != sha256(content).hexdigest():
            raise ValueError(f"{name} does not match its hash in {HASHES_FILE}")
        return content

    def _clear(self) -> None:
        for version in self.versions()[:-KEPT_VERSIONS]:
            shutil.rmtree(self._directory / version, ignore_errors=True)
        sync_directory(self._directory)


def _files(checkpoint: Checkpoint) -> dict[str, bytes]:
    """The files of a version; the last one has the hashes of the others."""
    files = {
        **checkpoint.blobs,
        OPTIMISER_FILE: checkpoint.optimiser,
        MANIFEST_FILE: checkpoint.manifest.canonical(),
    }
    hashes = {name: sha256(content).hexdigest() for name, content in files.items()}
    return {**files, HASHES_FILE: json.dumps(hashes, indent=1).encode()}


def _time_of(version: str) -> int | None:
    """The time (epoch ms) in a version's name; None if a person chose the name."""
    text = version.partition("Z-")[0]
    try:
        whole = datetime.strptime(f"{text[:-3]}+0000", f"{VERSION_TIME}%z")
        return epoch_ms(whole) + int(text[-3:])
    except ValueError:
        return None


def _broken(version: str, fault: Exception) -> CheckpointBroken:
    return CheckpointBroken(
        f"checkpoint {version} on this machine: {fault}",
        fix="delete its directory under checkpoints; the next run starts from the one before, or cold, and the policy"
        " store keeps what the gate has spent",
    )
