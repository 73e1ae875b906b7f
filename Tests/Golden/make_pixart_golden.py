"""Makes the folders pixart-*: `python Tests/Golden/make_pixart_golden.py [name ...]`.

What they hold, with which versions and why, is in README.md beside this file.
"""

from __future__ import annotations

from pathlib import Path

from pixart_reference import Case, Run, build, stages, write_folders

HERE = Path(__file__).resolve().parent

CASES = [
    # PixArt-alpha as it is, small. Positions: the native square, then others.
    Case(
        "alpha", 11, normalization="nmt_nfkc", layers=2, text_width=32, text_heads=4,
        text_hidden=64, vae_channels=(8, 8, 16, 16), vae_groups=4, text_prompts=(2, 5, 0, 21),
        forwards=((2, 16, 12, 999.0), (1, 16, 16, 500.0), (1, 6, 10, 0.0), (3, 4, 20, 251.0)),
        decodes=((1, 16, 12), (2, 5, 7)),
        runs=(
            Run("A red house under a full moon", 64, 96, steps=4, seed=7, count=2),
            Run("a cat", 96, 128, steps=6, guidance_scale=1.0, seed=2**40 + 3),
            Run("", 48, 80, steps=6, guidance_scale=7.5, negative_prompt="snow, RAIN", seed=1),
            Run("many steps", 64, 48, steps=20, seed=0),
        ),
    ),
    # The 1024 models: sample_size 128 implies size and aspect conditions and a scale of 2.
    Case(
        "conditions", 22, heads=3, head_dim=12, layers=2, sample_size=128,
        forwards=((2, 12, 16, 750.0), (1, 16, 16, 1.0)),
        runs=(
            Run("two yellow flowers", 96, 64, steps=4, seed=3, count=2),
            Run("two yellow flowers", 64, 64, steps=4, guidance_scale=1.0, seed=4),
        ),
    ),
    # The same conditions asked for by name. diffusers' pipeline gives them to sample_size 128
    # only, so there is no whole run.
    Case(
        "conditions-small", 33, heads=4, head_dim=6, layers=2, sample_size=8,
        additional_conditions=True,
        forwards=((2, 8, 8, 333.0), (2, 6, 14, 900.0)),
    ),
    # Several files a component; no learned variance; fractional position scale; more layers.
    Case(
        "sharded", 44, heads=4, head_dim=8, layers=4, out_channels=4, interpolation_scale=1.5,
        text_width=40, text_heads=3, text_head_dim=12, text_hidden=72, text_layers=3,
        vae_channels=(4, 8, 8, 12), vae_groups=4, vae_layers=2, shard_bytes=150_000,
        forwards=((1, 16, 12, 640.0), (2, 4, 4, 20.0)),
        runs=(Run("three green trees", 80, 64, steps=5, seed=12),),
    ),
    # PixArt-Sigma: 300 tokens, no conditions at 128, the other scaling factor. One step is here
    # because diffusers' PixArt-alpha pipeline fails for it with this solver.
    Case(
        "sigma", 55, heads=2, head_dim=20, layers=2, sample_size=128, additional_conditions=False,
        interpolation_scale=2, sigma=True, scaling_factor=0.13025, vae_mid_attention=False,
        forwards=((2, 10, 12, 111.0),),
        runs=(
            Run("an old castle (made of stone)", 64, 96, steps=4, seed=9, count=2),
            Run("one step", 64, 48, steps=1, seed=5),
        ),
    ),
    # v-prediction, patch 4.
    Case(
        "velocity", 66, heads=6, head_dim=8, layers=1, patch=4, prediction="v_prediction",
        forwards=((2, 16, 12, 420.0),),
        runs=(
            Run("a small boat", 96, 64, steps=4, seed=8),
            Run("a small boat", 64, 64, steps=7, guidance_scale=3.0, seed=8),
        ),
    ),
    # Files in half precision; heads as wide as PixArt-XL's.
    Case(
        "half", 77, heads=1, head_dim=72, layers=1, dtype="f16",
        forwards=((2, 16, 12, 860.0),), runs=(Run("snow on the mountain", 64, 80, seed=6),),
    ),
    # As diffusers draws by default: captions cleaned with ftfy and bs4, sizes of the training, pictures
    # resized and cropped.
    Case(
        "defaults", 99, heads=2, head_dim=16, layers=1, sample_size=32, vae_channels=(4, 8, 8, 8),
        vae_groups=4,
        forwards=((1, 8, 12, 333.0),),
        runs=(
            Run(
                "A (red) HOUSE under a moon,4k/hdr &amp; http://example.com/a", 200, 120, steps=3,
                negative_prompt="#LOW quality* b&w", seed=21, count=2, as_by_default=True,
            ),
            Run("snow___on_the_mountain <b>top</b>", 101, 307, steps=2, seed=22, as_by_default=True),
            Run("two flowers", 256, 256, steps=2, guidance_scale=1.0, seed=23, as_by_default=True),
            Run("Two [green] trees", 64, 48, steps=2, seed=24),
        ),
    ),
    Case(
        "bfloat16", 88, heads=2, head_dim=36, layers=1, dtype="bf16",
        forwards=((2, 12, 16, 860.0),), runs=(Run("stars; a comet", 80, 64, seed=6, count=2),),
    ),
]


if __name__ == "__main__":
    write_folders(HERE, "pixart", CASES, build, stages)
