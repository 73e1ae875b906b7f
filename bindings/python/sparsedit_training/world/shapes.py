"""Primitives from which things are drawn, in a box of 100 × 100 units, y down."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Shape:
    """One filled outline: a polygon, or an ellipse given by its bounding box.

    `points` is [n, 2] in units; for an ellipse n is 2 (top left, bottom right).
    """

    paint: str
    points: np.ndarray
    oval: bool = False


def poly(paint: str, *xy: float) -> Shape:
    """A polygon from x0, y0, x1, y1, …"""
    return Shape(paint, np.array(xy, np.float64).reshape(-1, 2))


def box(paint: str, x0: float, y0: float, x1: float, y1: float) -> Shape:
    """An upright rectangle."""
    return poly(paint, x0, y0, x1, y0, x1, y1, x0, y1)


def oval(paint: str, cx: float, cy: float, rx: float, ry: float | None = None) -> Shape:
    """An ellipse, or a circle when one radius is given."""
    ry = rx if ry is None else ry
    return Shape(paint, np.array([[cx - rx, cy - ry], [cx + rx, cy + ry]]), oval=True)


def arc(cx: float, cy: float, rx: float, ry: float, start: float, end: float, steps: int = 16) -> list[float]:
    """x0, y0, x1, y1, … along an ellipse, angles in degrees, clockwise from the right."""
    out: list[float] = []
    for i in range(steps + 1):
        angle = math.radians(start + (end - start) * i / steps)
        out += [cx + rx * math.cos(angle), cy + ry * math.sin(angle)]
    return out


def wedge(paint: str, cx: float, cy: float, rx: float, ry: float, start: float, end: float) -> Shape:
    """The part of an ellipse between two angles, closed by its chord."""
    return poly(paint, *arc(cx, cy, rx, ry, start, end))


def star(paint: str, cx: float, cy: float, outer: float, inner: float, tips: int, turn: float = -90) -> Shape:
    """A star with `tips` points, the first one at angle `turn` degrees."""
    out: list[float] = []
    for i in range(2 * tips):
        radius = outer if i % 2 == 0 else inner
        angle = math.radians(turn + 180 * i / tips)
        out += [cx + radius * math.cos(angle), cy + radius * math.sin(angle)]
    return poly(paint, *out)


def hoop(paint: str, cx: float, cy: float, outer: float, inner: float) -> Shape:
    """A ring as one polygon: out along the rim, back along the hole."""
    return poly(paint, *arc(cx, cy, outer, outer, 0, 360, 40), *arc(cx, cy, inner, inner, 360, 0, 32))


def heart(paint: str, cx: float, cy: float, size: float) -> Shape:
    """A heart `size` units wide."""
    out: list[float] = []
    for i in range(36):
        t = 2 * math.pi * i / 36
        x = 16 * math.sin(t) ** 3
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        out += [cx + x * size / 32, cy - (y + 2.5) * size / 32]
    return poly(paint, *out)
