"""The T5 v1.1 encoder, with the weight names of transformers' T5EncoderModel.

RMSNorm before each part, no biases in linear layers, attention without 1/√d, gated tanh-GELU feed-forward, and
one table of relative-position biases (in the first block, used by all).
"""

import math
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass(frozen=True)
class T5Config:
    """Field names are those of text_encoder/config.json."""

    vocab_size: int = 600
    d_model: int = 128
    d_kv: int = 32
    num_heads: int = 4
    d_ff: int = 256
    num_layers: int = 4
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128
    layer_norm_epsilon: float = 1e-6

    @classmethod
    def of(cls, values: dict) -> "T5Config":
        return cls(**{k: v for k, v in values.items() if k in cls.__dataclass_fields__})

    def to_dict(self) -> dict:
        """The content of config.json, loadable by transformers."""
        return asdict(self) | {
            "architectures": ["T5EncoderModel"], "model_type": "t5", "feed_forward_proj": "gated-gelu",
            "is_encoder_decoder": True, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0,
            "tie_word_embeddings": False, "use_cache": False, "dropout_rate": 0.0,
        }


class RMSNorm(nn.Module):
    def __init__(self, width: int, epsilon: float):
        super().__init__()
        self.weight, self.epsilon = nn.Parameter(torch.ones(width)), epsilon

    def forward(self, x):
        return F.rms_norm(x, x.shape[-1:], self.weight, self.epsilon)


def position_buckets(length: int, buckets: int, max_distance: int) -> torch.Tensor:
    """[L,L] bucket of key position − query position: half of the buckets for each sign; the first half of those
    one per distance, the rest spaced logarithmically up to `max_distance`."""
    places = torch.arange(length)
    relative = places[None, :] - places[:, None]
    half, exact = buckets // 2, buckets // 4
    distance = relative.abs()
    scale = (half - exact) / math.log(max_distance / exact)
    far = exact + (torch.log(distance.clamp(min=1).float() / exact) * scale).long()
    bucket = torch.where(distance < exact, distance, far.clamp(max=half - 1))
    return bucket + half * (relative > 0)


class SelfAttention(nn.Module):
    def __init__(self, config: T5Config, has_positions: bool):
        super().__init__()
        inner = config.num_heads * config.d_kv
        self.heads = config.num_heads
        self.q, self.k, self.v = (nn.Linear(config.d_model, inner, bias=False) for _ in range(3))
        self.o = nn.Linear(inner, config.d_model, bias=False)
        if has_positions:
            self.relative_attention_bias = nn.Embedding(config.relative_attention_num_buckets, config.num_heads)

    def forward(self, x, bias):
        """x [B,L,d_model], bias [B,heads,L,L] added to the scores."""
        q, k, v = (p(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for p in (self.q, self.k, self.v))
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=1.0)
        return self.o(attended.transpose(1, 2).flatten(2))


class GatedFeedForward(nn.Module):
    def __init__(self, config: T5Config):
        super().__init__()
        self.wi_0 = nn.Linear(config.d_model, config.d_ff, bias=False)
        self.wi_1 = nn.Linear(config.d_model, config.d_ff, bias=False)
        self.wo = nn.Linear(config.d_ff, config.d_model, bias=False)

    def forward(self, x):
        return self.wo(F.gelu(self.wi_0(x), approximate="tanh") * self.wi_1(x))


class _Layer(nn.Module):
    # Pairs a part with the norm before it, under the part's name in the checkpoint.
    def __init__(self, name: str, part: nn.Module, config: T5Config):
        super().__init__()
        self.add_module(name, part)
        self.layer_norm = RMSNorm(config.d_model, config.layer_norm_epsilon)


class EncoderBlock(nn.Module):
    """Self-attention, then the feed-forward, each as x + part(norm(x))."""

    def __init__(self, config: T5Config, first: bool):
        super().__init__()
        self.layer = nn.ModuleList([_Layer("SelfAttention", SelfAttention(config, first), config),
                                    _Layer("DenseReluDense", GatedFeedForward(config), config)])

    def forward(self, x, bias):
        attention, feed_forward = self.layer
        x = x + attention.SelfAttention(attention.layer_norm(x), bias)
        return x + feed_forward.DenseReluDense(feed_forward.layer_norm(x))


class _Stack(nn.Module):
    def __init__(self, config: T5Config):
        super().__init__()
        self.block = nn.ModuleList(EncoderBlock(config, i == 0) for i in range(config.num_layers))
        self.final_layer_norm = RMSNorm(config.d_model, config.layer_norm_epsilon)


class T5Encoder(nn.Module):
    """Token ids to text features."""

    def __init__(self, config: T5Config | dict):
        super().__init__()
        self.config = config = config if isinstance(config, T5Config) else T5Config.of(config)
        self.shared = nn.Embedding(config.vocab_size, config.d_model)
        self.encoder = _Stack(config)
        self.reset_parameters()

    def reset_parameters(self):
        """T5's own initial scales: without 1/√d in the attention the query weights must be smaller."""
        c = self.config
        for name, p in self.named_parameters():
            if name.endswith("layer_norm.weight"):
                continue
            scale = {"shared": 1.0, "q": (c.d_model * c.d_kv) ** -0.5, "o": (c.num_heads * c.d_kv) ** -0.5,
                     "wo": c.d_ff ** -0.5, "relative_attention_bias": c.d_model ** -0.5}
            nn.init.normal_(p, std=scale.get(name.split(".")[-2], c.d_model ** -0.5))

    def forward(self, ids, mask):
        """ids [B,L], mask [B,L] (1 = token, 0 = padding) → features [B,L,d_model]."""
        table = self.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight
        buckets = position_buckets(ids.shape[1], self.config.relative_attention_num_buckets,
                                   self.config.relative_attention_max_distance).to(ids.device)
        padding = (1 - mask[:, None, None, :]) * torch.finfo(table.dtype).min
        bias = table[buckets].permute(2, 0, 1)[None] + padding                    # [B,heads,L,L]
        x = self.shared(ids)
        for block in self.encoder.block:
            x = block(x, bias)
        return self.encoder.final_layer_norm(x)
