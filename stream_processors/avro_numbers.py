"""Whole numbers as Avro spells them: zig-zag, seven bits a byte, the lowest first.

Two bytes at a time from tables: that is faster for one number than a call of an encoder, and it has no fixed cost for
many as columns have.
"""

from __future__ import annotations

PAIR = 1 << 14
LAST = [bytes([rest]) if rest < 0x80 else bytes([rest & 0x7F | 0x80, rest >> 7]) for rest in range(PAIR)]
MORE = [bytes([rest & 0x7F | 0x80, rest >> 7 | 0x80]) for rest in range(PAIR)]


def spelled(number: int) -> bytes:
    """The bytes of a 64-bit integer."""
    rest, found = 2 * number if number >= 0 else -2 * number - 1, b""
    while rest >= PAIR:
        found += MORE[rest % PAIR]
        rest //= PAIR
    return found + LAST[rest]
