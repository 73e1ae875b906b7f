"""Draws the test set, or the first prompts of it, and lets the judge say how many are right.

    python -m sparsedit_training.evaluate MODEL --judge FOLDER --output FOLDER
    python -m sparsedit_training.evaluate MODEL --judge FOLDER --output FOLDER --engine sparsedit-t2i

Without --engine, PyTorch draws (this file's own sampler); with it, the command line program does, one picture per
prompt with the same seeds. OUTPUT gets the pictures, manifest.json, verdicts.json and a contact sheet. Pictures that
are there are not drawn again. `figures.py` compares the outputs of several models.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from .preview import Artist, sheet
from .world import heldout_prompts

BATCH = 10
INSIDE = "inside"  # in place of a folder: the model inside the program
ROUND = 25  # prompts of one seed: the test set goes through its kinds in so many


def test_rows(options) -> list[dict]:
    """The prompts with their truth and their "seed": one seed for each round of kinds."""
    if options.heldout:
        return [row | {"seed": i} for i, row in enumerate(heldout_prompts(options.count))]
    rows = json.loads((Path(__file__).parent / "testset/prompts.json").read_text())[:options.count]
    return [row | {"seed": i // ROUND} for i, row in enumerate(rows)]


def draw_with_torch(options, rows: list[dict], names: list[Path]):
    """Draws in batches."""
    artist = Artist.of_folder(options.model)
    for start in range(0, len(rows), BATCH):
        part, files = rows[start:start + BATCH], names[start:start + BATCH]
        if all(file.exists() for file in files):
            continue
        prompts, seeds = ([row[key] for row in part] for key in ("prompt", "seed"))
        for name, picture in zip(files, artist.draw(prompts, seeds, options.steps, options.guidance)):
            Image.fromarray(picture).save(name)
        print(f"{start + len(part)}/{len(rows)}", flush=True)


def draw_with_engine(options, rows: list[dict], names: list[Path]):
    """Runs the command line program once for all prompts of a seed."""
    todo = {}
    for row, name in zip(rows, names):
        if not name.exists():
            todo.setdefault(row["seed"], []).append((row["prompt"], name))
    model = [] if str(options.model) == INSIDE else ["--model", str(options.model)]
    for seed, pairs in todo.items():
        with tempfile.TemporaryDirectory() as folder:
            prompts = Path(folder) / "prompts.txt"
            prompts.write_text("\n".join(prompt for prompt, _ in pairs) + "\n")
            subprocess.run([options.engine, "--prompts-file", str(prompts), *model, "--output", folder + "/", "--quiet",
                            "--seed", str(seed), "--steps", str(options.steps), "--guidance-scale",
                            str(options.guidance), *options.engine_options.split()], check=True)
            for (_, name), drawn in zip(pairs, sorted(Path(folder).glob("*.jpg"))):
                shutil.move(drawn, name)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("model", type=Path, help="a pipeline folder; with --engine, \"inside\" is the model inside the program")
    add("--judge", type=Path, required=True, help="folder of the trained judge")
    add("--output", type=Path, required=True, help="folder for pictures and verdicts")
    add("--engine", help="path of sparsedit-t2i")
    add("--engine-options", default="", help="more options for it in one argument, such as --engine-options=--dense")
    add("--count", type=int, default=1200, help="how many prompts; any multiple of 25 has all kinds in their shares")
    add("--heldout", action="store_true", help="the older prompts instead, each with a pair held out of training")
    add("--steps", type=int, default=20)
    add("--guidance", type=float, default=4.5)
    options = parser.parse_args()
    rows = test_rows(options)
    suffix = "jpg" if options.engine else "png"
    options.output.mkdir(parents=True, exist_ok=True)
    for i, row in enumerate(rows):
        row["file"] = f"{i:04d}.{suffix}"
    (options.output / "manifest.json").write_text(json.dumps(rows, indent=1) + "\n")
    names = [options.output / row["file"] for row in rows]
    start = time.time()
    (draw_with_engine if options.engine else draw_with_torch)(options, rows, names)
    print(f"{len(rows)} pictures in {time.time() - start:.0f} s", flush=True)
    sheet(np.stack([np.asarray(Image.open(name).resize((128, 128))) for name in names[:60]]), 10).save(
        options.output / "sheet.webp", quality=85)
    subprocess.run([sys.executable, "-m", "sparsedit_training.judge", "score", str(options.judge),
                    str(options.output), "--json", str(options.output / "verdicts.json")], check=True)


if __name__ == "__main__":
    main()
