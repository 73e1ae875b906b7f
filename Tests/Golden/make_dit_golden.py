"""Makes the folders dit-* but for dit-original-*: `python Tests/Golden/make_dit_golden.py [name ...]`.

What they hold, with which versions and why, is in README.md beside this file.
"""

from __future__ import annotations

from pathlib import Path

from dit_reference import CLASSES, Case, Run, build, stages
from pixart_reference import write_folders

HERE = Path(__file__).resolve().parent

CASES = [
    # Embeddings of its own in each block, as diffusers' class allows; a deterministic sampler.
    Case(
        "alone", 101, heads=3, head_dim=8, layers=3, shared_embedding=False,
        forwards=(
            (16, 16, 999.0, (207, CLASSES)), (16, 12, 500.0, (0, 999, CLASSES)),
            (6, 10, 0.0, (388,)), (4, 20, 251.0, (1, 2)),
        ),
        runs=(
            Run(207, steps=4, seed=7, count=2),
            Run(999, steps=6, guidance_scale=1.0, seed=2**40 + 3),
            Run(0, steps=20, guidance_scale=7.5, seed=1),
            Run(388, steps=7, seed=5, sampler="dpm++2m"),
        ),
    ),
    # As facebook/DiT-XL-2-256 is published, but for the sampler, which draws noise in each step.
    Case(
        "published", 102, head_dim=8, older_class=True, sampler="ddpm", patch=4,
        forwards=((16, 24, 640.0, (134, 517)),),
        runs=(
            Run(134, steps=5, seed=9, count=2),
            Run(517, steps=8, guidance_scale=1.0, seed=4),
            Run(1, steps=25, guidance_scale=1.5, seed=6),
        ),
    ),
    # No variance, f16 files, the second norm's epsilon of the authors, latents whose noise is no
    # multiple of torch's blocks of 16 values.
    Case(
        "half", 103, heads=1, head_dim=16, layers=1, out_channels=4, sample_size=9, patch=3,
        norm_eps=1e-6, dtype="f16", sampler="ddpm", forwards=((9, 9, 20.0, (7, 8)),),
        runs=(Run(7, seed=2),),
    ),
]


if __name__ == "__main__":
    write_folders(HERE, "dit", CASES, build, stages)
