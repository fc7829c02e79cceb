"""Key → partition, as Kafka's Java clients and librdkafka's `murmur2_random` compute it."""

from __future__ import annotations

SEED = 0x9747B28C
MULTIPLIER = 0x5BD1E995
MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Kafka's 32-bit Murmur2 of `data`, unsigned (org.apache.kafka.common.utils.Utils.murmur2)."""
    digest = (SEED ^ len(data)) & MASK
    whole = len(data) & ~3
    for start in range(0, whole, 4):
        block = int.from_bytes(data[start : start + 4], "little") * MULTIPLIER & MASK
        block = (block ^ (block >> 24)) * MULTIPLIER & MASK
        digest = (digest * MULTIPLIER & MASK) ^ block
    if tail := data[whole:]:
        digest = (digest ^ int.from_bytes(tail, "little")) * MULTIPLIER & MASK
    digest = (digest ^ (digest >> 13)) * MULTIPLIER & MASK
    return digest ^ (digest >> 15)


def partition_of(key: bytes, partitions: int) -> int:
    """The partition (0 … partitions-1) a keyed record goes to."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
