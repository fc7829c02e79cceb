"""Registers the shipped schemas at a Schema Registry, and reads what it holds under their subjects."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from event_schemas.errors import ComponentUnreachable, SchemaError, TrimtabError
from event_schemas.foreign_schemas import misfit_of
from event_schemas.held_schemas import AVRO, UNREGISTERED, HeldSchema
from event_schemas.registry import Registry, SchemaEntry
from event_schemas.registry_client import NOT_FOUND, RegistryConnection, RequestRefused

if TYPE_CHECKING:
    from confluent_kafka.schema_registry import Schema

Found = TypeVar("Found")
log = logging.getLogger(__name__)

WANTED = "BACKWARD"
STRICT_ENOUGH = frozenset({WANTED, "BACKWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE"})
"""Compatibility levels under which a new version must be able to read what the version before it wrote."""
CONFLICT = 409


def registered_schemas(registry: RegistryConnection, bundled: Registry) -> tuple[HeldSchema, ...]:
    """The shipped versions with the registry's ids, then all versions of their subjects, as the registry has them.

    Registers what is not there and sets the subjects' compatibility. Raises what `RegistryConnection.asking` raises,
    and SchemaError if the registry refuses a shipped version because of the versions it has.
    """
    entries = bundled.entries()
    subjects = sorted({entry.subject for entry in entries})
    shipped = [_registered(registry, entry) for entry in entries]
    _set_compatibility(registry, subjects)
    return (*shipped, *(each for subject in subjects for each in _versions(registry, subject)))


def present_schemas(registry: RegistryConnection, bundled: Registry) -> tuple[HeldSchema, ...]:
    """What `registered_schemas` returns, as far as the registry has it: registers and sets nothing.

    Raises what `RegistryConnection.asking` raises.
    """
    present = _subjects(registry)
    entries = [entry for entry in bundled.entries() if entry.subject in present]
    found = [(entry, _looked_up(registry, entry)) for entry in entries]
    shipped = [HeldSchema.of(entry, schema_id) for entry, schema_id in found if schema_id is not None]
    subjects = sorted({entry.subject for entry in entries})
    return (*shipped, *(each for subject in subjects for each in _versions(registry, subject)))


def foreign_faults(registry: RegistryConnection, bundled: Registry) -> list[SchemaError]:
    """One error for each version that others registered and this release cannot read; registers nothing.

    Raises what `RegistryConnection.asking` raises.
    """
    present = _subjects(registry)
    readers = bundled.newest_by_subject()
    return [
        SchemaError(
            f"{subject} version {each.version} (id {each.schema_id}) is ignored, its records are malformed: {misfit}",
            fix="remove that version from the registry; if a newer Trimtab registered it, upgrade this one",
        )
        for subject in sorted(present & readers.keys())
        for each in _versions(registry, subject)
        if (misfit := misfit_of(each, readers[subject]))
    ]


def _registered(registry: RegistryConnection, entry: SchemaEntry) -> HeldSchema:
    schema_id = _looked_up(registry, entry)
    if schema_id is None:
        try:
            with registry.asking(f"register {entry.subject} v{entry.version}"):
                schema_id = _number(registry.client.register_schema(entry.subject, _schema(entry)))
        except RequestRefused as refused:
            if refused.status != CONFLICT:
                raise
            raise _conflict(registry, entry, refused) from refused
    return HeldSchema.of(entry, schema_id)


def _looked_up(registry: RegistryConnection, entry: SchemaEntry) -> int | None:
    """The id of a shipped version that is registered under its subject, else None."""
    with registry.asking(f"look up {entry.subject} v{entry.version}"):
        found = _unless_absent(lambda: registry.client.lookup_schema(entry.subject, _schema(entry)))
        return None if found is None else _number(found.schema_id)


def _schema(entry: SchemaEntry) -> Schema:
    from confluent_kafka.schema_registry import Schema

    return Schema(json.dumps(entry.schema), AVRO)


def _unless_absent(ask: Callable[[], Found]) -> Found | None:
    """What `ask` returns; None if the registry says that it does not have it."""
    from confluent_kafka.schema_registry.error import SchemaRegistryError

    try:
        return ask()
    except SchemaRegistryError as fault:
        if fault.http_status_code != NOT_FOUND:
            raise
        return None


def _number(told: object) -> int:
    """An id or a version as a registry tells it; raises ValueError for anything else."""
    if type(told) is not int or not 0 <= told < UNREGISTERED:
        raise ValueError(f"{told!r} is no number of a registry")
    return told


def _list(told: object) -> list[Any]:
    if not isinstance(told, list):
        raise ValueError(f"{told!r} is no list")
    return told


def _subjects(registry: RegistryConnection) -> frozenset[str]:
    with registry.asking("list the subjects"):
        return frozenset(map(str, _list(registry.client.get_subjects())))


def _conflict(registry: RegistryConnection, entry: SchemaEntry, refused: RequestRefused) -> SchemaError:
    """The error for a shipped version that the registry finds incompatible, with what does not fit in the others."""
    found = {each.version: misfit_of(each, entry) for each in _versions(registry, entry.subject)}
    foreign = "; ".join(f"version {version} there: {misfit}" for version, misfit in found.items() if misfit)
    return SchemaError(
        f"{refused.what} ({foreign or 'every version there can be read'})",
        fix=f"remove the versions of {entry.subject} that others registered, or set its compatibility to NONE and start"
        " again: the start sets it back",
    )


def _set_compatibility(registry: RegistryConnection, subjects: Sequence[str]) -> None:
    """Sets WANTED for the subjects with a less strict level; a registry that refuses this is no reason to stop."""
    left, reason = list[str](), ""
    for place, subject in enumerate(subjects):
        try:
            with registry.asking(f"read the compatibility of {subject}"):
                level = _compatibility(registry, subject)
            if level not in STRICT_ENOUGH:
                with registry.asking(f"set the compatibility of {subject}"):
                    registry.client.set_compatibility(subject, WANTED)
        except TrimtabError as refused:
            left, reason = [*left, subject], refused.what
            if type(refused) is ComponentUnreachable:  # it would not answer for the others either
                left += subjects[place + 1 :]
                break
    if left:
        log.warning(
            "%s: others may register what Trimtab cannot read under %s | fix: let this user set the compatibility of"
            " the subjects trimtab.*, or set it to %s yourself",
            *(reason, ", ".join(left), WANTED),
        )


def _compatibility(registry: RegistryConnection, subject: str) -> str:
    """The subject's level, or the registry's if the subject has none of its own."""
    level = _unless_absent(lambda: registry.client.get_compatibility(subject))
    return str(registry.client.get_compatibility() if level is None else level)


def _versions(registry: RegistryConnection, subject: str) -> Iterator[HeldSchema]:
    """Every version of a subject, as the registry has it; a version that is deleted meanwhile is left out."""
    with registry.asking(f"read the versions of {subject}"):
        listed = _unless_absent(lambda: registry.client.get_versions(subject))
        for version in [] if listed is None else map(_number, _list(listed)):
            found = _unless_absent(partial(registry.client.get_version, subject, version))
            if found is not None:
                kind, text = found.schema.schema_type or AVRO, found.schema.schema_str or ""
                yield HeldSchema(_number(found.schema_id), subject, version, kind, text)
