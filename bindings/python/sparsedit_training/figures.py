"""Compares drawn test sets by the judge's answers, by their distance to renders and by their sharpness.

    python -m sparsedit_training.figures JUDGE FIRST OTHER…

FIRST and OTHER are outputs of evaluate.py for the same prompts. For every question: the share of right pictures, and
of OTHER the difference to FIRST with the 95 % interval of paired bootstrap. The Fréchet distance is between features
of the judge, of the drawn pictures and of fresh renders of the same prompts; sharpness is the variance of the
Laplacian, as a share of that of the renders.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from .judge import _pixels, load_judge
from .judge_data import SIDE
from .world import render, scene_of

QUESTIONS = ("object_colour", "each_object", "count", "relation", "count_relation", "time", "weather", "nothing_else")
RESAMPLES = 2000


def sharpness(picture: np.ndarray) -> float:
    """Variance of the Laplacian of the brightness of uint8 [H, W, 3]."""
    grey = picture.astype(np.float64) @ (0.299, 0.587, 0.114)
    centre = grey[1:-1, 1:-1]
    return float((grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * centre).var())


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance of two samples of features [n, d], each taken as a normal distribution."""
    mean = np.square(a.mean(0) - b.mean(0)).sum()
    ca, cb = np.cov(a.T), np.cov(b.T)
    values, vectors = np.linalg.eigh(ca)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    middle = np.linalg.eigvalsh(root @ cb @ root).clip(min=0)
    return float(mean + np.trace(ca) + np.trace(cb) - 2 * np.sqrt(middle).sum())


@torch.no_grad()
def features(net, pictures: list[np.ndarray]) -> np.ndarray:
    """The judge's features of pictures, [n, d]."""
    rows = []
    for start in range(0, len(pictures), 50):
        small = np.stack([np.asarray(Image.fromarray(p).resize((SIDE, SIDE), Image.BILINEAR, reducing_gap=2))
                          for p in pictures[start:start + 50]])
        rows.append(net.features(_pixels(torch.from_numpy(small))).float().numpy())
    return np.concatenate(rows).astype(np.float64)


def difference(first: list, other: list) -> tuple[float, float, float]:
    """Mean of other − first in percent, with the 95 % interval of paired bootstrap."""
    gain = 100 * (np.array(other, float) - np.array(first, float))
    picks = np.random.default_rng(0).integers(0, len(gain), (RESAMPLES, len(gain)))
    low, high = np.percentile(gain[picks].mean(1), (2.5, 97.5))
    return float(gain.mean()), float(low), float(high)


def measure(net, folder: Path, true: np.ndarray | None, renders: list[np.ndarray]) -> dict:
    """Fréchet distance and sharpness of the pictures of a folder."""
    rows = json.loads((folder / "manifest.json").read_text())[:len(renders)]
    drawn = [np.asarray(Image.open(folder / row["file"]).convert("RGB")) for row in rows]
    sharp = np.mean([sharpness(p) for p in drawn]) / np.mean([sharpness(p) for p in renders])
    return {"frechet": frechet(features(net, drawn), true), "sharpness": 100 * float(sharp)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("judge", type=Path)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    options = parser.parse_args()
    net = load_judge(options.judge)
    verdicts = [json.loads((f / "verdicts.json").read_text())["pictures"] for f in options.folders]
    count = min(map(len, verdicts))
    truth = json.loads((options.folders[0] / "manifest.json").read_text())[:count]
    renders = [render(scene_of(row, 7 * i + 1)) for i, row in enumerate(truth)]
    true = features(net, renders)
    print(f"{count} prompts")
    for question in QUESTIONS:
        asked = [[v[question] for v in rows[:count]] for rows in verdicts]
        keep = [i for i, value in enumerate(asked[0]) if value is not None]
        values = [[row[i] for i in keep] for row in asked]
        cells = [f"{100 * np.mean(values[0]):6.1f}"]
        for row in values[1:]:
            gain, low, high = difference(values[0], row)
            cells.append(f"{100 * np.mean(row):6.1f} ({gain:+.1f}: {low:+.1f} … {high:+.1f})")
        print(f"{question:15} {' | '.join(cells)}  of {len(keep)}")
    for folder in options.folders:
        found = measure(net, folder, true, renders)
        sharp = f"sharpness {found['sharpness']:.0f} % of renders"
        print(f"{folder.name}: Fréchet distance {found['frechet']:.3f}, {sharp}")


if __name__ == "__main__":
    main()
