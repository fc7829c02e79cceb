"""Redis with short time-outs and no retries: the caller decides what to do when the store does not answer.

redis-py's own defaults (5 s, several retries) are far too patient for a serving node.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from policy_store.store_errors import StoreRefused, StoreUnreachable

CONNECT_TIMEOUT_S = 0.5
ANSWER_TIMEOUT_S = 1.2
BLOB_TIMEOUT_S = 30.0


class RedisConnection:
    """Two pools to one Redis: `quick` for everything, `bulk` for the blobs of checkpoints."""

    def __init__(self, url: str) -> None:
        self._where = _without_password(url)
        self.quick = self._client(url, ANSWER_TIMEOUT_S)
        self.bulk = self._client(url, BLOB_TIMEOUT_S)

    @contextmanager
    def answering(self, action: str) -> Iterator[None]:
        """Translate redis-py's errors inside the block: StoreUnreachable or StoreRefused, naming `action`."""
        try:
            yield
        except (RedisConnectionError, RedisTimeoutError, OSError) as error:
            raise StoreUnreachable(
                f"Redis at {self._where} does not answer ({action}): {error}",
                mend="start Redis, or set TRIMTAB_REDIS_URL to where it listens and check the credentials in it",
            ) from error
        except RedisError as error:
            raise StoreRefused(
                f"Redis at {self._where} refused ({action}): {error}",
                mend="check this user's ACL, the memory limit and whether this Redis is a read-only replica",
            ) from error

    def close(self) -> None:
        """Give all sockets back."""
        self.quick.close()
        self.bulk.close()

    def _client(self, url: str, answer_timeout_s: float) -> redis.Redis:
        try:
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
                mend="set TRIMTAB_REDIS_URL to redis://host:port/0, or rediss:// for TLS",
            ) from error


def _without_password(url: str) -> str:
    """The address fit for a log."""
    try:
        parts = urlsplit(url)
        if parts.hostname is None:
            return url.rpartition("@")[2]
        return f"{parts.scheme}://{parts.hostname}:{parts.port or 6379}{parts.path}"
    except ValueError:
        return url.rpartition("@")[2]
