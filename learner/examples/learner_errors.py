"""The exceptions of this stage.

TrimtabError
└── LearnerError
    ├── StoreMismatch      the data directory belongs to another topic or experiment, or is in use
    ├── StoreDamaged       a file of the data directory is missing, altered or unreadable
    ├── ClockMismatch      this machine's clock and the times of stored examples cannot both be right
    ├── StoreUnwritable    the disk of the data directory is full or cannot be written
    ├── ExamplesLost       the log no longer has the offset to continue from, or is another log
    ├── UnitChanged        the experiment's decisions were drawn with another exploration unit
    ├── NothingToLearn     the window has too few rows to train or evaluate on
    ├── BoxNotLearnt       no algorithm learns a box of weights
    ├── LineageOverlap     an ancestor was trained on outcomes inside the hold-out
    ├── RebuildImpossible  rows, parent or settings of a checkpoint are gone, so it cannot be trained again
    ├── ExportMismatch     the exported graph and the network compute different values
    └── CheckpointBroken   a checkpoint's files are missing, altered or not finite
"""

from event_schemas.errors import TrimtabError


class LearnerError(TrimtabError):
    """The base of all errors of this stage."""


class StoreMismatch(LearnerError):
    """The data directory belongs to another topic or experiment, or another process uses it."""


class StoreDamaged(LearnerError):
    """A file of the data directory is missing, altered or unreadable."""


class ClockMismatch(LearnerError):
    """This machine's clock and the times of stored examples cannot both be right, or the clock's time is unusable."""


class StoreUnwritable(LearnerError):
    """A file of the data directory cannot be written: its disk is full, read-only or broken."""


class ExamplesLost(LearnerError):
    """The log lacks the offset to continue from: retention deleted it, or the topic was created again."""


class UnitChanged(LearnerError):
    """Decisions of this experiment were drawn with another exploration unit than its file has."""


class NothingToLearn(LearnerError):
    """The window has too few rows to train or evaluate on."""


class BoxNotLearnt(LearnerError):
    """The experiment's algorithm scores arms and cannot learn a box of weights."""


class LineageOverlap(LearnerError):
    """An ancestor of the warm start was trained on outcomes inside the hold-out."""


class RebuildImpossible(LearnerError):
    """The rows, the parent or the settings that a checkpoint was trained with are not there any more."""


class ExportMismatch(LearnerError):
    """The exported graph and the network disagree, or the graph depends on the batch."""


class CheckpointBroken(LearnerError):
    """A checkpoint's files are missing, altered, of another shape, or contain a value that is not finite."""
