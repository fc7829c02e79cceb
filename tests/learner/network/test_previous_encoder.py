"""Earlier weights as one vector."""

import torch

from learner.network.previous_encoder import PreviousEncoder


def test_a_row_has_the_same_vector_alone_and_in_a_batch() -> None:
    torch.manual_seed(0)
    encoder = PreviousEncoder(length=3, weights=2, width=8)
    inputs = {
        "previous_weights": torch.rand(5, 3, 2),
        "previous_ages": torch.rand(5, 3) * 10,
        "previous_mask": torch.ones(5, 3),
    }
    together = encoder(inputs)
    assert together.shape == (5, 8)
    for row in range(5):
        alone = encoder({name: tensor[row : row + 1] for name, tensor in inputs.items()})
        torch.testing.assert_close(alone[0], together[row])


def test_the_order_of_the_entries_counts() -> None:
    torch.manual_seed(0)
    encoder = PreviousEncoder(length=2, weights=1, width=8)
    inputs = {"previous_ages": torch.zeros(1, 2), "previous_mask": torch.ones(1, 2)}
    first = encoder(inputs | {"previous_weights": torch.tensor([[[0.0], [1.0]]])})
    second = encoder(inputs | {"previous_weights": torch.tensor([[[1.0], [0.0]]])})
    assert not torch.equal(first, second)
