"""The small autoencoder: pictures [B, 3, 256, 256] in −1…1 ↔ latents [B, 4, 32, 32].

The decoder has the structure and the weight names of diffusers'
`AutoencoderKL`; the encoder is our own cheap one and stays in the training kit.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CONFIG = {
    "_class_name": "AutoencoderKL",
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "block_out_channels": [16, 32, 32, 64],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "act_fn": "silu",
    "sample_size": 256,
    "scaling_factor": 1.0,
    "force_upcast": False,
}
# The decoder of a `BlockEncoder`'s latents, [B, 16, 32, 32]. Without attention a crop teaches what holds for the whole.
BLOCK_CONFIG = CONFIG | {
    "latent_channels": 16,
    "block_out_channels": [16, 32, 64, 128],
    "norm_num_groups": 4,
    "mid_block_add_attention": False,
}
NORM_EPS = 1e-6


class ResnetBlock(nn.Module):
    """norm, SiLU, convolution, twice, beside a shortcut: [B, in, h, w] → [B, out, h, w]."""

    def __init__(self, inside: int, outside: int, groups: int):
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, inside, NORM_EPS)
        self.conv1 = nn.Conv2d(inside, outside, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, outside, NORM_EPS)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1)
        if inside != outside:
            self.conv_shortcut = nn.Conv2d(inside, outside, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.silu(self.norm1(x)))
        y = self.conv2(F.silu(self.norm2(y)))
        return y + (self.conv_shortcut(x) if hasattr(self, "conv_shortcut") else x)


class Attention(nn.Module):
    """Single-head self-attention over all places of [B, C, h, w]."""

    def __init__(self, channels: int, groups: int):
        super().__init__()
        self.group_norm = nn.GroupNorm(groups, channels, NORM_EPS)
        self.to_q = nn.Linear(channels, channels)
        self.to_k = nn.Linear(channels, channels)
        self.to_v = nn.Linear(channels, channels)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        places = self.group_norm(x).flatten(2).transpose(1, 2)  # [B, h·w, C]
        q, k, v = (layer(places)[:, None] for layer in (self.to_q, self.to_k, self.to_v))
        y = self.to_out[0](F.scaled_dot_product_attention(q, k, v)[:, 0])
        return x + y.transpose(1, 2).reshape(b, c, h, w)


class Upsampler(nn.Module):
    """Twice the side by repetition, then a convolution."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class MidBlock(nn.Module):
    def __init__(self, channels: int, groups: int, attention: bool = True):
        super().__init__()
        self.resnets = nn.ModuleList([ResnetBlock(channels, channels, groups) for _ in range(2)])
        if attention:
            self.attentions = nn.ModuleList([Attention(channels, groups)])

    def forward(self, x: Tensor) -> Tensor:
        x = self.resnets[0](x)
        return self.resnets[1](self.attentions[0](x) if hasattr(self, "attentions") else x)


class UpBlock(nn.Module):
    def __init__(self, inside: int, outside: int, layers: int, groups: int, upsample: bool):
        super().__init__()
        widths = [inside] + [outside] * (layers - 1)
        self.resnets = nn.ModuleList([ResnetBlock(w, outside, groups) for w in widths])
        if upsample:
            self.upsamplers = nn.ModuleList([Upsampler(outside)])

    def forward(self, x: Tensor) -> Tensor:
        for block in self.resnets:
            x = block(x)
        return self.upsamplers[0](x) if hasattr(self, "upsamplers") else x


class Decoder(nn.Module):
    """[B, C, h, w] → [B, 3, 8h, 8w]."""

    def __init__(self, config: dict = CONFIG):
        super().__init__()
        widths = list(reversed(config["block_out_channels"]))
        groups, layers = config["norm_num_groups"], config["layers_per_block"] + 1
        self.conv_in = nn.Conv2d(config["latent_channels"], widths[0], 3, padding=1)
        self.mid_block = MidBlock(widths[0], groups, config.get("mid_block_add_attention", True))
        self.up_blocks = nn.ModuleList(
            UpBlock(widths[max(i - 1, 0)], w, layers, groups, upsample=i + 1 < len(widths))
            for i, w in enumerate(widths)
        )
        self.conv_norm_out = nn.GroupNorm(groups, widths[-1], NORM_EPS)
        self.conv_out = nn.Conv2d(widths[-1], config["out_channels"], 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        x = self.mid_block(self.conv_in(z))
        for block in self.up_blocks:
            x = block(x)
        return self.conv_out(F.silu(self.conv_norm_out(x)))


class LatentDecoder(nn.Module):
    """`post_quant_conv` and decoder, under the names of the published file."""

    def __init__(self, config: dict = CONFIG):
        super().__init__()
        channels = config["latent_channels"]
        self.post_quant_conv = nn.Conv2d(channels, channels, 1)
        self.decoder = Decoder(config)

    def forward(self, z: Tensor) -> Tensor:
        return self.decoder(self.post_quant_conv(z))


@torch.no_grad()
def pass_latents_through(codec: LatentDecoder) -> None:
    """Makes a new decoder hand the latents on to its last layer as they are, repeated over their blocks.

    Residual branches begin at zero, everything on the way at the identity. A random start needs a thousand steps
    until all colours arrive, since normalisation takes the mean of a crop away.
    """
    nn.init.dirac_(codec.post_quant_conv.weight)
    for name, module in codec.named_modules():
        if isinstance(module, ResnetBlock):
            nn.init.zeros_(module.conv2.weight)
            if hasattr(module, "conv_shortcut"):
                nn.init.dirac_(module.conv_shortcut.weight)
        elif isinstance(module, Upsampler):
            nn.init.dirac_(module.conv.weight)
        if name.endswith(("conv2", "conv_shortcut", "upsamplers.0.conv", "post_quant_conv")):
            nn.init.zeros_(module.bias)
    latents = codec.decoder.conv_in.in_channels
    nn.init.dirac_(codec.decoder.conv_in.weight[:latents])
    nn.init.ones_(codec.decoder.conv_norm_out.bias)  # where SiLU is nearly linear


class PatchEncoder(nn.Module):
    """[B, 3, H, W] → means of the latents [B, 4, H/8, W/8].

    Almost all work happens at an eighth of the resolution, so that encoding is
    cheap on a CPU. It has no normalisation layers: a crop and the whole picture
    give the same latents. Channels 0…2 are trained to be `block_colour`, the
    whitened mean colour of each 8 × 8 block; channel 3 is free.
    """

    def __init__(self, width: int = 96, blocks: int = 3):
        super().__init__()
        self.patch = nn.Conv2d(3, width, 8, stride=8)
        self.first = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(blocks))
        self.second = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(blocks))
        self.out = nn.Conv2d(width, 4, 3, padding=1)
        self.register_buffer("whitening", torch.eye(3))
        self.register_buffer("centre", torch.zeros(3))

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.patch(pixels)
        for first, second in zip(self.first, self.second):
            x = x + second(F.silu(first(F.silu(x))))
        colour = F.pad(self.block_colour(pixels), (0, 0, 0, 0, 0, 1))
        return self.out(F.silu(x)) + colour

    def block_colour(self, pixels: Tensor) -> Tensor:
        """[B, 3, H, W] → [B, 3, H/8, W/8]: mean colours, decorrelated, unit variance over the data."""
        means = F.avg_pool2d(pixels, 8)
        return torch.einsum("kc,bchw->bkhw", self.whitening, means - self.centre[:, None, None])

    @torch.no_grad()
    def fit_colours(self, pixels: Tensor) -> None:
        """Sets the whitening from a sample of pictures, the strongest direction first."""
        blocks = F.avg_pool2d(pixels, 8).transpose(0, 1).flatten(1)  # [3, n]
        self.centre.copy_(blocks.mean(1))
        values, vectors = torch.linalg.eigh(torch.cov(blocks))
        rows = vectors.T.flip(0) / values.flip(0).sqrt()[:, None]
        # The sign of an eigenvector is arbitrary: brighter and redder are positive.
        signs = torch.sign(rows @ torch.tensor([1.0, 0.5, 0.25], dtype=rows.dtype))
        self.whitening.copy_(rows * signs[:, None])
