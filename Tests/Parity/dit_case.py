"""Random class-conditional pipelines, and what the engine and diffusers draw with them."""

from __future__ import annotations

import random
from dataclasses import replace

from dit_reference import CLASSES, Case, Run


def random_dit(seed: int) -> Case:
    """A pipeline within what the format allows: squares for whole runs, any size for forwards."""
    draw = random.Random(seed)
    patch = draw.choice([2, 2, 4, 8])
    sides = [patch * n for n in range(1, 6)]
    label = lambda: draw.randrange(CLASSES + 1)  # noqa: E731
    groups = draw.choice([1, 2, 4])
    sampler = draw.choice(["ddim", "ddpm", "dpm++2m"])
    case = Case(
        name=str(seed),
        seed=seed,
        heads=draw.randint(1, 4),
        head_dim=draw.choice([8, 12, 16, 20, 72]),
        layers=draw.randint(1, 4),
        sample_size=patch * draw.randint(2, 6),
        patch=patch,
        out_channels=draw.choice([4, 8, 8]),
        norm_eps=draw.choice([1e-5, 1e-6]),
        shared_embedding=draw.random() < 0.5,
        sampler=sampler,
        vae_channels=tuple(4 * groups * draw.randint(1, 3) for _ in range(4)),
        vae_groups=groups,
        dtype=draw.choice(["f32", "f32", "f16", "bf16"]),
        forwards=tuple(
            (draw.choice(sides), draw.choice(sides), draw.choice([0.0, 1.0, 250.0, 999.0]),
             tuple(label() for _ in range(draw.randint(1, 3))))
            for _ in range(3)
        ),
    )
    runs = tuple(
        Run(
            label=draw.randrange(CLASSES),
            steps=draw.choice([2, 3, 5, 8]),
            guidance_scale=draw.choice([1.0, 1.5, 4.0]),
            seed=draw.choice([0, 1, draw.getrandbits(32), draw.getrandbits(63)]),
            count=draw.choice([1, 1, 2]),
            # Other samplers that are chosen have the engine's defaults: DDPM uses the variance, which
            # diffusers' pipeline does not, and DDIM does not clip.
            sampler=draw.choice([None, "dpm++2m"]),
        )
        for _ in range(2)
    )
    # The older class has its own default for the epsilon.
    older = draw.random() < 0.3
    return replace(case, runs=runs, older_class=older, norm_eps=1e-5 if older else case.norm_eps)
