"""Format checks for settings that the clients would otherwise accept and misread."""

from __future__ import annotations

import re
from collections.abc import Mapping

from event_schemas.errors import SettingError

SERVER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s,:/\[\]@]+)(?::(\d{1,5}))?")
LAST_PORT = 65_535
PREFIX_TEXT = re.compile(r"[A-Za-z0-9._-]{0,200}")
"""The characters that Kafka allows in a topic name, short enough to leave room for our longest topic name."""


def server_list(text: str) -> str:
    """Kafka servers as `host:port[,host:port]`, without spaces; raises ValueError naming the first bad one.

    A server without a port gets Kafka's default, 9092. Ports beyond 65535 are refused because the clients would wrap
    them, and a scheme before the host because only one of the clients understands it.
    """
    servers = [server.strip() for server in text.split(",") if server.strip()]
    for server in servers or [text]:
        found = SERVER.fullmatch(server)
        if found is None or not 1 <= int(found[2] or 9092) <= LAST_PORT:
            raise ValueError(f"{server!r} is not host:port")
    return ",".join(servers)


def topic_beginning(text: str) -> str:
    """The prefix, if topic names may begin with it; raises ValueError."""
    if PREFIX_TEXT.fullmatch(text) is None:
        raise ValueError("a topic's name may have at most 249 characters: letters, digits, '.', '_' and '-'")
    return text


def require_text(environment: Mapping[str, str], prefix: str) -> None:
    """Raise SettingError for a variable that begins with `prefix` and is not valid UTF-8."""
    for variable in sorted(name for name in environment if name.upper().startswith(prefix)):
        try:
            (variable + environment[variable]).encode()
        except UnicodeEncodeError as fault:
            raise SettingError(
                f"{variable.encode(errors='backslashreplace').decode()} is not valid UTF-8",
                fix="set it again, in UTF-8",
            ) from fault
