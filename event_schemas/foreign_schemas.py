"""Tells schema versions that Trimtab ships from those that others registered, and says which of these it can read."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from event_schemas.avro_fault import avro_fault
from event_schemas.held_schemas import AVRO, HeldSchema
from event_schemas.registry import Registry, SchemaEntry, schema_entry
from event_schemas.schema_resolution import misfits
from event_schemas.shown_text import cut, shown

log = logging.getLogger(__name__)

LONGEST_DETAIL = 200
"""Each record of a version that does not fit becomes a dead letter with this much of the reason; the log has all."""


def lacking(held: Sequence[HeldSchema], bundled: Registry) -> list[SchemaEntry]:
    """The shipped versions that are not among the held schemas."""
    return [entry for entry in bundled.entries() if _own_id(held, entry) is None]


def told_apart(held: Sequence[HeldSchema], bundled: Registry) -> Registry:
    """A registry of the held schemas, by what of them this release ships, can read and cannot read.

    Of several copies of a shipped version the first gives its id. A version of someone else that does not fit is logged
    as a warning.
    """
    shipped = dict[int, SchemaEntry]()
    for entry in bundled.entries():
        if (schema_id := _own_id(held, entry)) is not None:
            shipped[schema_id] = schema_entry(schema_id, entry.subject, entry.version, entry.schema)
    readers = bundled.newest_by_subject()
    others, refused = list[SchemaEntry](), dict[int, str]()
    for each in held:
        if each.schema_id in shipped or each.subject not in readers:
            continue
        if misfit := misfit_of(each, readers[each.subject]):
            brief = cut(misfit, LONGEST_DETAIL)
            refused[each.schema_id] = f"version {each.version} of {each.subject} does not fit Trimtab's: {brief}"
            _warn(each, misfit)
        else:
            others.append(schema_entry(each.schema_id, each.subject, each.version, each.content()))
            log.info("%s version %s (id %s) can be read as well", each.subject, each.version, each.schema_id)
    return Registry(shipped.values(), others, refused)


def _own_id(held: Sequence[HeldSchema], entry: SchemaEntry) -> int | None:
    own = (each.schema_id for each in held if each.subject == entry.subject and each.content() == entry.schema)
    return next(own, None)


def misfit_of(held: HeldSchema, reader: SchemaEntry) -> str:
    """Why not all records of this version can be read with the reader's schema; empty if they can."""
    if held.kind != AVRO:
        return f"it is {held.kind}, not {AVRO}"
    content = held.content()
    if content is None:
        return f"it is not an Avro schema, its text is not JSON: {shown(held.schema)}"
    if not isinstance(content, Mapping):
        return f"its schema is not that of a record: {shown(held.schema)}"
    try:
        faults = misfits(reader.schema, content)
        if not faults:
            schema_entry(held.schema_id, held.subject, held.version, content)
    except Exception as fault:  # fastavro raises many types for what is not an Avro schema
        return f"it is {avro_fault(fault)}"
    return "; ".join(faults)


def _warn(held: HeldSchema, misfit: str) -> None:
    log.warning(
        "%s version %s (id %s), registered by someone else, is ignored and its records are malformed: %s | fix: remove"
        " that version from the registry; if a newer Trimtab registered it, upgrade this process",
        *(held.subject, held.version, held.schema_id, misfit),
    )
