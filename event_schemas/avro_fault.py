"""What is wrong with a schema that should be an Avro schema, in words."""

from __future__ import annotations

from collections.abc import Mapping

from fastavro.schema import SchemaParseException, UnknownType

from event_schemas.shown_text import LONGEST_VALUE, cut


def avro_fault(fault: Exception) -> str:
    """`not an Avro schema`, and what fastavro's error says if it is meant for people, at most about 100 characters.

    A JSON schema, for example, is an unknown type as a whole: only the name of the type helps there.
    """
    told = ""
    if isinstance(fault, UnknownType):
        name = fault.name.get("type") if isinstance(fault.name, Mapping) else fault.name
        told = f"it has the unknown type {name}" if isinstance(name, str) else ""
    elif isinstance(fault, SchemaParseException):
        told = str(fault).partition("{")[0].rstrip(" :<")
    return f"not an Avro schema{told and ': '}{cut(told, LONGEST_VALUE)}"
