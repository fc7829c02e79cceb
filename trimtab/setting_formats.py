"""What settings must look like that others would take and misread."""

from __future__ import annotations

import re
from collections.abc import Mapping

from event_schemas.errors import SettingError

SERVER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s,:/\[\]@]+)(?::(\d{1,5}))?")
LAST_PORT = 65_535
PREFIX_TEXT = re.compile(r"[A-Za-z0-9._-]{0,200}")
"""What Kafka takes as a topic's name, with room for the longest of ours."""


def server_list(text: str) -> str:
    """Kafka servers as `host:port[,host:port]`, without the spaces between them; raises ValueError naming a bad one.

    A server without a port has Kafka's own, 9092. The clients wrap ports beyond 65535, and only one of them knows a
    scheme before the host.
    """
    servers = [server.strip() for server in text.split(",") if server.strip()]
    for server in servers or [text]:
        found = SERVER.fullmatch(server)
        if found is None or not 1 <= int(found[2] or 9092) <= LAST_PORT:
            raise ValueError(f"{server!r} is not host:port")
    return ",".join(servers)


def topic_beginning(text: str) -> str:
    """A prefix that topic names can begin with; raises ValueError."""
    if PREFIX_TEXT.fullmatch(text) is None:
        raise ValueError("a topic's name has only letters, digits, '.', '_' and '-', and at most 249 of them")
    return text


def require_text(environment: Mapping[str, str], prefix: str) -> None:
    """Raise SettingError for a variable that begins with `prefix` and holds bytes that are no UTF-8 text."""
    for variable in sorted(name for name in environment if name.upper().startswith(prefix)):
        try:
            (variable + environment[variable]).encode()
        except UnicodeEncodeError as fault:
            raise SettingError(
                f"{variable.encode(errors='backslashreplace').decode()} holds bytes that are no UTF-8 text",
                fix="write its value again, in UTF-8",
            ) from fault
