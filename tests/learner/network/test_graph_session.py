"""A session over a graph's bytes answers, and takes one thread."""

import numpy as np

from learner.network.graph_session import graph_session
from tests.answer_graphs import softmax_graph
from tests.serving_samples import DIM


def test_a_graph_answers_on_one_thread() -> None:
    session = graph_session(softmax_graph(preferred=1, arms=3))
    [shares] = session.run(["pi"], {"user_embedding": np.zeros((2, DIM), np.float32)})
    np.testing.assert_allclose(shares, np.tile(np.exp([0, 2, 0]) / (2 + np.exp(2)), (2, 1)), rtol=1e-5)
    options = session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
