"""Whole numbers as Avro spells them: zig-zag, seven bits a byte, the lowest first.

Two bytes at a time from tables: that is faster for one number than a call of an encoder, and it has no fixed cost for
many as columns have.
"""

from __future__ import annotations

from functools import lru_cache

KEPT = 1_024
PAIR = 1 << 14
LAST = [bytes([rest]) if rest < 0x80 else bytes([rest & 0x7F | 0x80, rest >> 7]) for rest in range(PAIR)]
MORE = [bytes([rest & 0x7F | 0x80, rest >> 7 | 0x80]) for rest in range(PAIR)]


def spelled(number: int) -> bytes:
    """The bytes of a 64-bit integer."""
    rest = 2 * number if number >= 0 else -2 * number - 1
    return LAST[rest] if rest < PAIR else MORE[rest % PAIR] + _above(rest // PAIR)


@lru_cache(KEPT)
def _above(rest: int) -> bytes:
    """What follows the first two bytes: for times and offsets that come one after the other, often the same."""
    return LAST[rest] if rest < PAIR else MORE[rest % PAIR] + _above(rest // PAIR)
