"""docs/guides/kill_and_rebase.md is true: its commands are run in its order, and print what it shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from event_schemas.errors import TrimtabError
from policy_store.decisions.governance import point_channel
from policy_store.records.channel_record import Channel, ChannelRecord
from tests.policy_store.foreign_hands import RedisHands
from tests.policy_store.store_samples import PEOPLE, TTL_MS, people
from tests.trimtab.store_commands import StoreCommands

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "kill_and_rebase.md").read_text(encoding="utf-8")
NUMBERS = (r"[0-9a-f]{64}", r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", r"(?<=revision )\d+")


def shown() -> list[tuple[str, str]]:
    """Each command of the guide with what it prints."""
    blocks = re.findall(r"```console\n\$ trimtab (.*?)\n(.*?)```", GUIDE, flags=re.DOTALL)
    return [(command, output) for command, output in blocks]


def without_numbers(text: str) -> str:
    """Hashes, times and revisions differ from run to run."""
    for number in NUMBERS:
        text = re.sub(number, "#", text)
    return text


def printed(cli: StoreCommands, command: str) -> str:
    """What the command prints, its error as the program prints it."""
    try:
        return cli.run(*shlex.split(command))
    except TrimtabError as error:
        return f"error: {error.what}\nfix: {error.fix}\n"


@pytest.fixture
def cli(redis_url: str, tmp_path: Path) -> StoreCommands:
    made = StoreCommands(redis_url, tmp_path)
    for version in ("v1", "v2"):
        made.put(version)
    return made


def lead_into_2036(cli: StoreCommands) -> None:
    """What the learner's clock, ten years ahead, has made of the stable channel."""
    record = point_channel(cli.store(), Channel.STABLE, "v1", people(), ttl_ms=TTL_MS)
    far = record.model_copy(update={"revision": record.revision + 315_360_000_000, "by": "the learner"})
    hands = RedisHands(cli.store(), cli.redis_url)
    hands.publish_as_0_1_0("channel:stable", ChannelRecord.parse(far.canonical()).signed_by(PEOPLE))
    hands.close()


def test_the_guide_shows_what_its_commands_print(cli: StoreCommands) -> None:
    commands = shown()
    assert len(commands) == 7
    for number, (command, output) in enumerate(commands):
        if number == 2:
            lead_into_2036(cli)
        assert without_numbers(printed(cli, command)) == without_numbers(output), command
    assert {row["problem"] for row in cli.json("policy", "verify")} == {None}
