"""What is left of a directory of segments after damage, or after its topic was lost: `trimtab learn --reread`.

Sound segments stay. Damaged ones go into the folder `damaged`, where a person may look at them and delete them. The
offsets are forgotten, so that everything the topic still holds is read again: rows that are here already are dropped
as second copies, and those of damaged segments come back as far as the topic's retention goes.
"""

from dataclasses import replace
from pathlib import Path

import structlog

from event_schemas.directory_sync import sync_directory
from learner.durable_files import unwritable
from learner.learner_errors import StoreDamaged
from learner.segment_file import KEY, hashed, read_segment
from learner.segment_manifest import MANIFEST_NAME, Segment, SegmentManifest

DAMAGED_FOLDER = "damaged"
log = structlog.get_logger(__name__)


def sound_part(directory: Path, topic: str) -> None:
    """Make `directory` hold what is sound of it, without offsets; only its writer may do this.

    A directory of another topic stays as it is. Raises StoreUnwritable.
    """
    try:
        manifest = SegmentManifest.load(directory)
    except StoreDamaged as fault:
        log.error("manifest set aside, and the segments with it", what=fault.what)
        _set_aside(directory, [directory / MANIFEST_NAME, *directory.glob("*.parquet")])
        return
    if manifest is None:
        _set_aside(directory, list(directory.glob("*.parquet")))
    elif manifest.topic == topic:
        _keep_sound(directory, manifest)


def _keep_sound(directory: Path, manifest: SegmentManifest) -> None:
    sound: list[Segment] = []
    for segment in manifest.segments:
        try:
            read_segment(directory, segment, KEY)
            sound.append(segment if segment.sha256 is not None else hashed(directory, segment))
        except FileNotFoundError:
            log.error("segment missing", segment=segment.name, rows=segment.rows)
        except StoreDamaged as fault:
            log.error("segment set aside", segment=segment.name, rows=segment.rows, what=fault.what)
            _set_aside(directory, [directory / segment.name])
    newest = max((segment.last_event_time for segment in sound), default=None)
    kept = replace(manifest, topic_id=None, next_offsets={}, segments=tuple(sound), newest_closed=newest)
    kept.save(directory)
    log.warning("reading the topic again from its first record", topic=kept.topic, rows_kept=kept.rows)


def _set_aside(directory: Path, paths: list[Path]) -> None:
    """Move what exists of `paths` into the folder for damaged files, under a name that is free there."""
    folder = directory / DAMAGED_FOLDER
    for path in paths:
        if not path.exists():
            continue
        try:
            folder.mkdir(exist_ok=True)
            taken = len(list(folder.glob(f"{path.name}*")))
            path.replace(folder / (path.name if not taken else f"{path.name}.{taken}"))
        except OSError as fault:
            raise unwritable(folder, fault) from fault
    sync_directory(directory)
