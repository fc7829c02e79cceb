"""Whole numbers as Avro spells them: zig-zag, seven bits a byte, the lowest bits first.

Tables give two bytes at a time. For one number that is faster than calling an encoder, and it has no fixed cost per
call as columns have.
"""

from __future__ import annotations

from functools import lru_cache

KEPT = 1_024
"""Numbers whose higher bytes are cached."""
PAIR = 1 << 14
"""Two bytes hold the zig-zag numbers below this."""
LAST = [bytes([rest]) if rest < 0x80 else bytes([rest & 0x7F | 0x80, rest >> 7]) for rest in range(PAIR)]
MORE = [bytes([rest & 0x7F | 0x80, rest >> 7 | 0x80]) for rest in range(PAIR)]


def spelled(number: int) -> bytes:
    """The bytes of a 64-bit integer."""
    rest = 2 * number if number >= 0 else -2 * number - 1
    return LAST[rest] if rest < PAIR else MORE[rest % PAIR] + _above(rest // PAIR)


@lru_cache(KEPT)
def _above(rest: int) -> bytes:
    """The bytes after the first two: times and offsets that follow each other often share them."""
    return LAST[rest] if rest < PAIR else MORE[rest % PAIR] + _above(rest // PAIR)
