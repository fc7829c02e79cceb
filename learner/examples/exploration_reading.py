"""Reads the exploration settings from their topic and keeps them; refuses another exploration unit."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

from event_schemas.codec import Codec
from event_schemas.errors import ComponentUnreachable, MalformedRecord, UnknownSchema
from event_schemas.experiment import Experiment
from event_schemas.exploration import ExplorationSettings
from event_schemas.log_record import LogRecord
from event_schemas.records import EXPLORATION
from learner.examples.example_source import ExampleSource
from learner.examples.exploration_shelf import ExplorationShelf
from learner.examples.learner_errors import ExamplesLost, UnitChanged
from learner.examples.whole_topic import whole_topic
from producers.topics import TopicError

NAMED_SETTINGS = 10
"""How many unreadable records a reading names in the log."""
LONGEST_NAME = 100
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class KeptExplorations:
    """The settings by digest that are on this machine after a reading, and how many records could not be read."""

    settings: dict[str, ExplorationSettings]
    unreadable: int = 0


def read_explorations(
    source: ExampleSource, codec: Codec, shelf: ExplorationShelf | None, clock: Callable[[], float] = time.monotonic
) -> KeptExplorations:
    """Keep all settings of the topic, from its start to its current end, and return all that are kept.

    Without a shelf those of the topic are returned, and nothing is written.

    A record that cannot be read, or is not under its digest, is ignored, counted and logged. An absent topic is only
    logged. Raises ComponentUnreachable, RightMissing and StoreUnwritable.
    """
    unreadable, found = 0, dict[str, ExplorationSettings]()
    try:
        for records in whole_topic(source, "exploration record", clock):
            for record in records:
                try:
                    settings = _settings(record, codec)
                except (MalformedRecord, UnknownSchema) as fault:
                    unreadable += 1
                    if unreadable <= NAMED_SETTINGS:
                        where = {"partition": record.partition, "offset": record.offset}
                        log.warning("exploration settings left out", **where, what=fault.what[:LONGEST_NAME])
                    continue
                if shelf is not None and settings.digest not in found:
                    shelf.save(settings)
                found[settings.digest] = settings
    except ExamplesLost as fault:  # a compacted topic may lose its first offsets while it is read
        raise ComponentUnreachable(
            f"the exploration settings changed while they were read: {fault.what}", fix="the next run reads them again"
        ) from fault
    except TopicError as fault:  # rows whose settings nobody kept are counted by the log check
        log.warning("no exploration settings are read", what=fault.what, fix=fault.fix)
    if unreadable > NAMED_SETTINGS:
        log.warning("more exploration settings left out", records=unreadable - NAMED_SETTINGS)
    return KeptExplorations(found if shelf is None else shelf.load(), unreadable)


def require_one_unit(settings: Iterable[ExplorationSettings], experiment: Experiment) -> None:
    """Raise UnitChanged if decisions of this experiment were drawn with another exploration unit than its file has.

    The rows of both cannot be told apart by what an interval clusters by, and a session would be partly explored.
    """
    ours = experiment.exploration.unit
    other = next((each for each in settings if each.unit != ours), None)
    if other is not None:
        raise UnitChanged(
            f"experiment {experiment.name!r}: decisions were drawn by {other.unit} (exploration settings"
            f" {other.digest[:12]}…), but experiment.exploration_unit is {ours!r}",
            fix=f"set experiment.exploration_unit = {other.unit!r}, or give the experiment a new name and topics of its"
            " own (TRIMTAB_TOPIC_PREFIX)",
        )


def _settings(record: LogRecord, codec: Codec) -> ExplorationSettings:
    """The settings in a record of the topic; raises MalformedRecord or UnknownSchema."""
    decoded = codec.decode(record.value)
    if decoded.name != EXPLORATION:
        raise MalformedRecord(f"a {decoded.name}, not an Exploration", fix="write only Explorations to this topic")
    return ExplorationSettings.parse(decoded.record["digest"], decoded.record["settings"])
