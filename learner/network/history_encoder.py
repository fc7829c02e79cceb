"""Encodes the user's history as one vector: a Transformer over the last actions, averaged without the padding.

PRL-PUTS, section on the state module: item embedding, action type and time of each action go through a Transformer
encoder (Vaswani et al., 2017), followed by average pooling. Layers are pre-norm, which needs no warm-up.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from feature_contract.model_input import HISTORY_ACTIONS, HISTORY_AGES, HISTORY_ITEMS, HISTORY_MASK

MASKED = -1e9
"""Added to the attention score of padding; finite, so that an empty history gives zeros and not NaN."""


@dataclass(frozen=True, slots=True)
class EncoderShape:
    """Sizes of the encoder: item embedding, buckets of the action types, width (divisible by heads), heads, layers."""

    item_dim: int
    buckets: int
    width: int
    heads: int
    layers: int


class SelfAttention(nn.Module):
    """Multi-head scaled dot-product attention; padding is never attended to."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(self, items: Tensor, mask: Tensor) -> Tensor:
        """items [n, H, width], mask [n, H] (1 = real) -> [n, H, width]."""
        split = self.query_key_value(items).unflatten(-1, (3, self.heads, -1))
        query, key, value = (part.transpose(1, 2) for part in split.unbind(2))
        padding = ((1.0 - mask) * MASKED)[:, None, None, :]
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=padding)
        mixed: Tensor = self.output(attended.transpose(1, 2).flatten(2))
        return mixed


class TransformerLayer(nn.Module):
    """Attention and a feed-forward network of twice the width, each with a layer norm before it and a residual."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)
        )

    def forward(self, items: Tensor, mask: Tensor) -> Tensor:
        """[n, H, width] -> [n, H, width]."""
        items = items + self.attention(self.attention_norm(items), mask)
        refined: Tensor = items + self.feed_forward(items)
        return refined


class HistoryEncoder(nn.Module):
    """Maps the history arrays of a ModelInput to [n, width]; an empty history gives zeros."""

    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        self.actions = nn.Embedding(shape.buckets, shape.width)
        self.ages = nn.Linear(1, shape.width)
        self.items = nn.Linear(shape.item_dim, shape.width, bias=False) if shape.item_dim else None
        self.layers = nn.ModuleList(TransformerLayer(shape.width, shape.heads) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Masked average of the encoded actions."""
        mask = inputs[HISTORY_MASK]
        encoded = self.actions(inputs[HISTORY_ACTIONS]) + self.ages(inputs[HISTORY_AGES].unsqueeze(-1))
        if self.items is not None:
            encoded = encoded + self.items(inputs[HISTORY_ITEMS])
        for layer in self.layers:
            encoded = layer(encoded, mask)
        real = mask.unsqueeze(-1)
        pooled: Tensor = (self.norm(encoded) * real).sum(1) / real.sum(1).clamp(min=1.0)
        return pooled
