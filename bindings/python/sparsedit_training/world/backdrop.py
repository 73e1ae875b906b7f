"""Sky, land and weather behind and before the things."""

from __future__ import annotations

import math
import random
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from .palette import COLOURS, RGB, mix
from .scene import Scene

# Sky at the top, sky at the horizon, and the tone the land is mixed with.
SKIES: dict[str, tuple[RGB, RGB, RGB, float]] = {
    "day": ((150, 208, 244), (226, 244, 252), (255, 255, 255), 0.0),
    "morning": ((188, 214, 240), (255, 220, 204), (255, 222, 206), 0.3),
    "sunset": ((134, 112, 178), (252, 168, 112), (120, 72, 92), 0.42),
    "night": ((26, 32, 78), (66, 78, 134), (26, 36, 84), 0.68),
}
LAND: dict[str, RGB] = {
    "meadow": (184, 220, 152),
    "sand": (240, 222, 176),
    "sea": (134, 194, 222),
    "snow": (240, 246, 252),
}
# What weather does to sky and land: the tone it adds and how much of it.
MOODS: dict[str, tuple[RGB, float]] = {
    "clear": ((0, 0, 0), 0.0),
    "rain": ((104, 118, 142), 0.56),
    "snow": ((206, 214, 228), 0.4),
    "fog": ((212, 216, 220), 0.62),
}
HORIZON = 0.66
SEA_HORIZON = 0.56
# Looks of the land, the stars and the weather, chosen by the scene's seed.
VARIANTS = 4


def _weathered(colour: RGB, time: str, weather: str) -> RGB:
    tone, share = MOODS[weather]
    if time == "night":
        tone, share = mix(tone, (40, 46, 84), 0.62), share * 0.85
    elif time != "day":
        share *= 0.72
    return mix(colour, tone, share)


@lru_cache(maxsize=96)
def _land(time: str, weather: str, ground: str, variant: int, side: int) -> Image.Image:
    """Sky and land without things, side × side pixels; the same for every use."""
    top, low, tone, share = SKIES[time]
    top, low = _weathered(top, time, weather), _weathered(low, time, weather)
    horizon = SEA_HORIZON if ground == "sea" else HORIZON
    ramp = np.clip(np.linspace(0, 1 / horizon, side), 0, 1)[:, None]
    column = np.array(top) * (1 - ramp) + np.array(low) * ramp
    image = Image.fromarray(column.round().astype(np.uint8)[:, None]).resize((side, side), Image.NEAREST)
    draw = ImageDraw.Draw(image)
    rng = random.Random(variant)
    if time == "night" and weather in ("clear", "snow"):
        for _ in range(24):
            x, y, r = rng.random() * side, rng.random() * side * 0.55, side * rng.uniform(0.004, 0.0075)
            draw.ellipse((x - r, y - r, x + r, y + r), fill=(244, 240, 206))
    earth = _weathered(mix(LAND[ground], tone, share), time, weather)
    if ground == "sea":
        _sea(draw, earth, side)
    else:
        far = mix(earth, low, 0.45)
        _hill(draw, far, HORIZON - 0.055, 0.03, 1.1, variant * 1.9, side)
        _hill(draw, earth, HORIZON + 0.02, 0.018, 0.7, 2 + variant * 2.3, side)
    return image


def _hill(draw: ImageDraw.ImageDraw, colour: RGB, level: float, height: float, waves: float, phase: float,
          side: int) -> None:
    points = [(0, side), (side, side)]
    for i in range(24, -1, -1):
        y = level - height * math.sin(phase + 2 * math.pi * waves * i / 24)
        points.append((side * i / 24, side * y))
    draw.polygon(points, fill=colour)


def _sea(draw: ImageDraw.ImageDraw, colour: RGB, side: int) -> None:
    draw.rectangle((0, SEA_HORIZON * side, side, side), fill=colour)
    for row, level in enumerate((0.62, 0.72, 0.84, 0.95)):
        crest = mix(colour, (255, 255, 255), 0.28)
        for i in range(4):
            x, w, y = side * (i / 3 - 0.1 + 0.13 * (row % 2)), side * 0.12, side * level
            draw.rounded_rectangle((x, y, x + w, y + side * 0.011), side * 0.006, fill=crest)


def paint_backdrop(scene: Scene, side: int) -> Image.Image:
    """A fresh picture, side × side, of everything behind the things."""
    if scene.ground == "plain":
        return Image.new("RGB", (side, side), plain_colour(scene.backdrop))
    return _land(scene.time, scene.weather, scene.ground, scene.seed % VARIANTS, side).copy()


def plain_colour(name: str) -> RGB:
    """The wall behind plain shapes: a pastel of the colour, so that shapes stand out."""
    if name in ("white", "black"):
        return {"white": (255, 255, 255), "black": (34, 34, 42)}[name]
    return mix(COLOURS[name], (255, 255, 255), 0.5 if name == "gray" else 0.62)


def paint_weather(draw: ImageDraw.ImageDraw, scene: Scene, side: int) -> None:
    """Rain or snow in front of the things."""
    # Only a few patterns, since the place of each drop need not be learned.
    rng = random.Random(scene.seed % VARIANTS)
    night = scene.time == "night"
    if scene.weather == "rain":
        colour = (170, 190, 230) if night else (236, 244, 255)
        for i in range(42):
            # A jittered lattice: even coverage without clumps.
            x = side * ((i % 7 + rng.random()) / 7)
            y = side * ((i // 7 + rng.random()) / 6)
            draw.line((x, y, x - side * 0.018, y + side * 0.07), fill=colour, width=max(1, side // 85))
    elif scene.weather == "snow":
        for i in range(49):
            x = side * ((i % 7 + rng.random()) / 7)
            y = side * ((i // 7 + rng.random()) / 7)
            r = side * rng.uniform(0.008, 0.014)
            draw.ellipse((x - r, y - r, x + r, y + r), fill=(255, 255, 255))


@lru_cache(maxsize=16)
def _fog(time: str, side: int) -> tuple[Image.Image, Image.Image]:
    """The fog's colour and its density (0…255) over the picture."""
    _, low, _, _ = SKIES[time]
    colour = _weathered(mix(low, (235, 238, 240), 0.5), time, "fog")
    y = np.linspace(0, 1, side)
    bands = sum(np.exp(-(((y - at) / 0.05) ** 2)) for at in (0.38, 0.62, 0.86))
    density = (255 * (0.1 + 0.17 * bands)).astype(np.uint8)
    mask = Image.fromarray(np.repeat(density[:, None], side, axis=1))
    return Image.new("RGB", (side, side), colour), mask


def add_fog(image: Image.Image, scene: Scene) -> Image.Image:
    """The picture seen through thin fog, if the scene has fog."""
    if scene.weather != "fog" or scene.ground == "plain":
        return image
    colour, mask = _fog(scene.time, image.width)
    return Image.composite(colour, image, mask)
