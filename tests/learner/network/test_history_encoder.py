"""The Transformer over the history."""

import pytest
import torch

from learner.network.history_encoder import EncoderShape, HistoryEncoder


@pytest.fixture
def encoder() -> HistoryEncoder:
    torch.manual_seed(0)
    return HistoryEncoder(EncoderShape(item_dim=2, buckets=8, width=8, heads=2, layers=2)).eval()


def history(real: list[int], length: int = 4) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    n = len(real)
    mask = torch.tensor([[1.0] * count + [0.0] * (length - count) for count in real])
    return {
        "history_items": torch.randn(n, length, 2, generator=generator),
        "history_actions": torch.randint(1, 8, (n, length), generator=generator),
        "history_ages": torch.rand(n, length, generator=generator),
        "history_mask": mask,
    }


def test_padding_changes_nothing(encoder: HistoryEncoder) -> None:
    inputs = history([2])
    other = {name: tensor.clone() for name, tensor in inputs.items()}
    other["history_items"][:, 2:] = 99.0
    other["history_actions"][:, 2:] = 0
    other["history_ages"][:, 2:] = -7.0
    torch.testing.assert_close(encoder(other), encoder(inputs))
    shorter = {name: tensor[:, :2] for name, tensor in inputs.items()}
    torch.testing.assert_close(encoder(shorter), encoder(inputs))


def test_an_empty_history_is_zero_and_finite(encoder: HistoryEncoder) -> None:
    assert encoder(history([0, 3]))[0].tolist() == [0.0] * 8


def test_gradients_stay_finite_with_an_empty_history(encoder: HistoryEncoder) -> None:
    encoder.train()
    encoder(history([0, 2])).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in encoder.parameters() if p.grad is not None)


def test_the_set_of_actions_counts_and_not_their_slots(encoder: HistoryEncoder) -> None:
    """Times are encoded as ages, so the order of the slots must not matter."""
    inputs = history([4])
    order = torch.tensor([2, 0, 3, 1])
    moved = {name: tensor[:, order] for name, tensor in inputs.items()}
    torch.testing.assert_close(encoder(moved), encoder(inputs))


def test_items_attend_to_each_other(encoder: HistoryEncoder) -> None:
    inputs = history([2])
    alone = {name: tensor[:, :1] for name, tensor in inputs.items()}
    second = {name: tensor[:, 1:2] for name, tensor in inputs.items()}
    assert not torch.allclose(encoder(inputs), (encoder(alone) + encoder(second)) / 2)
