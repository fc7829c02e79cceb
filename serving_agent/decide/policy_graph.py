"""An ONNX graph of a checkpoint, run by ONNX Runtime: arrays by name in, arrays by name out."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from event_schemas.errors import TrimtabError
from event_schemas.process_fork import keep_forever, renew_in_children

QUIET = 4
"""ONNX Runtime's log severity "fatal": its faults are raised as exceptions and need not be printed as well."""


class InferenceFailed(TrimtabError):
    """The network cannot be loaded, does not get its inputs, or returns unusable values."""


class PolicyGraph:
    """One loaded `policy.onnx`; thread-safe.

    It uses one intra-op thread without spinning, because a serving node needs its cores for other work. A forked child
    loads the graph again, because the parent's session may have been running at the moment of the fork.
    """

    def __init__(self, graph: bytes, outputs: Sequence[str]) -> None:
        """Raises InferenceFailed when `graph` is not a readable ONNX graph with these outputs."""
        self._graph = graph
        self._outputs = list(outputs)
        self._loading = threading.Lock()
        self._session = _loaded(graph)
        self.inputs = tuple(node.name for node in self._session.get_inputs())
        found = [node.name for node in self._session.get_outputs()]
        if absent := [name for name in self._outputs if name not in found]:
            raise InferenceFailed(
                f"policy.onnx has outputs {found}, none of them {absent[0]!r}", fix="export the checkpoint again"
            )
        renew_in_children(self)

    def load(self) -> onnxruntime.InferenceSession:
        """The session of this process; raises InferenceFailed."""
        with self._loading:
            if self._session is None:
                self._session = _loaded(self._graph)
            return self._session

    def after_fork(self) -> None:
        """Drops the parent's session without ending it; it is loaded again on the next use."""
        keep_forever(self._session)
        self._session = None
        self._loading = threading.Lock()

    def run(self, feeds: Mapping[str, NDArray[Any]], flag: Any = None) -> list[NDArray[np.float32]]:
        """The outputs, each with one row for each request; raises InferenceFailed unless they are floats.

        `feeds` may hold more arrays than the graph reads. Setting `flag.terminate` stops a running call.
        """
        missing = [name for name in self.inputs if name not in feeds]
        if missing:
            raise InferenceFailed(
                f"policy.onnx needs inputs that the features do not provide: {', '.join(missing)}",
                fix="train with this experiment's [features]",
            )
        try:
            session = self._session or self.load()
            found = session.run(self._outputs, {name: feeds[name] for name in self.inputs}, flag)
        except Exception as fault:  # ONNX Runtime raises its own exception types, none of which is public
            raise InferenceFailed(
                f"policy.onnx cannot be run: {fault}", fix="see the first line of the fault"
            ) from fault
        rows = len(feeds[self.inputs[0]]) if self.inputs else None
        return [_floats(name, array, rows) for name, array in zip(self._outputs, found, strict=True)]


def run_flag() -> Any:
    """Options of one run; setting their `terminate` stops the run between two of its steps."""
    flag = onnxruntime.RunOptions()
    flag.log_severity_level = QUIET
    return flag


def _floats(name: str, array: Any, rows: int | None) -> NDArray[np.float32]:
    """Checks an output and returns it; `rows` is the number of requests, None for a graph without inputs."""
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        raise InferenceFailed(f"{name} is not an array of floating-point numbers", fix="export the checkpoint again")
    if array.ndim == 0 or array.shape[0] != (array.shape[0] if rows is None else rows):
        raise InferenceFailed(
            f"{name} has shape {array.shape}, not a row for each of {rows} requests",
            fix="export the checkpoint again",
        )
    return array.astype(np.float32, copy=False)


def _loaded(graph: bytes) -> onnxruntime.InferenceSession:
    try:
        return onnxruntime.InferenceSession(graph, _options(), providers=["CPUExecutionProvider"])
    except Exception as fault:  # as above
        raise InferenceFailed(f"policy.onnx cannot be loaded: {fault}", fix="export the checkpoint again") from fault


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = QUIET
    return options
