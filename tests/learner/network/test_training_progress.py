"""What a training tells of itself can be had without torch."""

import subprocess
import sys

READING = """
import sys
from learner.network.training_progress import TrainingProgress, TrainingReport
print(TrainingReport((0.5, 0.25), 14, 1.0).threads, TrainingProgress(2, 4, 0.25).loss, "torch" in sys.modules)
"""


def test_its_words_load_no_torch() -> None:
    told = subprocess.run([sys.executable, "-c", READING], check=True, capture_output=True, text=True).stdout
    assert told.split() == ["1", "0.25", "False"]
