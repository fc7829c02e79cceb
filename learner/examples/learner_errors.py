"""The exceptions of this stage.

TrimtabError
└── LearnerError
    ├── StoreMismatch      the data directory belongs to another topic or experiment, or is in use
    ├── StoreDamaged       a file of the data directory is missing, altered or unreadable
    ├── ClockMismatch      this machine's clock and the times of what is stored cannot both be right
    ├── StoreUnwritable    the disk under the data directory takes no more, or refuses
    ├── ExamplesLost       the log no longer holds the offset to continue from, or is another log
    ├── NothingToLearn     the window holds too few rows to train or evaluate on
    ├── LineageOverlap     a parent was trained on outcomes that lie in the hold-out
    ├── ExportMismatch     the exported graph does not compute what the network computes
    └── CheckpointBroken   a checkpoint's files are missing, altered or not finite
"""

from event_schemas.errors import TrimtabError


class LearnerError(TrimtabError):
    """Anything that stops a learner run."""


class StoreMismatch(LearnerError):
    """The data directory belongs to another topic or experiment, or another process holds it."""


class StoreDamaged(LearnerError):
    """A file of the data directory is not what was written there: missing, altered or unreadable."""


class ClockMismatch(LearnerError):
    """This machine's clock and the times of what is stored cannot both be right, or the clock shows no usable time."""


class StoreUnwritable(LearnerError):
    """A file of the data directory cannot be written: its disk is full, read-only or broken."""


class ExamplesLost(LearnerError):
    """The log does not hold the offset to continue from: retention passed it, or the topic was created again."""


class NothingToLearn(LearnerError):
    """The window holds too few rows."""


class LineageOverlap(LearnerError):
    """An ancestor of the warm start was trained on outcomes inside the hold-out."""


class ExportMismatch(LearnerError):
    """The exported graph and the network disagree, or the graph depends on the batch."""


class CheckpointBroken(LearnerError):
    """A checkpoint's files are missing, altered, of another shape, or hold a value that is not finite."""
