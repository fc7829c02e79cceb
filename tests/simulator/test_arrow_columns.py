"""Arrow columns hold what they are made of."""

import numpy as np
import pyarrow as pa

from simulator.arrow_columns import column, empty_lists, even_lists, lists, repeated, struct, texts


def test_lists_of_equal_and_other_lengths() -> None:
    values = pa.array([1, 2, 3, 4])
    assert even_lists(values, 2).to_pylist() == [[1, 2], [3, 4]]
    assert lists(values, np.array([0, 3, 1])).to_pylist() == [[], [1, 2, 3], [4]]
    assert even_lists(pa.array([], type=pa.int64()), 0).to_pylist() == []


def test_empty_lists_keep_their_kind() -> None:
    found = empty_lists(2, pa.float64())
    assert found.to_pylist() == [[], []] and found.type == pa.list_(pa.float64())


def test_structs_texts_and_repetitions() -> None:
    names = texts(["a", "b"], np.array([1, 0, 1]))
    assert struct(name=names, count=np.array([1, 2, 3])).to_pylist()[0] == {"name": "b", "count": 1}
    assert repeated(["a", "b"], 2).to_pylist() == ["a", "b", "a", "b"]
    assert column(names) is names and column([1]).to_pylist() == [1]
