"""Hashing vocabulary: any text to a bucket, the same in every process and release.

A learnt vocabulary would have to be rebuilt, and the warm-started embedding table re-indexed, whenever a new
id appears. Python's own `hash` differs between processes, so the bucket comes from BLAKE2b.
"""

from functools import lru_cache
from hashlib import blake2b

MISSING_BUCKET = 0
"""The id of an absent value; its embedding is a learnt "unknown"."""


@lru_cache(maxsize=65536, typed=True)
def bucket(feature: str, value: str, buckets: int) -> int:
    """The bucket in [1, buckets) of `value`; salted with the feature's name so that features collide apart.

    `buckets` counts the reserved bucket 0 and must be at least 2. The cache tells types apart: 1 equals True, and
    what one process happened to see first must not decide for the other.
    """
    # A lone surrogate is no valid text, but a decision must not fail for it; valid text has the same bytes either way.
    digest = blake2b(f"{feature}\0{value}".encode(errors="surrogatepass"), digest_size=8).digest()
    return 1 + int.from_bytes(digest, "big") % (buckets - 1)
