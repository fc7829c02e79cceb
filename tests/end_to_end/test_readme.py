"""The README's second part, line by line in one shell on real Kafka and Redis, until a policy serves."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.components.free_port import free_port
from tests.components.kafka_broker import KafkaBroker

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DONE = "@@ done"
SERVED_SECONDS = 60.0
FOLLOWING = {
    "--role learner": "trimtab policy keygen --role governance --id you --out keys/governance",
    "--role governance": "trimtab topics create",
    "topics create": "trimtab join",
    "--days 21": "trimtab learn --once --wait-examples 6000",
    "alpha propose": r"trimtab alpha approve p-\w+",
    "learn --once": r"trimtab policy promote \S+ --to stable",
    "policy promote": "trimtab policy status",
}
"""A part of a line, and a pattern of the command that must come next according to what the line's command says."""


def commands() -> list[str]:
    """The lines of the part's code blocks in order; a line that ends in a backslash goes on in the next one."""
    part = README[README.index("## Your own Kafka and Redis") : README.index("### Your ranker and your logs")]
    blocks = re.findall(r"^ *```\n(.*?)^ *```$", part, flags=re.DOTALL | re.MULTILINE)
    return [line.strip() for line in "".join(blocks).replace("\\\n", "").splitlines()]


@dataclass
class Ran:
    """A command that has ended: its exit status, its output, and the commands that it says come next."""

    code: int
    output: str
    following: list[str]


class Shell:
    """A bash that keeps its variables and background jobs from line to line, as a person's does."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self._errors = directory / "errors.log"
        self._bash = subprocess.Popen(
            ["bash"],
            cwd=directory,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors.open("wb"),
            text=True,
            start_new_session=True,
        )

    def run(self, line: str) -> Ran:
        """Run one line to its end."""
        before = len(self.errors())
        assert self._bash.stdin is not None and self._bash.stdout is not None
        self._bash.stdin.write(f"{line}\necho; echo '{DONE}' $?\n")
        self._bash.stdin.flush()
        output = ""
        for printed in self._bash.stdout:
            if printed.startswith(DONE):
                said = self.errors()[before:]
                return Ran(int(printed.split()[-1]), output, re.findall(r"^next: (.*)$", said, flags=re.MULTILINE))
            output += printed
        raise AssertionError(f"the shell ended in {line!r}:\n{self.errors()}")

    def errors(self) -> str:
        """What the commands have written to stderr so far."""
        return self._errors.read_text(encoding="utf-8")

    def close(self) -> None:
        """End the shell and what runs in its background."""
        os.killpg(self._bash.pid, signal.SIGTERM)
        self._bash.communicate(timeout=40)


@pytest.fixture
def shell(kafka: KafkaBroker, tmp_path: Path) -> Iterator[Shell]:
    """In a directory with the simulator's experiments, `trimtab` on the PATH, and no setting but a topic prefix."""
    (tmp_path / "simulator").symlink_to(ROOT / "simulator")
    trimtab = tmp_path / "bin" / "trimtab"
    trimtab.parent.mkdir()
    trimtab.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m trimtab "$@"\n', encoding="utf-8")
    trimtab.chmod(0o755)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TRIMTAB_")}
    own = {"PATH": f"{trimtab.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "TRIMTAB_TOPIC_PREFIX": "readme."}
    opened = Shell(tmp_path, inherited | own)
    yield opened
    opened.close()


@pytest.mark.timeout(300)
def test_the_second_part_line_by_line_ends_in_a_policy_that_serves(
    shell: Shell, kafka: KafkaBroker, redis_url: str
) -> None:
    """Only the addresses are this machine's, and PROPOSAL_ID is what the line before printed."""
    here = {"127.0.0.1:9092": kafka.bootstrap, "redis://127.0.0.1:6379/0": redis_url, "8080": str(free_port())}
    ran = Ran(0, "", [])
    outputs: dict[str, str] = {}
    for written in commands():
        line = written
        for example, real in here.items():
            line = line.replace(example, real)
        if "PROPOSAL_ID" in line:
            [approve] = ran.following
            line = line.replace("trimtab alpha approve PROPOSAL_ID", approve)
        ran = _once_served(shell, line) if line.startswith("curl") else shell.run(line)
        assert ran.code == 0, (line, shell.errors())
        outputs[written] = ran.output
        for part, following in FOLLOWING.items():
            if part in written:
                assert len(ran.following) == 1 and re.fullmatch(following, ran.following[0]), (written, ran)
    [answer] = [output for line, output in outputs.items() if line.startswith("curl")]
    decision = json.loads(answer)
    assert decision["slice"] == "POLICY" and decision["policy_version"], decision
    [served] = [output for line, output in outputs.items() if "--via" in line]
    assert re.search(r"\d+ POLICY", served), served
    assert "Traceback" not in shell.errors() and "ERROR" not in shell.errors(), shell.errors()


def _once_served(shell: Shell, line: str) -> Ran:
    """The line's last run: it is repeated until the node has picked the policy up."""
    deadline = time.monotonic() + SERVED_SECONDS
    while "POLICY" not in (ran := shell.run(line)).output:
        assert time.monotonic() < deadline, (ran, shell.errors())
        time.sleep(0.2)
    return ran
