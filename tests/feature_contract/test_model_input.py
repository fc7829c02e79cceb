"""ModelInput as a batch."""

import numpy as np

from feature_contract.model_input import ModelInput


def batch() -> ModelInput:
    return ModelInput({"user_embedding": np.arange(6, dtype=np.float32).reshape(3, 2)}, 3)


def test_take_selects_rows_by_position_mask_and_slice() -> None:
    assert batch().take([2, 0])["user_embedding"].tolist() == [[4, 5], [0, 1]]
    assert batch().take(np.array([False, True, False])).rows == 1
    assert batch().take(slice(1, None)).rows == 2


def test_a_contract_without_features_still_counts_rows() -> None:
    assert ModelInput({}, 4).take([0, 1]).rows == 2


def test_feeds_are_the_arrays_by_name() -> None:
    assert list(batch().feeds()) == ["user_embedding"]
