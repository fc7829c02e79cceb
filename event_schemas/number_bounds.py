"""The bounds that types set to numbers; what a field may mean is narrower, and the business of whoever reads it."""

from __future__ import annotations

LARGEST_FLOAT = (2.0 - 2.0**-23) * 2.0**127
"""The largest finite Avro float (32 bits): a larger number cannot be encoded."""

LONGS = range(-(2**63), 2**63)
"""What an Avro long can be."""

EXACT_INTEGERS = 2**53
"""Whole numbers below it are exact as 64-bit floats too: what readers of JSON, and scripts in Redis, make of them."""
