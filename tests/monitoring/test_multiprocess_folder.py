"""An unusable directory of the multi-process mode is an error with a fix before any metric is made."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from event_schemas.errors import SettingError
from monitoring.metrics import ServingMetrics
from monitoring.multiprocess_folder import VARIABLES, require_multiprocess_folder


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_folder_that_cannot_be_written_is_named(variable: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    expected = {
        "": "is set, but empty",
        str(tmp_path / "absent"): f"{tmp_path}/absent: No such file or directory",
        str(tmp_path / "file"): f"{tmp_path}/file: Not a directory",
        "/proc": "/proc: ",
    }
    for folder, words in expected.items():
        with pytest.raises(SettingError, match=f"{variable} .*{words}") as caught:
            require_multiprocess_folder({variable: folder})
        assert "unset" in caught.value.fix


def test_a_usable_folder_stays_empty(tmp_path: Path) -> None:
    require_multiprocess_folder({})
    require_multiprocess_folder({VARIABLES[0]: str(tmp_path)})
    assert list(tmp_path.iterdir()) == []


def test_no_metric_is_made_without_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLES[0], str(tmp_path / "absent"))
    registry = CollectorRegistry()
    with pytest.raises(SettingError, match="absent"):
        ServingMetrics(registry)
    assert list(registry.collect()) == []
