"""Pictures and truth for the judge: fresh renders, made worse as generated pictures are."""

from __future__ import annotations

import io
import random
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter

from .world import COLOURS, THINGS, TIMES, WEATHERS, Scene, render, sample_scene
from .world.scene import layout

SIDE = 96  # what the judge sees, pixels: four of a thing in a row are 18 wide
GRID = 24  # cells of its map of centres, per side
THING_NAMES, COLOUR_NAMES = list(THINGS), list(COLOURS)
# A picture on a plain wall has neither time nor weather: one more class each.
TIME_NAMES, WEATHER_NAMES = [*TIMES, "none"], [*WEATHERS, "none"]


def spoil(picture: Image.Image, rng: random.Random) -> Image.Image:
    """Blur, noise, JPEG and slightly wrong colours, each at times."""
    if rng.random() < 0.4:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 2.6) * picture.width / 256))
    if rng.random() < 0.4:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=rng.randint(35, 95))
        picture = Image.open(file).convert("RGB")
    return picture


def _view(rng: random.Random) -> tuple[float, float, float]:
    """A window on the picture: left, top and side in pixels of 256."""
    side = rng.uniform(232, 256) if rng.random() < 0.6 else 256
    return rng.uniform(0, 256 - side), rng.uniform(0, 256 - side), side


def look(picture: np.ndarray, view: tuple[float, float, float]) -> np.ndarray:
    """The window of a square uint8 [S, S, 3] picture as the judge sees it: [SIDE, SIDE, 3]."""
    x, y, side = (v * len(picture) / 256 for v in view)
    small = Image.fromarray(picture).resize((SIDE, SIDE), Image.BILINEAR, (x, y, x + side, y + side), reducing_gap=2)
    return np.asarray(small)


def truth(scene: Scene, view: tuple[float, float, float]) -> dict[str, np.ndarray]:
    """heat f32 [GRID, GRID] (1 at a centre, less beside it), thing and colour
    int64 [GRID, GRID] (−1 away from centres), time and weather int64 scalars."""
    x0, y0, side = view
    heat = np.zeros((GRID, GRID), np.float32)
    thing, colour = (np.full((GRID, GRID), -1, np.int64) for _ in range(2))
    rows, columns = np.mgrid[0:GRID, 0:GRID]
    for item in layout(scene):
        group = scene.groups[item.group]
        x, y = (item.x - x0) / side * GRID, (item.y - y0) / side * GRID
        if not (0 <= x < GRID and 0 <= y < GRID):
            continue
        distance = (columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2
        heat = np.maximum(heat, np.exp(-distance).astype(np.float32))
        heat[int(y), int(x)] = 1
        near = distance < 2
        thing[near] = THING_NAMES.index(group.thing)
        colour[near] = COLOUR_NAMES.index(group.colour)
    plain = scene.ground == "plain"
    time = TIME_NAMES.index("none" if plain else scene.time)
    weather = WEATHER_NAMES.index("none" if plain else scene.weather)
    return {"heat": heat, "thing": thing, "colour": colour, "time": np.int64(time), "weather": np.int64(weather)}


def case(rng: random.Random, decoded: Decoded | None) -> dict[str, np.ndarray]:
    """One picture with its truth."""
    if decoded is not None and rng.random() < 0.3:
        scene, picture = decoded.pick(rng)
    else:
        scene = sample_scene(rng, heldout=None)
        # Half the size costs a quarter, and the judge sees the same.
        picture = render(scene, 256 if rng.random() < 0.25 else 128)
    view = _view(rng)
    picture = np.asarray(spoil(Image.fromarray(picture), rng))
    pixels = look(picture, view).astype(np.float32)
    gain = np.array([rng.uniform(0.95, 1.05) for _ in range(3)], np.float32)
    noise = np.random.default_rng(rng.getrandbits(32)).normal(0, rng.choice((0, 0, 4, 9)), pixels.shape)
    pixels = pixels * gain + rng.uniform(-7, 7) + noise
    return {"pixels": pixels.clip(0, 255).astype(np.uint8), **truth(scene, view)}


class Decoded:
    """Renders that went through the autoencoder, with noise on the latents: what
    a generated picture looks like when its content is right."""

    def __init__(self, path: Path, seed: int):
        self.pictures = np.load(path, mmap_mode="r")
        self.seed = seed

    def pick(self, rng: random.Random) -> tuple[Scene, np.ndarray]:
        index = rng.randrange(len(self.pictures))
        return decoded_scene(self.seed, index), np.array(self.pictures[index])


def decoded_scene(seed: int, index: int) -> Scene:
    return sample_scene(random.Random(seed * 1_000_003 + index), heldout=None)


@torch.no_grad()
def make_decoded(run: Path, path: Path, count: int, seed: int, noise: float = 0.25) -> None:
    """Writes `count` decoded renders, uint8 [count, 256, 256, 3]."""
    from .vae import Run, frozen_encoder, to_pictures, to_pixels

    state = Run(run, 0.0)
    encoder, codec = frozen_encoder(run).to(state.device), state.averaged("codec")
    torch.manual_seed(seed)
    out = np.empty((count, 256, 256, 3), np.uint8)
    for i in range(count):
        z = encoder(to_pixels(render(decoded_scene(seed, i))[None]).to(state.device))
        z = z + noise * torch.rand(1, device=z.device) * torch.randn_like(z)
        out[i] = to_pictures(codec(z))[0]
    partial = path.with_suffix(".part")
    with partial.open("wb") as file:
        np.save(file, out)
    partial.replace(path)


class Cases(torch.utils.data.IterableDataset):
    """Endless cases; step `s` of worker `w` has its own seed, so that a resumed
    training does not see the same pictures again."""

    def __init__(self, seed: int, start: int, decoded: Path | None, decoded_seed: int):
        self.seed, self.start = seed, start
        self.path, self.decoded_seed = decoded, decoded_seed

    def __iter__(self):
        worker = torch.utils.data.get_worker_info()
        decoded = Decoded(self.path, self.decoded_seed) if self.path else None
        number = worker.id if worker else 0
        rng = random.Random(self.seed * 7_919 + self.start * 104_729 + number)
        while True:
            yield case(rng, decoded)
