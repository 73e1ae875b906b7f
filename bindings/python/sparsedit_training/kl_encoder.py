"""The encoder half of diffusers' AutoencoderKL, for fine-tuning on pictures: weight names are diffusers'."""

import json
from pathlib import Path

import torch.nn.functional as F
from torch import nn

from .autoencoder import NORM_EPS, MidBlock, ResnetBlock
from .export import load_safetensors


class Downsampler(nn.Module):
    """Half the side: a stride-2 convolution over a picture padded at the right and below only."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x):
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class DownBlock(nn.Module):
    def __init__(self, inside: int, outside: int, layers: int, groups: int, downsample: bool):
        super().__init__()
        self.resnets = nn.ModuleList(ResnetBlock(inside if i == 0 else outside, outside, groups) for i in range(layers))
        if downsample:
            self.downsamplers = nn.ModuleList([Downsampler(outside)])

    def forward(self, x):
        for block in self.resnets:
            x = block(x)
        return self.downsamplers[0](x) if hasattr(self, "downsamplers") else x


class Encoder(nn.Module):
    """[B,3,H,W] in −1…1 → mean and log variance [B, 2·latent, H/8, W/8] before quant_conv."""

    def __init__(self, config: dict):
        super().__init__()
        widths, groups = config["block_out_channels"], config["norm_num_groups"]
        self.conv_in = nn.Conv2d(config["in_channels"], widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(
            DownBlock(widths[max(i - 1, 0)], width, config["layers_per_block"], groups, i + 1 < len(widths))
            for i, width in enumerate(widths))
        self.mid_block = MidBlock(widths[-1], groups)
        self.conv_norm_out = nn.GroupNorm(groups, widths[-1], NORM_EPS)
        self.conv_out = nn.Conv2d(widths[-1], 2 * config["latent_channels"], 3, padding=1)

    def forward(self, x):
        x = self.conv_in(x)
        for block in self.down_blocks:
            x = block(x)
        return self.conv_out(F.silu(self.conv_norm_out(self.mid_block(x))))


class LatentEncoder(nn.Module):
    """`encoder` and `quant_conv`; gives the mean of the latents, unscaled, [B, latent, H/8, W/8]."""

    def __init__(self, config: dict):
        super().__init__()
        channels = 2 * config["latent_channels"]
        self.encoder, self.quant_conv = Encoder(config), nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        return self.quant_conv(self.encoder(x)).chunk(2, dim=1)[0]


# Older checkpoints name the parts of the single attention block differently.
_OLD_NAMES = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}


def load_encoder(folder: Path) -> tuple[LatentEncoder, float, float]:
    """The encoder of a vae/ folder in f32, its scaling factor and its shift (0 for most):
    latents = (mean − shift)·scale."""
    config = json.loads((folder / "config.json").read_text())
    encoder, state = LatentEncoder(config), {}
    for name, value in load_safetensors(folder).items():
        for old, new in _OLD_NAMES.items():
            name = name.replace(old, new)
        if name.startswith(("encoder.", "quant_conv.")):
            # Some stores keep the attention's linear layers as 1×1 convolutions.
            linear = ".attentions." in name and value.ndim == 4
            state[name] = (value.flatten(1) if linear else value).float()
    encoder.load_state_dict(state)
    return encoder.eval(), config.get("scaling_factor", 0.18215), config.get("shift_factor") or 0.0
