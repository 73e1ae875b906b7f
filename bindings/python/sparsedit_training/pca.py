"""The encoder that needs no training: principal components of 8 × 8 blocks of pixels.

    python -m sparsedit_training.pca RUN

writes RUN/encoder.safetensors, the frozen encoder of an autoencoder run (see vae.py, which teaches the decoder to read
it). A jointly trained encoder of four channels kept the mean colours and one channel for all shape; sixteen components
give 31 dB by linear decoding alone, before any decoder has learnt a thing.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .world import render, sample_scene

BLOCK = 8


class BlockEncoder(nn.Module):
    """[B, 3, H, W] in −1…1 → latents [B, channels, H/8, W/8] of deviation about 1: one linear map per block.

    `weight` [channels, 3, 8, 8] are the components, scaled; `bias` [channels] moves their mean to zero."""

    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer("weight", torch.zeros(channels, 3, BLOCK, BLOCK))
        self.register_buffer("bias", torch.zeros(channels))

    def forward(self, pixels: Tensor) -> Tensor:
        return F.conv2d(pixels, self.weight, self.bias, stride=BLOCK)

    def linear_decode(self, latents: Tensor) -> Tensor:
        """The pixels in the span of the components, [B, 3, H, W]: what a decoder has before it learns."""
        rows = self.weight.flatten(1)
        back = (rows / rows.square().sum(1, keepdim=True)).unflatten(1, self.weight.shape[1:])
        return F.conv_transpose2d(latents - self.bias[:, None, None], back, stride=BLOCK)


@torch.no_grad()
def fit(pictures: np.ndarray, channels: int, power: float) -> BlockEncoder:
    """The encoder of the first `channels` components of uint8 pictures [n, H, W, 3].

    Component k, of deviation s, gets deviation s^power, then all are scaled so that their mean square is 1: at
    power 1 errors count as in pixels, at 0 noise in a component that nobody sees counts as much as a wrong colour.
    """
    pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
    blocks = F.unfold(pixels, BLOCK, stride=BLOCK).transpose(1, 2).flatten(0, 1)  # [n·blocks, 3·8·8]
    mean = blocks.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov((blocks - mean).T))
    rows, deviation = vectors.T.flip(0)[:channels], values.flip(0)[:channels].sqrt()
    # The sign of an eigenvector is arbitrary: brighter is plus.
    rows = rows * torch.where(rows.sum(1, keepdim=True) < 0, -1.0, 1.0)
    wanted = deviation**power
    wanted = wanted / wanted.square().mean().sqrt()
    rows = rows * (wanted / deviation)[:, None]
    encoder = BlockEncoder(channels)
    encoder.weight.copy_(rows.unflatten(1, (3, BLOCK, BLOCK)))
    encoder.bias.copy_(-rows @ mean)
    return encoder


def load(folder: Path) -> BlockEncoder | None:
    """The encoder of a run folder, or None where the run has another kind."""
    weights = load_file(folder / "encoder.safetensors")
    if set(weights) != {"weight", "bias"}:
        return None
    encoder = BlockEncoder(len(weights["bias"]))
    encoder.load_state_dict(weights)
    return encoder.eval()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sparsedit_training.pca", description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of the autoencoder run to begin")
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--power", type=float, default=0.75, help="how far small components keep their smallness")
    parser.add_argument("--pictures", type=int, default=480)
    options = parser.parse_args()
    rng = random.Random(3)
    pictures = np.stack([render(sample_scene(rng)) for _ in range(options.pictures)])
    encoder = fit(pictures, options.channels, options.power)
    fresh = np.stack([render(sample_scene(rng)) for _ in range(100)])
    pixels = torch.from_numpy(fresh).permute(0, 3, 1, 2).float() / 127.5 - 1
    latents = encoder(pixels)
    error = (encoder.linear_decode(latents) - pixels).square().mean()
    print(f"deviations {[round(v, 2) for v in latents.std((0, 2, 3)).tolist()]}")
    print(f"linear decoding: {10 * np.log10(4 / error.item()):.2f} dB")
    options.run.mkdir(parents=True, exist_ok=True)
    weights = {name: value.contiguous() for name, value in encoder.state_dict().items()}
    save_file(weights, options.run / "encoder.safetensors", metadata={"scaling_factor": "1.0"})


if __name__ == "__main__":
    main()
