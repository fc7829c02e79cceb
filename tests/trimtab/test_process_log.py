"""Lines of a long-running command: ours in one form, libraries' from warnings on, our errors not twice."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import logging, structlog
from event_schemas.errors import TrimtabError
from trimtab.process_log import log_to_stderr
log_to_stderr()
structlog.get_logger("x").info("partition taken", partition=3, done=True)
structlog.get_logger("x").debug("unseen")
logging.getLogger("library").info("unseen")
logging.getLogger("library").warning("seen %s", 7)
for fault in (TrimtabError("unseen", mend="unseen"), ValueError("a bug")):
    try:
        raise fault
    except Exception:
        logging.getLogger("library").exception("crashed")
"""


def test_lines() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0].startswith("timestamp=20")
    assert lines[0].endswith('level=info event="partition taken" partition=3 done=true')
    assert lines[1].endswith("WARNING library seen 7")
    assert lines[2].endswith("ERROR library crashed")
    assert "unseen" not in done.stderr
    assert lines[-1] == "ValueError: a bug"
