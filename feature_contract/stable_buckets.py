"""Hashes any text to a bucket, the same in every process and release.

A learnt vocabulary would have to be rebuilt, and the warm-started embedding table re-indexed, whenever a new
id appears. Python's own `hash` differs between processes, so we use BLAKE2b.
"""

from functools import lru_cache
from hashlib import blake2b

MISSING_BUCKET = 0
"""The id of an absent value; the network learns an embedding for it."""


@lru_cache(maxsize=65536, typed=True)
def bucket(feature: str, value: str, buckets: int) -> int:
    """The bucket in [1, buckets) of `value`; salted with the feature's name so that features collide independently.

    `buckets` includes the reserved bucket 0 and must be at least 2. The cache distinguishes types, because 1 == True:
    otherwise the bucket of 1 could depend on whether the process saw True first.
    """
    # A lone surrogate is not valid text, but must not make a decision fail; the bytes of valid text do not change.
    digest = blake2b(f"{feature}\0{value}".encode(errors="surrogatepass"), digest_size=8).digest()
    return 1 + int.from_bytes(digest, "big") % (buckets - 1)
