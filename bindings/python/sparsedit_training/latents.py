"""Renders training scenes and stores them as latents, with captions and labels.

    python -m sparsedit_training.latents RUN OUT --chunks 10

RUN is the folder of a frozen autoencoder (see vae.py). Each chunk of 4,096
scenes becomes four files in OUT, the latents last, so that a chunk whose
latents exist is complete and may be trained on at once:

    captions-000.jsonl   {"captions": [three wordings], "attributes": {…}} per line
    things-000.npy       uint64 [4096, cells, cells], bit i: THINGS[i] covers the cell
    colours-000.npy      uint16 [4096, cells, cells], bit i: COLOURS[i] covers the cell
    latents-000.npy      float16 [4096, channels, 32, 32], posterior means × scaling factor

Chunks that exist are skipped, so the command resumes and extends.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch

from .vae import device, frozen_encoder, scaling_factor, to_pixels
from .world import COLOURS, THINGS, caption, render, sample_scene, scene_attributes, scene_labels

CHUNK = 4096
PART = 64
WORDINGS = 3


def draw_part(seed: int, cells: int, first: int) -> tuple[np.ndarray, list[str], np.ndarray, np.ndarray]:
    """Scenes `first` … `first + PART − 1`: pictures [PART, 256, 256, 3], JSON
    lines, thing masks and colour masks [PART, cells, cells]. Each scene has its own
    seed, so that the result does not depend on how the work was split."""
    pictures, lines, things, colours = [], [], [], []
    for index in range(first, first + PART):
        rng = random.Random(seed * 1_000_000_007 + index)
        scene = sample_scene(rng)
        words = [caption(scene, rng) for _ in range(WORDINGS)]
        lines.append(json.dumps({"captions": words, "attributes": scene_attributes(scene)}))
        marks = scene_labels(scene, cells)
        pictures.append(render(scene))
        things.append(marks[0])
        colours.append(marks[1])
    return np.stack(pictures), lines, np.stack(things), np.stack(colours)


class Encoder:
    """Pictures to scaled latents."""

    def __init__(self, run: Path):
        self.device = device()
        self.scale = scaling_factor(run)
        self.net = frozen_encoder(run).to(self.device)

    @torch.no_grad()
    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        """uint8 [B, 256, 256, 3] → float16 [B, channels, 32, 32]."""
        pixels = to_pixels(pictures).to(self.device, memory_format=torch.channels_last)
        return (self.net(pixels) * self.scale).to(torch.float16).cpu().contiguous().numpy()


def _put(path: Path, array: np.ndarray) -> None:
    partial = path.with_suffix(".part")
    with partial.open("wb") as file:
        np.save(file, array)
    partial.replace(path)


def write_chunk(out: Path, number: int, seed: int, cells: int, encode: Encoder, pool: ProcessPoolExecutor) -> None:
    """One chunk of four files. Workers draw ahead while this process encodes."""
    starts = range(number * CHUNK, (number + 1) * CHUNK, PART)
    latents, lines, things, colours = [], [], [], []
    for pictures, texts, thing, colour in pool.map(draw_part, [seed] * len(starts), [cells] * len(starts), starts):
        latents.append(encode(pictures))
        lines += texts
        things.append(thing)
        colours.append(colour)
    name = f"{number:03d}"
    (out / f"captions-{name}.jsonl").write_text("\n".join(lines) + "\n")
    _put(out / f"things-{name}.npy", np.concatenate(things))
    _put(out / f"colours-{name}.npy", np.concatenate(colours))
    _put(out / f"latents-{name}.npy", np.concatenate(latents))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sparsedit_training.latents", description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a frozen autoencoder")
    parser.add_argument("out", type=Path)
    parser.add_argument("--chunks", type=int, default=10, help=f"how many chunks of {CHUNK} scenes there should be")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw")
    parser.add_argument("--cells", type=int, default=16, help="labels a side: one per token of the backbone")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    about = {"seed": args.seed, "chunk": CHUNK, "scaling_factor": scaling_factor(args.run)}
    about |= {"things": list(THINGS), "colours": list(COLOURS)}
    (args.out / "dataset.json").write_text(json.dumps(about, indent=1) + "\n")
    encode = Encoder(args.run)
    # A forked copy of torch's threads would hang.
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(args.workers, mp_context=fresh) as pool:
        for number in range(args.chunks):
            if (args.out / f"latents-{number:03d}.npy").exists():
                continue
            start = time.time()
            write_chunk(args.out, number, args.seed, args.cells, encode, pool)
            print(f"chunk {number}: {CHUNK / (time.time() - start):.0f} scenes/s", flush=True)


if __name__ == "__main__":
    main()
