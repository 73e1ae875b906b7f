"""Writes Tests/Golden/resolution.json: which size diffusers' PixArt pipelines draw a picture at, and how
they bring it back to the size that was asked for.

    python Tests/Golden/make_resolution_golden.py

Made with Python 3.11, diffusers 0.42.0 and torch 2.13.0 (CPU build) on one thread.

resolution.json: {"bins": {sample_size: [[height, width]]},
                  "nearest": {sample_size: [[height, width, height and width of the bin]]},
                  "resized": [{"from": [B, C, H, W], "to": [height, width], "values": base64 of f32}]}

Element i of an input is ((37 · i) mod 257) / 128 − 1, which f32 has exactly.
"""

import base64
import json
import pathlib
import random

import torch
from diffusers.image_processor import PixArtImageProcessor
from diffusers.pipelines.pixart_alpha.pipeline_pixart_alpha import (
    ASPECT_RATIO_256_BIN,
    ASPECT_RATIO_512_BIN,
    ASPECT_RATIO_1024_BIN,
)
from diffusers.pipelines.pixart_alpha.pipeline_pixart_sigma import ASPECT_RATIO_2048_BIN

TABLES = {
    32: ASPECT_RATIO_256_BIN,
    64: ASPECT_RATIO_512_BIN,
    128: ASPECT_RATIO_1024_BIN,
    256: ASPECT_RATIO_2048_BIN,
}
# Larger, smaller, one side only, both cut, more than one picture; a side of 1.
RESIZED = [
    ((2, 3, 13, 17), (9, 31)),
    ((1, 3, 16, 16), (16, 12)),
    ((3, 2, 8, 32), (5, 7)),
    ((1, 3, 32, 8), (50, 16)),
    ((2, 1, 1, 9), (4, 4)),
    ((1, 1, 4, 1856), (3, 1401)),
    ((1, 1, 4, 704), (9, 1409)),
    ((1, 3, 24, 36), (24, 36)),
]


def nearest(rng, table):
    sides = [(side, side) for side in (1, 8, 777)] + [tuple(map(int, bin)) for bin in table.values()]
    sides += [(rng.randint(1, 4096), rng.randint(1, 4096)) for _ in range(250)]
    # Halfway between two ratios, as near as whole pixels come.
    ratios = [float(ratio) for ratio in table]
    sides += [(round(100 * (a + b)), 200) for a, b in zip(ratios, ratios[1:])]
    return [[*size, *PixArtImageProcessor.classify_height_width_bin(*size, ratios=table)] for size in sides]


def resized(shape, size):
    count = torch.Size(shape).numel()
    values = (torch.arange(count) * 37 % 257).to(torch.float32) / 128 - 1
    result = PixArtImageProcessor.resize_and_crop_tensor(values.reshape(shape), size[1], size[0])
    assert tuple(result.shape) == (*shape[:2], *size)
    data = result.contiguous().numpy().astype("<f4").tobytes()
    return {"from": shape, "to": size, "values": base64.b64encode(data).decode()}


def main():
    torch.set_num_threads(1)
    rng = random.Random(16)
    golden = {
        "bins": {size: [list(map(int, bin)) for bin in table.values()] for size, table in TABLES.items()},
        "nearest": {size: nearest(rng, table) for size, table in TABLES.items()},
        "resized": [resized(*case) for case in RESIZED],
    }
    path = pathlib.Path(__file__).parent / "resolution.json"
    path.write_text(json.dumps(golden) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
