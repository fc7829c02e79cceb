"""Loopback ports on which no process listens."""

from __future__ import annotations

import contextlib
import random
import socket

BELOW_EPHEMERAL = range(20_000, 32_000)
"""Ports that the kernel does not assign by itself. A client of an assigned port could connect to itself."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago."""
    return neighbouring_ports(1)


def neighbouring_ports(wanted: int) -> int:
    """The first of `wanted` consecutive free ports."""
    while True:
        first = random.choice(BELOW_EPHEMERAL)
        with contextlib.ExitStack() as held, contextlib.suppress(OSError):
            for port in range(first, first + wanted):
                held.enter_context(socket.create_server(("127.0.0.1", port)))
            return first
