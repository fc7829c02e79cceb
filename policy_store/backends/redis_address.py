"""Checks Redis addresses, and refuses those that redis-py would accept but misread."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

TLS_SCHEME = "rediss"
SOCKET_SCHEME = "unix"
SCHEMES = ("redis", TLS_SCHEME, SOCKET_SCHEME)
COUNTS = frozenset({"db", "health_check_interval", "max_connections"})
OPTIONS = COUNTS | {
    "username",
    "password",
    "client_name",
    "socket_timeout",
    "socket_connect_timeout",
    "socket_keepalive",
}
TLS_OPTIONS = frozenset(
    {"ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname"}
)
"""Options allowed after the `?`; the store itself sets retries and decoding."""
CERTIFICATE_NEEDED = ("required", "optional", "none")
DATABASE = re.compile(r"/?\d*")


def require_redis_address(url: str) -> None:
    """Raises ValueError unless the text is an unambiguous `redis://`, `rediss://` or `unix://` address.

    redis-py itself reads `redis://host/abc` as database 0, and passes unknown options on as its own arguments.
    """
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ValueError(f"it must begin with one of {', '.join(f'{scheme}://' for scheme in SCHEMES)}")
    if parts.scheme == SOCKET_SCHEME:
        if not parts.path:
            raise ValueError("the path of the socket is missing")
    else:
        if parts.port == 0 or not parts.hostname:
            raise ValueError("it has no host, or its port is 0")
        if DATABASE.fullmatch(parts.path) is None:
            raise ValueError(f"{parts.path!r} is not a database number")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    known = OPTIONS | (TLS_OPTIONS if parts.scheme == TLS_SCHEME else frozenset())
    for name, value in options.items():
        if name in TLS_OPTIONS - known:
            raise ValueError(f"{name} is only for {TLS_SCHEME}://")
        if name not in known:
            raise ValueError(f"there is no option {name}; known options are {', '.join(sorted(known))}")
        if name in COUNTS and not value.isdecimal():
            raise ValueError(f"{name}={value!r} is not a number")
        if name == "ssl_cert_reqs" and value not in CERTIFICATE_NEEDED:
            raise ValueError(f"ssl_cert_reqs={value!r} is not one of {', '.join(CERTIFICATE_NEEDED)}")
