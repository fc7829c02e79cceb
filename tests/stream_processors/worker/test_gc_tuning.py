"""The pace is set while joining and no longer."""

from __future__ import annotations

import gc
import sys

import pytest

from stream_processors.worker.gc_tuning import COLLECTOR_THRESHOLDS, SWITCH_SECONDS, tuned_for_joining


def test_the_pace_is_set_and_set_back() -> None:
    before = gc.get_threshold(), sys.getswitchinterval()
    with pytest.raises(ValueError, match="ended"), tuned_for_joining():
        assert gc.get_threshold() == COLLECTOR_THRESHOLDS
        assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS)
        assert gc.get_freeze_count() > 0
        raise ValueError("ended")
    assert (gc.get_threshold(), sys.getswitchinterval()) == before
    assert gc.get_freeze_count() == 0
