"""From a `Scene` to pixels, and to the labels of its cells."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from .backdrop import add_fog, paint_backdrop, paint_weather
from .palette import COLOURS, mix, scheme
from .scene import Item, Scene, layout
from .things import NAMES, THINGS

SCHEMES = {name: scheme(name) for name in COLOURS}
COLOUR_NAMES = list(COLOURS)
# Outline width in units of a thing's box.
OUTLINE = 2.4


def render(scene: Scene, size: int = 256) -> np.ndarray:
    """The picture of the scene: uint8 [size, size, 3].

    It is drawn at twice the size and reduced, which smooths every edge.
    """
    side = 2 * size
    image = paint_backdrop(scene, side)
    draw = ImageDraw.Draw(image)
    items = layout(scene)
    if scene.ground not in ("plain", "sea"):
        for item in items:
            _shadow(draw, image, scene, item, side / 256)
    for item in items:
        group = scene.groups[item.group]
        _thing(draw, group.thing, SCHEMES[group.colour], item, side / 256)
    if scene.ground != "plain":
        paint_weather(draw, scene, side)
    return np.array(add_fog(image.reduce(2), scene))


def _on_page(item: Item, points: np.ndarray, scale: float) -> np.ndarray:
    """Points in units, [n, 2], as pixels of the page."""
    return ((points / 100 - 0.5) * item.size + (item.x, item.y)) * scale


def _thing(draw: ImageDraw.ImageDraw, name: str, paints: dict, item: Item, scale: float) -> None:
    """First every shape a little too large in the outline's colour, then the shapes."""
    width = OUTLINE / 100 * item.size * scale
    placed = [(s, _on_page(item, s.points, scale)) for s in THINGS[name].shapes]
    for shape, points in placed:
        if shape.oval:
            (x0, y0), (x1, y1) = points
            draw.ellipse((x0 - width, y0 - width, x1 + width, y1 + width), fill=paints["line"])
        else:
            flat = points.ravel().tolist()
            draw.line(flat + flat[:4], fill=paints["line"], width=round(2 * width), joint="curve")
    for shape, points in placed:
        flat = points.ravel().tolist()
        if shape.oval:
            draw.ellipse(flat, fill=paints[shape.paint])
        else:
            draw.polygon(flat, fill=paints[shape.paint])


def _shadow(draw: ImageDraw.ImageDraw, image: Image.Image, scene: Scene, item: Item, scale: float) -> None:
    """A soft patch on the ground below a thing that stands there."""
    thing = THINGS[scene.groups[item.group].thing]
    foot = item.y + item.size / 2
    if thing.home != "ground" or foot < 190:
        return
    x, y = item.x * scale, (foot - 1) * scale
    rx, ry = item.size * 0.56 * scale, item.size * 0.055 * scale
    ground = image.getpixel((4, image.height - 4))
    draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=mix(ground, (30, 40, 60), 0.22))


def _cover(name: str, item: Item, side: int) -> np.ndarray:
    """Which pixels of a side × side page the thing covers: bool [side, side]."""
    page = Image.new("L", (side, side))
    draw = ImageDraw.Draw(page)
    for shape in THINGS[name].shapes:
        flat = _on_page(item, shape.points, side / 256).ravel().tolist()
        (draw.ellipse if shape.oval else draw.polygon)(flat, fill=1)
    return np.asarray(page).astype(bool)


def scene_labels(scene: Scene, grid: int = 8, share: float = 0.25) -> tuple[np.ndarray, np.ndarray]:
    """Which things and colours cover at least `share` of each cell.

    Returns bit masks (bit i is entry i of THINGS or COLOURS): uint64 and uint16
    [grid, grid]. Every item marks at least the cell it covers most.
    """
    things = np.zeros((grid, grid), np.uint64)
    colours = np.zeros((grid, grid), np.uint16)
    side = 8 * grid
    for item in layout(scene):
        group = scene.groups[item.group]
        cover = _cover(group.thing, item, side).reshape(grid, 8, grid, 8).mean((1, 3))
        cells = cover >= min(share, cover.max())
        things[cells] |= np.uint64(1 << NAMES.index(group.thing))
        colours[cells] |= np.uint16(1 << COLOUR_NAMES.index(group.colour))
    return things, colours
