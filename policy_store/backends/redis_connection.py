"""Redis with short timeouts and no retries: the caller decides what to do when the store does not answer.

redis-py's own defaults (5 s, several retries) are much too long for a serving node.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from event_schemas.errors import caused_by
from policy_store.backends.redis_address import TLS_SCHEME, require_redis_address
from policy_store.backends.redis_refusals import refusal_in
from policy_store.records.store_errors import (
    StoreCertificateRefused,
    StoreCredentialsRefused,
    StoreRefused,
    StoreRightMissing,
    StoreUnreachable,
)

CONNECT_TIMEOUT_S = 0.5
ANSWER_TIMEOUT_S = 1.2
BLOB_TIMEOUT_S = 30.0
FORBIDDEN_IN_SCRIPT = "user executing the script can't"


class RedisConnection:
    """Two pools to one Redis: `quick` for everything, `bulk` for the blobs of checkpoints."""

    def __init__(self, url: str) -> None:
        """Raises StoreUnreachable for an invalid address."""
        self._where = _without_password(url)
        self.quick = self._client(url, ANSWER_TIMEOUT_S)
        self.bulk = self._client(url, BLOB_TIMEOUT_S)
        parts = urlsplit(url)
        self._user, self._speaks_tls = parts.username or "default", parts.scheme == TLS_SCHEME

    @contextmanager
    def answering(self, action: str) -> Iterator[None]:
        """Translates redis-py's errors inside the block to the store's errors, which name `action`.

        Raises StoreUnreachable or its subclasses StoreCertificateRefused and StoreCredentialsRefused, or StoreRefused
        or its subclass StoreRightMissing.
        """
        try:
            yield
        except AuthenticationError as error:
            raise StoreCredentialsRefused(
                f"Redis at {self._where} refuses user {self._user!r}: {error}",
                fix="correct the user and the password in TRIMTAB_REDIS_URL (redis://USER:PASSWORD@HOST:PORT/0)",
            ) from error
        except (RedisConnectionError, RedisTimeoutError, OSError) as error:
            raise self._unanswered(action, error) from error
        except RedisError as error:
            raise self._refused(action, error) from error

    def close(self) -> None:
        """Closes all sockets."""
        self.quick.close()
        self.bulk.close()

    def _unanswered(self, action: str, error: Exception) -> StoreUnreachable:
        if self._speaks_tls and caused_by(error, ssl.SSLError, FileNotFoundError):
            return StoreCertificateRefused(
                f"Redis at {self._where}: TLS fails: {error}",
                fix="trust the authority that signed its certificate: add ?ssl_ca_certs=FILE to TRIMTAB_REDIS_URL, and"
                " use the host name of the certificate",
            )
        other = f"{TLS_SCHEME}:// if it speaks TLS, redis:// if not"
        return StoreUnreachable(
            f"Redis at {self._where} does not answer ({action}): {error}",
            fix=f"start Redis, or set TRIMTAB_REDIS_URL to where it listens, with {other}",
        )

    def _refused(self, action: str, error: RedisError) -> StoreRefused:
        if isinstance(error, NoPermissionError) or FORBIDDEN_IN_SCRIPT in str(error):
            return StoreRightMissing(
                f"Redis user {self._user!r} at {self._where} may not do this ({action}): {error}",
                fix="give the user the ACL of its role, which is in docs/reference/redis_keys.md",
            )
        known = refusal_in(str(error))
        if known is not None:
            return StoreRefused(f"Redis at {self._where} refused ({action}): {known.cause}: {error}", fix=known.fix)
        return StoreRefused(
            f"Redis at {self._where} refused ({action}): {error}", fix="check Redis's log and configuration"
        )

    def _client(self, url: str, answer_timeout_s: float) -> redis.Redis:
        try:
            require_redis_address(url)
            return redis.Redis.from_url(
                url,
                socket_connect_timeout=CONNECT_TIMEOUT_S,
                socket_timeout=answer_timeout_s,
                retry=Retry(NoBackoff(), 0),
                decode_responses=False,
            )
        except ValueError as error:
            raise StoreUnreachable(
                f"{self._where!r} is not a Redis address: {error}",
                fix="set TRIMTAB_REDIS_URL to redis://host:port/0, or rediss:// for TLS",
            ) from error


def _without_password(url: str) -> str:
    """The address without the password, for logs."""
    try:
        parts = urlsplit(url)
        if parts.hostname is None:
            return url.rpartition("@")[2]
        return f"{parts.scheme}://{parts.hostname}:{parts.port or 6379}{parts.path}"
    except ValueError:
        return url.rpartition("@")[2]
