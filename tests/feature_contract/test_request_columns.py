"""Lists, vectors and texts of many requests as arrays."""

import numpy as np

from feature_contract import ABSENT, Lists, Texts, Vectors


def test_lists_know_where_their_entries_lie() -> None:
    lists = Lists(np.array([2, 0, 1]))
    assert lists.starts.tolist() == [0, 2, 2]
    assert lists.owners.tolist() == [0, 0, 2]


def test_vectors_of_one_width_become_a_table() -> None:
    vectors = Vectors(np.array([1.0, 2.0, 9.0, 3.0, 4.0]), Lists(np.array([2, 1, 2])))
    assert vectors.of_width(2, np.array([2, 0])).tolist() == [[3.0, 4.0], [1.0, 2.0]]
    assert vectors.of_width(2, np.array([], dtype=np.int64)).shape == (0, 2)


def test_each_distinct_text_is_looked_up_once() -> None:
    texts, asked = Texts(np.array([1, 0, 1, ABSENT]), ("a", "bb", "unused")), list[str]()

    def length(text: str) -> float:
        asked.append(text)
        return len(text)

    assert texts.looked_up(length, -5.0, np.array([0, 2, 3, 1])).tolist() == [2.0, 2.0, -5.0, 1.0]
    assert asked == ["a", "bb"]
    assert texts.equal("bb").tolist() == [True, False, True, False]
    assert not texts.equal("nothing").any()
