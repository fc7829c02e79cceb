"""The bounds of number types; a field may have narrower bounds, which its reader checks."""

from __future__ import annotations

LARGEST_FLOAT = (2.0 - 2.0**-23) * 2.0**127
"""The largest finite Avro float (32 bits): a larger number cannot be encoded."""

LONGS = range(-(2**63), 2**63)
"""The values of an Avro long."""

EXACT_INTEGERS = 2**53
"""Integers below it are exact as 64-bit floats too, which JSON readers and scripts in Redis convert them to."""
