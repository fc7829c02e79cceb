"""Schema versions as a Schema Registry holds them, and the file that keeps them for a start without the registry.

`<data dir>/schema_ids/<hash of the address>.json` has what the registry at that address held at the last start: ids,
subjects, versions and schemas, with a hash of them all. It is replaced atomically, and all processes that share the
data directory share it.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from event_schemas.directory_sync import replace_file
from event_schemas.errors import SchemaError
from event_schemas.registry import SchemaEntry

FOLDER = "schema_ids"
AVRO = "AVRO"
UNREGISTERED = 2**31
"""Ids from here on are of no registry: a process that only reads uses them in memory for what is not registered."""


class HeldSchema(NamedTuple):
    """One version of a subject; `schema` is its text, `kind` its language, such as AVRO."""

    schema_id: int
    subject: str
    version: int
    kind: str
    schema: str

    @classmethod
    def of(cls, entry: SchemaEntry, schema_id: int) -> Self:
        """A shipped version under the id that it has there."""
        return cls(schema_id, entry.subject, entry.version, AVRO, json.dumps(entry.schema))

    def content(self) -> Any:
        """The schema as JSON; None if its text is not JSON."""
        try:
            return json.loads(self.schema)
        except (ValueError, RecursionError):
            return None


class HeldSchemasDamaged(SchemaError):
    """The file with the schema ids of the last start cannot be used."""


class HeldSchemasFile:
    """The file of one registry in a data directory; `address` is the registry's, as `RegistryConnection.shown`."""

    def __init__(self, data_dir: Path, address: str) -> None:
        self._address = address
        self.path = data_dir / FOLDER / f"{hashlib.sha256(address.encode()).hexdigest()[:16]}.json"

    def read(self) -> tuple[HeldSchema, ...]:
        """What was kept; empty if there is no file.

        Raises HeldSchemasDamaged if its content is not what was kept or cannot be read.
        """
        try:
            kept = json.loads(self.path.read_bytes())
            held = tuple(HeldSchema(**row) for row in kept["schemas"])
            if self._content(held) != kept or not all(map(_has_its_types, held)):
                raise ValueError("its hash or its address is not the one it was written with")
        except FileNotFoundError:
            return ()
        except OSError as fault:
            obstacle, fix = self.obstacle(fault)
            raise HeldSchemasDamaged(f"the schema ids of the last start cannot be read: {obstacle}", fix=fix) from fault
        except (ValueError, TypeError, KeyError, RecursionError) as fault:
            raise HeldSchemasDamaged(
                f"{self.path} does not hold the schema ids of the last start: {fault}",
                fix="remove that file; the next start with the registry writes it again",
            ) from fault
        return held

    def renew(self, held: Sequence[HeldSchema]) -> None:
        """Writes these in place of what was kept, unless they are the same. Raises OSError."""
        content = json.dumps(self._content(held), indent=1).encode()
        if self.path.exists() and self.path.read_bytes() == content:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        try:
            replace_file(self.path, content, draft)
        finally:
            draft.unlink(missing_ok=True)

    def obstacle(self, fault: OSError) -> tuple[str, str]:
        """Why the file cannot be read or written, as its error or the disk tells it, and the fix."""
        if isinstance(fault, FileExistsError | NotADirectoryError):
            for folder in reversed(self.path.parents):
                if os.path.lexists(folder) and not folder.is_dir():
                    return f"{folder} is not a directory", (
                        "move it away" if folder == self.path.parent else "set TRIMTAB_DATA_DIR to a directory"
                    )
        if isinstance(fault, IsADirectoryError):
            return f"{self.path} is a directory, not a file", "move it away"
        denied = isinstance(fault, PermissionError)
        return f"{self.path}: {fault.strerror}", (
            "let this user read and write in TRIMTAB_DATA_DIR" if denied else "free or repair the disk of that file"
        )

    def _content(self, held: Sequence[HeldSchema]) -> dict[str, Any]:
        rows = [each._asdict() for each in held]
        told = json.dumps([self._address, rows], sort_keys=True)
        return {"registry": self._address, "schemas": rows, "sha256": hashlib.sha256(told.encode()).hexdigest()}


def _has_its_types(held: HeldSchema) -> bool:
    numbers = type(held.schema_id) is int and type(held.version) is int
    return numbers and all(isinstance(text, str) for text in (held.subject, held.kind, held.schema))
