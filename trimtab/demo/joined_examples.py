"""Reads the examples topic of one experiment, and computes the numbers that the report shows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from event_schemas.codec import Codec, unframe
from event_schemas.columnar import read_datums
from event_schemas.records import EXAMPLE
from event_schemas.registry import Registry
from event_schemas.topics import EXAMPLES, topic_name
from learner.judgement import ranker_head_values
from stream_processors.audit import LogReader
from trimtab.demo.workspace import DemoExperiment

CHUNK = 2_000
DECISION = {"request_request_id": pl.String, "request_event_time": pl.Int64}
"""The columns that identify a decision (`DecisionKey`)."""


@dataclass(frozen=True)
class JoinedExamples:
    """The first copy of each example, as columns (an Example flattened)."""

    frame: pl.DataFrame

    @property
    def count(self) -> int:
        """The number of examples, without further copies."""
        return self.frame.height

    def by_slice(self) -> dict[str, int]:
        """Examples by slice of the decision."""
        return dict(Counter(self.frame["action_slice"].to_list()))

    def rewarded(self) -> dict[str, int]:
        """The number of examples with a reward above zero, by objective."""
        if self.frame.height == 0:
            return {}
        outcomes = self.frame.select("outcome_objectives").explode("outcome_objectives").unnest("outcome_objectives")
        counted = outcomes.filter(pl.col("reward") > 0).group_by("objective").len()
        return {name: int(count) for name, count in sorted(counted.iter_rows())}

    def shadowed(self) -> Counter[int]:
        """How often the shadow policy would have chosen each arm, where it was evaluated."""
        return Counter(self.frame["action_shadow_arm"].drop_nulls().to_list())

    def heads_of_slice(self, slice_name: str) -> dict[str, NDArray[np.float64]]:
        """The mean over the candidates of each ranker head, float64[n] for the requests of one slice."""
        return ranker_head_values(self.frame.filter(pl.col("action_slice") == slice_name))


def read_examples(experiment: DemoExperiment) -> JoinedExamples:
    """Reads the whole topic; raises LogUnreadable or ComponentUnreachable."""
    client = {"bootstrap.servers": experiment.runtime.kafka_bootstrap, "log_level": "2"}
    reader = LogReader(client, topic_name(experiment.topic_prefix, EXAMPLES))
    registry = Registry.bundled()
    entry = registry.entry(Codec(registry).schema_id(EXAMPLE))
    datums = [unframe(record.value)[1] for record in reader.read_all() if record.value is not None]
    parts = [read_datums(entry, datums[start : start + CHUNK]) for start in range(0, len(datums), CHUNK)]
    frame = pl.concat(parts) if parts else pl.DataFrame(schema=DECISION)
    return JoinedExamples(frame.unique(list(DECISION), keep="first", maintain_order=True))
