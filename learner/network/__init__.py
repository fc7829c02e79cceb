"""The Q-network: its layers, its training, and its export.

Reads rows of a training window and the weights of a former checkpoint.
Writes weights and an ONNX graph, as bytes.
Guarantees that the same rows, seed and weights give the same network, and that the exported graph answers as the
network does.
Fails with NothingToLearn or ExportMismatch; both end the run, not the stage.
"""
