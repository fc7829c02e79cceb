"""Schema ids from a Confluent Schema Registry, when one is configured.

A process writes the versions that it ships, never one that someone else registered:

1. Look each shipped version up under its subject (`trimtab.Request` and so on), and register it if it is not there. The
   registry gives the id.
2. Set the subjects' compatibility to BACKWARD where it allows more, so that the registry refuses what cannot be read.
3. Check every other version by the rules of decoding (`schema_resolution`). One that fits can be read. One that does
   not is named in a warning and ignored; its records are malformed.
4. Keep what the registry held in the data directory (`held_schemas`). If the registry is away at the next start, that
   start uses it. What the registry has lost since the last start stays there and can be read.

A command that only reads looks up what is there and changes nothing at the registry.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from event_schemas.errors import ComponentUnreachable, SchemaError
from event_schemas.foreign_schemas import lacking, misfit_of, told_apart
from event_schemas.held_schemas import UNREGISTERED, HeldSchema, HeldSchemasDamaged, HeldSchemasFile
from event_schemas.registered_schemas import present_schemas, registered_schemas
from event_schemas.registry import Registry, without_logical_types
from event_schemas.registry_client import RegistryConnection
from event_schemas.shown_text import listed

log = logging.getLogger(__name__)


def load_registry(url: str | None, data_dir: Path, *, reads_only: bool = False) -> Registry:
    """The registry that every stage uses: the bundled one, or, with `url`, the ids that a Schema Registry assigns.

    Versions that others registered before the call can be read if they fit; what this release does not know in them is
    left out. If the registry does not answer, the ids of the last start in this data directory are used, with a
    warning. Ids of the last start that the registry has lost can be read, with a warning. With `reads_only` nothing is
    registered, and what is not registered has an id that no record in a topic has.

    Raises ComponentUnreachable if the registry does not answer and those ids are not there, or refuses a request;
    RightMissing; SettingError if `url` is not an http(s) address; and SchemaError if it refuses a version that this
    release writes, or gives an id of the last start to another schema.
    """
    bundled = Registry.bundled()
    if url is None:
        return bundled
    registry = RegistryConnection(url)
    file = HeldSchemasFile(data_dir, registry.shown)
    try:
        held = (present_schemas if reads_only else registered_schemas)(registry, bundled)
    except ComponentUnreachable as away:
        if type(away) is not ComponentUnreachable:
            raise
        return _of_the_last_start(file, bundled, away)
    held = _kept(file, held, bundled, registry.shown)
    return told_apart((*held, *_in_memory(held, bundled)), bundled)


def _kept(file: HeldSchemasFile, held: Sequence[HeldSchema], bundled: Registry, where: str) -> tuple[HeldSchema, ...]:
    """Step 4: what the registry holds, then what it has lost; SchemaError if an id of the last start means another."""
    before, damaged = tuple[HeldSchema, ...](), None
    try:
        before = file.read()
    except HeldSchemasDamaged as fault:
        damaged = fault
    now = {each.schema_id: each for each in held}
    for each in before:
        found = now.get(each.schema_id, each)
        if _shape(found) != _shape(each):
            raise SchemaError(
                f"Schema Registry at {where} gives id {each.schema_id} to {found.subject} v{found.version}, but at the"
                f" last start it was the id of {each.subject} v{each.version}: records with it would be misread",
                fix=f"restore the registry from a backup; if Trimtab's topics are new as well, remove {file.path}",
            )
    lost = _lost(before, now, bundled)
    if lost:
        log.warning(
            "Schema Registry at %s has lost schema ids of the last start: %s; this process reads their records with"
            " the schemas in %s, another machine cannot | fix: restore the registry from a backup, or remove that file"
            " when the topics hold no such record any more",
            *(where, listed([f"{each.schema_id} ({each.subject} v{each.version})" for each in lost]), file.path),
        )
    _renew(file, (*held, *lost), damaged)
    return (*held, *lost)


def _lost(before: Sequence[HeldSchema], now: Mapping[int, HeldSchema], bundled: Registry) -> list[HeldSchema]:
    """What the last start could read and the registry no longer has; what could not be read may go."""
    readers = bundled.newest_by_subject()
    gone = {each.schema_id: each for each in before if each.schema_id not in now and each.subject in readers}
    return [each for each in gone.values() if not misfit_of(each, readers[each.subject])]


def _renew(file: HeldSchemasFile, held: Sequence[HeldSchema], damaged: HeldSchemasDamaged | None) -> None:
    """Writes the file; one that cannot be written, or was damaged, is a warning."""
    try:
        file.renew(held)
    except OSError as fault:
        obstacle, fix = file.obstacle(fault)
        log.warning("%s, so a start without the registry will fail | fix: %s", obstacle, fix)
    else:
        if damaged is not None:
            log.warning("%s: it was written again", damaged.what)


def _in_memory(held: Sequence[HeldSchema], bundled: Registry) -> list[HeldSchema]:
    """The shipped versions that are not registered, under ids of no registry: a reader has to know their fields."""
    return [HeldSchema.of(entry, UNREGISTERED + entry.schema_id) for entry in lacking(held, bundled)]


def _shape(held: HeldSchema) -> object:
    content = held.content()
    return held.schema if content is None else without_logical_types(content)


def _of_the_last_start(file: HeldSchemasFile, bundled: Registry, away: ComponentUnreachable) -> Registry:
    """What the file has; raises ComponentUnreachable if that is not enough."""
    try:
        held = file.read()
    except HeldSchemasDamaged as damaged:
        raise ComponentUnreachable(f"{away.what}; {damaged.what}", fix=f"{away.fix}; {damaged.fix}") from away
    if missing := lacking(held, bundled):
        versions = ", ".join(f"{entry.subject} v{entry.version}" for entry in missing)
        if not held:
            raise ComponentUnreachable(
                f"{away.what}, and no earlier start with it left the ids in {file.path}: it lacks {versions}",
                fix=away.fix,
            ) from away
        raise ComponentUnreachable(
            f"{away.what}, and a version that is new in this release needs the registry: {file.path} lacks {versions}",
            fix=f"{away.fix}; the first start of a new release registers its versions",
        ) from away
    log.warning(
        "%s: the ids of the last start are used, from %s; records of versions registered since are malformed | fix: %s,"
        " then restart this process",
        *(away.what, file.path, away.fix),
    )
    return told_apart(held, bundled)
