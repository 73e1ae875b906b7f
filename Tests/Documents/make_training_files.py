"""Writes what the blocks of the training kit work on, with random weights and few channels.

    python make_training_files.py HOME FOLDER

HOME/models/PixArt-XL-2-512x512 gets a dense transformer of 28 blocks, as many as the real one has. FOLDER
gets photos with captions.
"""

import json
import shutil
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "bindings/python"))

from sparsedit_training.export import save_transformer  # noqa: E402
from sparsedit_training.model import SparseDiT  # noqa: E402

CAPTIONS = {"house-moon": "a red house under a full moon", "flowers": "three purple flowers"}


def main() -> None:
    home, folder = map(Path, sys.argv[1:])
    torch.manual_seed(1)
    model = home / "models" / "PixArt-XL-2-512x512"
    config = json.loads((model / "transformer/config.json").read_text()) | {"num_layers": 28}
    save_transformer(model, SparseDiT(config), half=False)
    (folder / "photos").mkdir()
    for name, caption in CAPTIONS.items():
        shutil.copy(ROOT / "examples/pictures" / f"{name}.jpg", folder / "photos")
        (folder / "photos" / f"{name}.txt").write_text(caption + "\n")


if __name__ == "__main__":
    main()
