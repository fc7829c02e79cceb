"""Decisions of a box: the join gives what the reference gives, for vectors and densities that fit or contradict."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from event_schemas import records as r
from stream_processors.columns.chunk_validation import ChunkValidator
from stream_processors.partition.partition_join import PartitionJoin
from stream_processors.rule.fates import Fate
from stream_processors.rule.reference_join import reference_join
from tests.stream_processors.event_log import BOX_SPACE, CODEC, WINDOW_MS, EventLog, box_rule
from tests.stream_processors.join_runs import assert_as_reference, columns_beyond, process

choices = st.sampled_from(
    [
        {"arm": 0, "weights": [1.5]},
        {"arm": 0, "weights": [4.0], "slice": "POLICY"},
        {"arm": 0, "weights": [4.5]},
        {"arm": 0, "weights": []},
        {"arm": 1, "weights": [3.0]},
        {"arm": 1, "weights": [1.5]},
        {"arm": 1, "weights": [], "slice": "CONTROL"},
    ]
)
densities = st.sampled_from([None, 0.0, -3.5, 2.25, float("nan")])
spreads = st.sampled_from([[], [], [0.75, 0.25], [0.5, 0.5], [1.0, 0.0]])
decisions = st.tuples(st.sampled_from("abcdef"), choices, densities, spreads, st.booleans())


def written(drawn: list[tuple[str, dict[str, Any], float | None, list[float], bool]]) -> EventLog:
    log = EventLog()
    for time, (request_id, choice, density, probabilities, action_first) in enumerate(drawn):
        log.request(request_id, 100 + time)
        fields = {
            "action": {"action_space": BOX_SPACE, **choice},
            "propensity": {"propensity": 0.75, "log_density": density, "probabilities": probabilities},
        }
        for part in sorted(fields, reverse=not action_first):
            getattr(log, part)(request_id, 100 + time, **fields[part])
    log.heartbeat(100 + len(drawn) + 2 * WINDOW_MS)
    return log


@given(st.lists(decisions, min_size=1, max_size=12), st.sampled_from([1, 5, 64]), st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_box_is_joined_as_the_reference_says(drawn: list[Any], chunk: int, columns: bool) -> None:
    log, rule = written(drawn), box_rule()
    with columns_beyond(0 if columns else sys.maxsize):
        join, validator = PartitionJoin(rule, CODEC, 0), ChunkValidator(CODEC, rule)
        steps = [process(join, log.records[at : at + chunk], validator) for at in range(0, len(log.records), chunk)]
    counts = Counter[Fate]()
    for step in steps:
        counts.update(step.fates)
    reference = reference_join(rule, CODEC, log.records)
    assert_as_reference(reference, [emission for step in steps for emission in step.emissions], counts)


def test_examples_of_a_box_have_a_density_exactly_where_a_vector_was_explored() -> None:
    log = written(
        [
            ("a", {"arm": 0, "weights": [1.5]}, -0.5, [], True),
            ("b", {"arm": 0, "weights": [1.5]}, None, [], True),
            ("c", {"arm": 1, "weights": [3.0]}, None, [], False),
            ("d", {"arm": 1, "weights": [3.0]}, 0.0, [], False),
            ("e", {"arm": 0, "weights": [2.5], "slice": "POLICY"}, None, [], False),
        ]
    )
    reference = reference_join(box_rule(), CODEC, log.records)
    examples = {key.request_id: CODEC.decode(value).record for key, value in reference.examples.items()}
    assert {name: each["propensity"]["log_density"] for name, each in examples.items()} == {
        "a": -0.5,
        "c": None,
        "e": None,
    }
    assert list(reference.fates.values()).count(Fate.MALFORMED) == 2
    assert CODEC.registry.newest(r.EXAMPLE).version == 2
