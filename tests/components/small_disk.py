"""A disk of a few megabytes that can be filled to the last byte and emptied again."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

from tests.components.kafka_broker import ComponentMissing

BALLAST = "ballast"
BLOCK = b"\0" * 4096


class SmallDisk:
    """A tmpfs mounted on `directory`, which needs the right to mount (root, or CAP_SYS_ADMIN in a container)."""

    def __init__(self, directory: Path, megabytes: int) -> None:
        self.directory = directory
        self._megabytes = megabytes

    def mount(self) -> None:
        """Raises ComponentMissing where mounting is not allowed."""
        self.directory.mkdir(parents=True, exist_ok=True)
        options = ["-t", "tmpfs", "-o", f"size={self._megabytes}m,mode=0777", "trimtab-small-disk"]
        done = subprocess.run(["mount", *options, str(self.directory)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise ComponentMissing(
                f"no small disk can be mounted on {self.directory}: {done.stderr.strip()}",
                fix="run as root, in a container with --cap-add SYS_ADMIN",
            )

    def unmount(self) -> None:
        """Unmount the disk; its content is lost. May be called repeatedly."""
        subprocess.run(["umount", "--lazy", str(self.directory)], capture_output=True, check=False)

    def fill(self) -> int:
        """Fill the disk; returns the number of bytes written."""
        ballast = self.directory / BALLAST
        with suppress(OSError), ballast.open("ab", buffering=0) as sink:
            while sink.write(BLOCK):
                pass
        return ballast.stat().st_size

    def free(self) -> None:
        """Free the space again."""
        (self.directory / BALLAST).unlink(missing_ok=True)
