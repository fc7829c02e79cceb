"""The arrays a policy network reads, for a batch of requests."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

USER_EMBEDDING = "user_embedding"
CONTEXT_IDS = "context_ids"
CONTEXT_NUMBERS = "context_numbers"
HISTORY_ITEMS = "history_items"
HISTORY_ACTIONS = "history_actions"
HISTORY_AGES = "history_ages"
HISTORY_MASK = "history_mask"
PREVIOUS_WEIGHTS = "previous_weights"
PREVIOUS_AGES = "previous_ages"
PREVIOUS_MASK = "previous_mask"

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class ModelInput(Mapping[str, Array]):
    """Named arrays with one row per request.

    user_embedding float32[n, U] · context_ids int64[n, C] · context_numbers float32[n, M] ·
    history_items float32[n, H, I] · history_actions int64[n, H] · history_ages float32[n, H] (log minutes) ·
    history_mask float32[n, H] (1 = a real item) · previous_weights float32[n, P, W] (normalised) · previous_ages
    float32[n, P] (log minutes) · previous_mask float32[n, P] (1 = a decision). Arrays of width 0 are left out.
    """

    arrays: Mapping[str, Array]
    rows: int

    def __getitem__(self, name: str) -> Array:
        return self.arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)

    def feeds(self) -> dict[str, Array]:
        """The inputs of an ONNX Runtime session for this batch."""
        return dict(self.arrays)

    def take(self, index: Sequence[int] | NDArray[Any] | slice) -> "ModelInput":
        """The requests at `index`, in that order."""
        chosen = np.arange(self.rows)[np.asarray(index) if not isinstance(index, slice) else index]
        return ModelInput({name: array[chosen] for name, array in self.arrays.items()}, len(chosen))
