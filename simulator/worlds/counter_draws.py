"""Random numbers by position: each is a hash of its seed, stream, row and column, so that any part can be drawn alone.

The hash is the output function of SplitMix64 (Steele, Lea and Flood, 2014, with Stafford's variant 13), applied twice
to a counter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GOLDEN = 0x9E3779B97F4A7C15
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
WORD = 2**64


def uniforms(seed: int, stream: int, rows: NDArray[np.int64], width: int) -> NDArray[np.float64]:
    """float64[n, width] in (0, 1); row i depends on `rows[i]` (0 or more) and on nothing else in `rows`.

    `seed` and `stream` are 0 or more. Row r of one width and row r of another are unrelated only in different streams.
    """
    key = _mixed(np.array([seed % WORD, (stream * GOLDEN + 1) % WORD], dtype=np.uint64))
    counter = np.asarray(rows, dtype=np.uint64)[:, None] * np.uint64(width) + np.arange(width, dtype=np.uint64)
    bits = _mixed(_mixed(counter + key[0]) ^ key[1])
    # 52 bits and half a step: neither 0 nor 1 can occur.
    return ((bits >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def normals(seed: int, stream: int, rows: NDArray[np.int64], width: int) -> NDArray[np.float64]:
    """float64[n, width], standard normal and independent (Box and Muller, 1958)."""
    drawn = uniforms(seed, stream, rows, 2 * width)
    radius, angle = np.sqrt(-2 * np.log(drawn[:, :width])), 2 * np.pi * drawn[:, width:]
    found: NDArray[np.float64] = radius * np.cos(angle)
    return found


def evenly(u: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Indices 0 to `count` − 1, equally likely, drawn by the uniform numbers `u`."""
    return np.minimum((u * count).astype(np.int64), count - 1)


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    bits = (bits ^ (bits >> np.uint64(30))) * FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * SECOND
    return bits ^ (bits >> np.uint64(31))
