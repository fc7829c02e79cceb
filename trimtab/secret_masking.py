"""Secrets out of what is shown: passwords in addresses, and keys that are given as text.

What cannot be taken apart for sure is masked as a whole: an address that is none may have its password anywhere.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

from policy_store.backends import OPTIONS, TLS_OPTIONS, require_redis_address

MASK = "********"
WEB_SCHEMES = frozenset({"http", "https"})
OPEN_OPTIONS = (OPTIONS | TLS_OPTIONS) - {"password"}
FILE_SIGN = "@"
KEY_NAME = re.compile(r"(?:learner|governance)/[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def masked_redis_address(url: str) -> str:
    """A Redis address without its password."""
    try:
        require_redis_address(url)
    except ValueError:
        return _scheme_alone(url)
    options = [
        f"{name}={value if name in OPEN_OPTIONS else MASK}"
        for name, value in parse_qsl(urlsplit(url).query, keep_blank_values=True)
    ]
    return _masked(url, "&".join(options))


def masked_web_address(url: str) -> str:
    """The address of a service on the web without user and password; what follows a `?` is masked too."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in WEB_SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return _scheme_alone(url)
    return _masked(url, MASK if parts.query else "") if sound else _scheme_alone(url)


def masked_keys(text: str) -> str:
    """Keys by their names alone; `@file`, which is no secret, as it is.

    What stands before a `=` may be a key without its name: base64 ends in `=`.
    """
    if text.startswith(FILE_SIGN):
        return text
    names = [entry.partition("=")[0] for entry in re.split(r"[,\n]", text)]
    return ",".join(f"{name}={MASK}" if KEY_NAME.fullmatch(name) else MASK for name in names)


def _masked(url: str, options: str) -> str:
    """Scheme, user, place and path, then `options`.

    An `@` after the place, or a `#`, may belong to a password with a `/`, a `?` or a `#` in it.
    """
    parts = urlsplit(url)
    if parts.fragment or url.count("@") > parts.netloc.count("@"):
        return _scheme_alone(url)
    credentials, sign, place = parts.netloc.rpartition("@")
    user, colon, _ = credentials.partition(":")
    shown = f"{user}:{MASK}" if colon else MASK if sign else ""
    return f"{parts.scheme}://{shown}{sign}{place}{parts.path}" + (f"?{options}" if options else "")


def _scheme_alone(url: str) -> str:
    scheme, separator, _ = url.partition("://")
    return f"{scheme}://{MASK}" if separator and scheme.isalpha() else MASK
