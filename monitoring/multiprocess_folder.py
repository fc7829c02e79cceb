"""Checks the directory of prometheus_client's multi-process mode before metrics are made.

If `PROMETHEUS_MULTIPROC_DIR` is set, prometheus_client keeps every metric in a file there, and making a metric without
that directory fails in the middle of a start.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping

from event_schemas.errors import SettingError

VARIABLES = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")
"""The variable, and its earlier name, which prometheus_client still reads."""


def require_multiprocess_folder(environment: Mapping[str, str] = os.environ) -> None:
    """Raises SettingError if the variable is set and does not name a directory that this process can write."""
    for variable in VARIABLES:
        if variable not in environment:
            continue
        folder = environment[variable]
        if not folder:
            raise SettingError(f"{variable} is set, but empty", fix="name a directory in it, or unset it")
        try:
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as refused:
            raise SettingError(
                f"{variable} = {folder}: {refused.strerror}",
                fix="create that directory and let this user write it, or unset the variable",
            ) from refused
