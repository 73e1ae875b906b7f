"""The parts that a PixArt block is made of. Weight names follow diffusers."""

import math

import torch
import torch.nn.functional as F
from torch import nn


def normalize(x):
    """LayerNorm without an affine part, eps 1e-6."""
    return F.layer_norm(x, x.shape[-1:], eps=1e-6)


def modulate(x, shift, scale):
    """norm(x)·(1 + scale) + shift, with shift and scale [B,1,D]."""
    return torch.addcmul(shift, normalize(x), 1 + scale)


def attend(q, k, v, bias=None):
    """Attention of q [B,heads,Nq,d] over k and v [B,heads,Nk,d], bias added to the scores."""
    if q.device.type != "cpu" or not q.requires_grad:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    # The backward pass of the fused kernel takes three times as long on CPUs as these few products.
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    if bias is not None:
        scores = scores + bias
    return scores.softmax(-1) @ v


class Attention(nn.Module):
    """Multi-head attention: queries from one sequence, keys and values from another.
    With `value_only` (Poolingformer) there is neither query nor key."""

    def __init__(self, width: int, context_width: int, heads: int, bias: bool, value_only: bool = False):
        super().__init__()
        self.heads = heads
        if not value_only:
            self.to_q = nn.Linear(width, width, bias=bias)
            self.to_k = nn.Linear(context_width, width, bias=bias)
        self.to_v = nn.Linear(context_width, width, bias=bias)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def forward(self, x, context, bias=None):
        """x [B,Nq,D], context [B,Nk,Dc], bias added to the scores [B,1,1,Nk] or None → [B,Nq,D]."""
        q, k, v = (t.unflatten(2, (self.heads, -1)).transpose(1, 2)
                   for t in (self.to_q(x), self.to_k(context), self.to_v(context)))   # [B,heads,N,D/heads]
        attended = attend(q, k, v, bias)
        return self.to_out[0](attended.transpose(1, 2).flatten(2))

    def pooled(self, x):
        """Attention with the uniform map: V and the output projection of the mean row, [B,N,D] → [B,1,D]."""
        return self.to_out[0](self.to_v(x.mean(dim=1, keepdim=True)))


class _Projected(nn.Module):
    # It only gives the first linear layer the name that it has in diffusers, ff.net.0.proj.
    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.proj = nn.Linear(width, hidden)

    def forward(self, x):
        return F.gelu(self.proj(x), approximate="tanh")


class FeedForward(nn.Module):
    """D → 4·D → D with tanh GELU."""

    def __init__(self, width: int):
        super().__init__()
        self.net = nn.ModuleList([_Projected(width, 4 * width), nn.Identity(), nn.Linear(4 * width, width)])

    def forward(self, x):
        return self.net[2](self.net[0](x))


class PatchEmbed(nn.Module):
    """Latents to tokens: a p×p convolution of stride p."""

    def __init__(self, config):
        super().__init__()
        self.proj = nn.Conv2d(config.in_channels, config.width, config.patch_size, stride=config.patch_size)


class TextProjection(nn.Module):
    """Text features Ct → D → D with tanh GELU."""

    def __init__(self, config):
        super().__init__()
        self.linear_1 = nn.Linear(config.caption_channels, config.width)
        self.linear_2 = nn.Linear(config.width, config.width)

    def forward(self, text):
        return self.linear_2(F.gelu(self.linear_1(text), approximate="tanh"))


class NumberEmbed(nn.Module):
    """A number to a vector: 256 cosines and sines, then two linear layers with SiLU between."""

    def __init__(self, width: int):
        super().__init__()
        self.linear_1 = nn.Linear(256, width)
        self.linear_2 = nn.Linear(width, width)

    def forward(self, numbers, dtype):
        """numbers [n] → [n, width]."""
        # In float32 and in this order, as diffusers does: angles reach 999, where one more rounding would be visible.
        exponents = -math.log(10000) * torch.arange(128, dtype=torch.float32, device=numbers.device) / 128
        frequencies = torch.exp(exponents)
        angles = numbers.float()[:, None] * frequencies
        waves = torch.cat([angles.cos(), angles.sin()], dim=1).to(dtype)
        return self.linear_2(F.silu(self.linear_1(waves)))


class _Embeddings(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.timestep_embedder = NumberEmbed(config.width)
        if config.use_additional_conditions:
            self.resolution_embedder = NumberEmbed(config.width // 3)
            self.aspect_ratio_embedder = NumberEmbed(config.width // 3)


class AdaLNSingle(nn.Module):
    """Timestep (and, for the 1024 models, picture size and aspect ratio) to the six modulation vectors that all
    blocks share; each block adds its own table."""

    def __init__(self, config):
        super().__init__()
        self.additional = config.use_additional_conditions
        self.emb = _Embeddings(config)
        self.linear = nn.Linear(config.width, 6 * config.width)

    def forward(self, timestep, resolution, aspect_ratio, dtype):
        """timestep [B], resolution [B,2], aspect_ratio [B,1] → modulation [B,6,D], embedded timestep [B,D]."""
        embedded = self.emb.timestep_embedder(timestep, dtype)
        if self.additional:
            if resolution is None or aspect_ratio is None:
                raise ValueError("this model needs `resolution` and `aspect_ratio`")
            size = [self.emb.resolution_embedder(resolution.flatten(), dtype).reshape(len(embedded), -1),
                    self.emb.aspect_ratio_embedder(aspect_ratio.flatten(), dtype).reshape(len(embedded), -1)]
            embedded = embedded + torch.cat(size, dim=1)
        return self.linear(F.silu(embedded)).unflatten(1, (6, -1)), embedded
