"""However many ids there are and whatever they say, each is added once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream_processors.partition.engagement_ids import FEW_IDS, Ids, with_id

IDS = st.text(st.sampled_from("aé\0ÿ\x7f😀"), max_size=3) | st.text(max_size=2)


@given(st.lists(IDS, min_size=1, max_size=40))
def test_an_id_is_added_once(given_ids: list[str]) -> None:
    ids: Ids = given_ids[0]
    known = {given_ids[0]}
    for one in given_ids[1:]:
        more = with_id(ids, one)
        assert (more is None) == (one in known)
        known.add(one)
        ids = ids if more is None else more
        assert isinstance(ids, str if len(known) == 1 else bytes if len(known) <= FEW_IDS else set)
    assert all(with_id(ids, one) is None for one in known)


def test_many_ids_are_a_set_of_them() -> None:
    ids: Ids = "e0"
    for number in range(1, FEW_IDS + 1):
        more = with_id(ids, f"e{number}")
        assert more is not None
        ids = more
    assert ids == {f"e{number}" for number in range(FEW_IDS + 1)}
