"""What a learner of 0.1.0, and one of today, store of the examples in a mixed fleet, without the training that follows.

The classes are those of `trimtab learn`, wired as it wires them; most of its time is for loading torch.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

from learner.examples.example_decoder import ExampleDecoder
from learner.examples.example_source import KafkaExampleSource
from learner.examples.ingest import DeadLetters, Ingest, IngestCounts
from learner.examples.segment_store import SegmentStore
from producers.delivery.kafka_delivery import KafkaDelivery
from tests.upgrades.mixed_fleet import WAIT_SECONDS, MixedFleet

AS_0_1_0 = """
import sys
from contextlib import closing
from pathlib import Path
from event_schemas.topics import DEAD_LETTERS, EXAMPLES
from learner.example_decoder import ExampleDecoder
from learner.example_source import KafkaExampleSource
from learner.ingest import DeadLetters, Ingest
from learner.segment_store import SegmentStore
from producers.delivery import KafkaDelivery
from trimtab.settings import load_settings
settings = load_settings()
experiment, codec, client = settings.load_experiment(), settings.codec(), settings.kafka_client_config()
topic, retention = settings.topic(EXAMPLES), experiment.learner.retention
with (
    SegmentStore(Path(sys.argv[1]), topic, retention) as store,
    closing(KafkaExampleSource(client, topic)) as source,
    KafkaDelivery(client) as delivery,
):
    letters = DeadLetters(codec, delivery, settings.topic(DEAD_LETTERS))
    ingest = Ingest(source, ExampleDecoder(codec, experiment.action_space), store, letters)
    ingest.start()
    for _ in ingest.to_end():
        pass
"""


def ingest_as_0_1_0(fleet: MixedFleet, old: Path, machine: str) -> subprocess.CompletedProcess[str]:
    """The code of 0.1.0 reads `examples` to its end."""
    command = [sys.executable, "-P", "-c", AS_0_1_0, str(fleet.segments(machine))]
    return subprocess.run(command, env=fleet.environment(old), capture_output=True, text=True, timeout=WAIT_SECONDS)


def ingest(fleet: MixedFleet, machine: str, *, reread: bool = False) -> IngestCounts:
    """The code of today does; with `reread` from the first record, as `trimtab learn --reread`."""
    client, topic, codec = {"bootstrap.servers": fleet.bootstrap}, f"{fleet.prefix}examples", fleet.codec
    with (
        closing(KafkaExampleSource(client, topic)) as source,
        SegmentStore(fleet.segments(machine), topic, fleet.experiment.learner.retention, reread=reread) as store,
        KafkaDelivery(client) as delivery,
    ):
        letters = DeadLetters(codec, delivery, f"{fleet.prefix}dead-letters")
        reading = Ingest(source, ExampleDecoder(codec, fleet.experiment.action_space), store, letters)
        reading.start()
        for _ in reading.to_end():
            pass
        return reading.counts
