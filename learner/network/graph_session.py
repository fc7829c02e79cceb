"""Runs an exported graph, without torch."""

import onnxruntime


def graph_session(graph: bytes) -> onnxruntime.InferenceSession:
    """A single-threaded session over ONNX bytes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
