"""The policy network, run by ONNX Runtime: arrays in, one value per arm and objective out.

PRL-PUTS, inference: a* = argmax_a Σ_o λ_o Q_o(s, a), for two objectives λ = (α, 1 − α).
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from event_schemas.errors import TrimtabError
from event_schemas.process_fork import keep_forever, renew_in_children

Scores = NDArray[np.float32]
QUIET = 4
"""ONNX Runtime's log severity "fatal": its faults are raised as exceptions and need not be printed as well."""


class InferenceFailed(TrimtabError):
    """The network cannot be loaded, does not get its inputs, or returns unusable values."""


class PolicyNetwork:
    """One loaded `policy.onnx`; thread-safe.

    It uses one intra-op thread without spinning, because a serving node needs its cores for other work. A forked child
    loads the graph again, because the parent's session may have been running at the moment of the fork.
    """

    def __init__(self, graph: bytes, *, arms: int, objectives: int) -> None:
        """Raises InferenceFailed when `graph` is not a readable ONNX graph with an output `q`."""
        self._graph = graph
        self._loading = threading.Lock()
        self._session = _loaded(graph)
        self.inputs = tuple(node.name for node in self._session.get_inputs())
        outputs = [node.name for node in self._session.get_outputs()]
        if "q" not in outputs:
            raise InferenceFailed(
                f"policy.onnx has outputs {outputs}, none of them 'q'", fix="export the checkpoint again"
            )
        self.shape = (arms, objectives)
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

    def score(self, feeds: Mapping[str, NDArray[Any]], flag: Any = None) -> Scores:
        """q, float32[n, arms, objectives], each in [0, 1]; raises InferenceFailed.

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
            (q,) = session.run(["q"], {name: feeds[name] for name in self.inputs}, flag)
        except Exception as fault:  # as above
            raise InferenceFailed(
                f"policy.onnx cannot be run: {fault}", fix="see the first line of the fault"
            ) from fault
        rows = len(feeds[self.inputs[0]]) if self.inputs else None
        return self._checked(q, rows)

    def _checked(self, q: Any, rows: int | None) -> Scores:
        """Checks q and returns it; `rows` is the number of requests, None for a graph without inputs."""
        if not isinstance(q, np.ndarray) or q.dtype.kind != "f":
            raise InferenceFailed("q is not an array of floating-point numbers", fix="export the checkpoint again")
        if q.ndim != 3 or q.shape[1:] != self.shape or q.shape[0] != (q.shape[0] if rows is None else rows):
            raise InferenceFailed(
                f"q has shape {q.shape}, not ({rows or 'n'}, {self.shape[0]} arms, {self.shape[1]} objectives)",
                fix="export the checkpoint for this experiment's action space and objectives",
            )
        # This form of the condition also fails for NaN.
        if not bool(((q >= 0.0) & (q <= 1.0)).all()):
            raise InferenceFailed("q holds values outside [0, 1]", fix="train again; the loss diverged")
        return q.astype(np.float32, copy=False)


def run_flag() -> Any:
    """Options of one run; setting their `terminate` stops the run between two of its steps."""
    flag = onnxruntime.RunOptions()
    flag.log_severity_level = QUIET
    return flag


def best_arm(q: Scores, objective_weights: Sequence[float], eligible: tuple[int, ...]) -> int:
    """argmax over the eligible arms (empty: all) of Σ_o weights_o q[arm, o]; ties go to the lowest arm.

    Computed in float64, objective by objective, exactly as off_policy.target_policies does: a matrix product rounds
    differently, so that a near tie could be evaluated with one arm and served with another.
    """
    utility = np.zeros(len(q))
    for objective, weight in enumerate(objective_weights):
        utility += weight * q[:, objective].astype(np.float64)
    if not eligible:
        return int(np.argmax(utility))
    allowed = np.asarray(sorted(eligible))
    return int(allowed[np.argmax(utility[allowed])])


def _loaded(graph: bytes) -> onnxruntime.InferenceSession:
    try:
        return onnxruntime.InferenceSession(graph, _options(), providers=["CPUExecutionProvider"])
    except Exception as fault:  # ONNX Runtime raises its own exception types, none of which is public
        raise InferenceFailed(f"policy.onnx cannot be loaded: {fault}", fix="export the checkpoint again") from fault


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = QUIET
    return options
