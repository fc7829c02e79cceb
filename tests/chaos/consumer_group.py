"""Lists the members of a consumer group, even if the broker fails during the request.

In that case confluent-kafka's own `describe_consumer_groups` never returns, or aborts the process with an assertion.
"""

from __future__ import annotations

import asyncio

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import KafkaError

from event_schemas.errors import ComponentUnreachable

ANSWER_SECONDS = 8.0

Members = frozenset[tuple[str, tuple[int, ...]]]
"""Each member's id and the partitions assigned to it."""


def group_members(bootstrap: str, group: str) -> Members:
    """The group's current members according to its coordinator; raises ComponentUnreachable."""
    try:
        return asyncio.run(asyncio.wait_for(_members(bootstrap, group), ANSWER_SECONDS))
    except (KafkaError, TimeoutError, OSError) as fault:
        raise ComponentUnreachable(f"group {group}: {fault!r}", fix="check the broker") from fault


async def _members(bootstrap: str, group: str) -> Members:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=int(ANSWER_SECONDS * 1000))
    await admin.start()
    try:
        [answer] = await admin.describe_consumer_groups([group])
    finally:
        await admin.close()
    [description] = answer.groups
    return frozenset((member[0], _partitions(member[4])) for member in description[5])


def _partitions(assignment: bytes) -> tuple[int, ...]:
    if not assignment:
        return ()
    decoded = ConsumerProtocolMemberAssignment.decode(assignment)
    return tuple(sorted(tp.partition for tp in decoded.partitions()))
