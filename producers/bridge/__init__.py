"""Turns each record of the company's own topics into an engagement.

Reads the topics that the `[[bridge]]` sections of the experiment file name, and `explorations`, for raised log rates.
Writes `events` (Engagement) and `dead-letters` for records that cannot be engagements; its own commits.
Guarantees that a source record is committed only after its result is stored, and that stable ids make a second copy
harmless.
Fails with SourceUnreadable, SourceSchemaError or TopicUnidentified when the source does not match its declaration, and
with WriteUnconfirmed when an output is not stored in time. A bad record becomes a dead letter; NothingBridged is raised
when all records of a run up to the end were bad.
"""

from producers.bridge.announced_settings import AnnouncedSettings
from producers.bridge.bridge_run import Bridge, BridgeParts
from producers.bridge.engagement_mapping import EngagementMapper
from producers.bridge.raised_log_rates import RaisedLogRates
from producers.bridge.source_consumer import ConsumerSettings, SourceConsumer
from producers.bridge.source_decoding import decoder_for

__all__ = [
    "AnnouncedSettings",
    "Bridge",
    "BridgeParts",
    "ConsumerSettings",
    "EngagementMapper",
    "RaisedLogRates",
    "SourceConsumer",
    "decoder_for",
]
