"""safetensors with the checks that the format lacks."""

import json
from typing import Any

import numpy as np
import pytest

from learner.examples.learner_errors import CheckpointBroken
from learner.network.tensor_file import read_tensors, write_tensors


def test_round_trip() -> None:
    tensors: dict[str, Any] = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "n": np.array(7, dtype=np.int64),
    }
    back = read_tensors(write_tensors(tensors), "file")
    assert set(back) == {"a", "n"}
    np.testing.assert_array_equal(back["a"], tensors["a"])
    assert back["n"] == 7
    assert back["n"].shape == ()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_refused_on_writing(value: float) -> None:
    with pytest.raises(CheckpointBroken, match="tensor a"):
        write_tensors({"a": np.array([1.0, value])})


def test_a_value_that_is_not_finite_is_refused_on_reading() -> None:
    content = bytearray(write_tensors({"a": np.array([1.0], dtype=np.float32)}))
    content[-4:] = np.array([np.nan], dtype=np.float32).tobytes()
    with pytest.raises(CheckpointBroken, match="not finite"):
        read_tensors(bytes(content), "file")


def test_a_name_given_twice_is_refused() -> None:
    entry = json.dumps({"dtype": "F32", "shape": [1], "data_offsets": [0, 4]})
    header = f'{{"a": {entry}, "a": {entry}}}'.encode()
    content = len(header).to_bytes(8, "little") + header + b"\0\0\0\0"
    with pytest.raises(CheckpointBroken, match="twice"):
        read_tensors(content, "file")


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 64])
def test_bytes_that_are_no_file_are_refused(content: bytes) -> None:
    with pytest.raises(CheckpointBroken, match="weights"):
        read_tensors(content, "weights")
