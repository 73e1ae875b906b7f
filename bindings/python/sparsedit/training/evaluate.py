"""Draws the judge's held-out prompts with a model and lets the judge say how many are right.

    python -m sparsedit.training.evaluate MODEL --judge FOLDER --output FOLDER
    python -m sparsedit.training.evaluate MODEL --judge FOLDER --output FOLDER --engine sparsedit-t2i

Without --engine, PyTorch draws (this file's own sampler); with it, the command line program does, one picture per
prompt with the same seeds. OUTPUT gets the pictures, manifest.json, verdicts.json and a contact sheet.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from .preview import Artist, sheet
from .world import heldout_prompts

BATCH = 10


def draw_with_torch(options, prompts: list[str], names: list[Path]):
    """Draws in batches; prompt i has seed i."""
    artist = Artist.of_folder(options.model)
    for start in range(0, len(prompts), BATCH):
        part = prompts[start:start + BATCH]
        pictures = artist.draw(part, range(start, start + len(part)), options.steps, options.guidance)
        for name, picture in zip(names[start:], pictures):
            Image.fromarray(picture).save(name)
        print(f"{start + len(part)}/{len(prompts)}", flush=True)


def draw_with_engine(options, prompts: list[str], names: list[Path]):
    """Runs the command line program once per prompt; prompt i has seed i."""
    for seed, (prompt, name) in enumerate(zip(prompts, names)):
        subprocess.run([options.engine, prompt, "--model", str(options.model), "--output", str(name), "--quiet",
                        "--seed", str(seed), "--steps", str(options.steps),
                        "--guidance-scale", str(options.guidance), *options.engine_options], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("model", type=Path, help="a pipeline folder")
    add("--judge", type=Path, required=True, help="folder of the trained judge")
    add("--output", type=Path, required=True, help="folder for pictures and verdicts")
    add("--engine", help="path of sparsedit-t2i")
    add("--engine-options", nargs="*", default=[], help="more options for it, such as --dense")
    add("--count", type=int, default=200)
    add("--steps", type=int, default=20)
    add("--guidance", type=float, default=4.5)
    options = parser.parse_args()
    rows = heldout_prompts(options.count)
    suffix = "jpg" if options.engine else "png"
    options.output.mkdir(parents=True, exist_ok=True)
    for i, row in enumerate(rows):
        row["file"] = f"{i:03d}.{suffix}"
    (options.output / "manifest.json").write_text(json.dumps(rows, indent=1) + "\n")
    names = [options.output / row["file"] for row in rows]
    start = time.time()
    (draw_with_engine if options.engine else draw_with_torch)(options, [row["prompt"] for row in rows], names)
    print(f"{len(rows)} pictures in {time.time() - start:.0f} s", flush=True)
    sheet(np.stack([np.asarray(Image.open(name).resize((128, 128))) for name in names[:60]]), 10).save(
        options.output / "sheet.webp", quality=85)
    subprocess.run([sys.executable, "-m", "sparsedit.training.judge", "score", str(options.judge),
                    str(options.output), "--json", str(options.output / "verdicts.json")], check=True)


if __name__ == "__main__":
    main()
