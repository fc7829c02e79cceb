"""Finds environment variables with our prefix that are not settings: usually a misspelt name, which has no effect."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping

from event_schemas.errors import SettingError

# Kubernetes sets these variables for every service, including one whose name begins with our prefix.
SERVICE = re.compile(r".*_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")
ADDRESS = re.compile(r"(tcp|udp|sctp)://.*", re.IGNORECASE)


def require_known(environment: Mapping[str, str], prefix: str, known: Collection[str]) -> None:
    """Raise SettingError for a variable that begins with `prefix` and is not `known`; it suggests the nearest name.

    Case is ignored in names. Variables that Kubernetes sets for its services are ignored.
    """
    for variable, value in sorted(environment.items()):
        name = variable.upper()
        if not name.startswith(prefix) or name in known or _of_a_service(name, value):
            continue
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
        raise SettingError(
            f"{variable} is not a setting",
            fix=f"unset it, or did you mean {near}? docs/reference/settings.md lists all settings",
        )


def _of_a_service(name: str, value: str) -> bool:
    return SERVICE.fullmatch(name) is not None or (name.endswith("_PORT") and ADDRESS.fullmatch(value) is not None)
