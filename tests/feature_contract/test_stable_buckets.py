"""The hashing vocabulary."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from feature_contract.stable_buckets import bucket

ROOT = Path(__file__).parents[2]


@given(st.text(), st.text(), st.integers(2, 10_000))
def test_a_bucket_is_in_range_and_never_the_missing_one(feature: str, value: str, buckets: int) -> None:
    assert 1 <= bucket(feature, value, buckets) < buckets


def test_buckets_are_the_same_for_ever() -> None:
    """A change of these numbers breaks every published checkpoint: raise ENCODING_VERSION with it."""
    assert [bucket("surface", value, 1024) for value in ("home", "search", "ü")] == PINNED


def test_another_process_agrees() -> None:
    code = "from feature_contract.stable_buckets import bucket; print(bucket('surface', 'home', 1024))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert int(answer.stdout) == bucket("surface", "home", 1024)


def test_equal_values_of_other_types_do_not_share_a_cached_bucket() -> None:
    as_text = [bucket("typed", text, 10_000) for text in ("1", "True", "1.0")]
    values: tuple[Any, ...] = (1, True, 1.0)
    assert [bucket("typed", value, 10_000) for value in values] == as_text
    assert len(set(as_text)) == 3


def test_text_that_is_not_valid_unicode_has_a_bucket_too() -> None:
    assert 1 <= bucket("surface", "\ud800", 32) < 32


def test_features_collide_apart() -> None:
    values = [str(i) for i in range(200)]
    assert [bucket("a", v, 64) for v in values] != [bucket("b", v, 64) for v in values]


PINNED = [148, 267, 471]
