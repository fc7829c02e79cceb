"""Named arrays as safetensors bytes, with checks that the format does not make."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from learner.examples.learner_errors import CheckpointBroken

HEADER_LENGTH_BYTES = 8


def write_tensors(tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """The arrays as bytes; raises CheckpointBroken if one contains NaN or infinity."""
    _require_finite(tensors)
    return save({name: np.asarray(array, order="C") for name, array in tensors.items()})


def read_tensors(content: bytes, what: str) -> dict[str, NDArray[Any]]:
    """The arrays in `content`; `what` names it in errors.

    Raises CheckpointBroken for bytes that are not a safetensors file, a duplicate name (of which the format's reader
    silently uses the last), NaN or infinity.
    """
    try:
        size = int.from_bytes(content[:HEADER_LENGTH_BYTES], "little")
        json.loads(content[HEADER_LENGTH_BYTES : HEADER_LENGTH_BYTES + size], object_pairs_hook=_unique)
        tensors = load(content)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError, MemoryError) as fault:
        raise CheckpointBroken(f"{what}: {fault}", fix="restore it, or train again") from fault
    _require_finite(tensors)
    return tensors


def _require_finite(tensors: Mapping[str, NDArray[Any]]) -> None:
    for name, array in tensors.items():
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            raise CheckpointBroken(
                f"tensor {name} contains a value that is not finite", fix="lower learner.learning_rate and train again"
            )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a tensor name appears twice")
    return content
