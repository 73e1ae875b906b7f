"""Colours of the picture-book world, as RGB triples in 0…255."""

from __future__ import annotations

RGB = tuple[int, int, int]

# The twelve colours a caption can name; the order is their label index.
COLOURS: dict[str, RGB] = {
    "red": (216, 52, 50),
    "orange": (245, 138, 34),
    "yellow": (250, 212, 56),
    "green": (58, 150, 70),
    "teal": (24, 168, 162),
    "blue": (44, 104, 216),
    "purple": (122, 70, 184),
    "pink": (246, 138, 184),
    "brown": (134, 84, 46),
    "black": (40, 40, 48),
    "white": (252, 252, 248),
    "gray": (140, 146, 154),
}

# Details that keep their colour whatever the object's main colour is.
FIXED: dict[str, RGB] = {
    "cream": (255, 244, 220),
    "wood": (122, 82, 48),
    "leaf": (92, 158, 76),
    "glass": (196, 230, 246),
    "lamp": (255, 226, 140),
    "ink": (44, 42, 54),
    "snow": (250, 252, 255),
    "beak": (246, 150, 40),
    "rose": (240, 120, 130),
    "steel": (176, 184, 194),
    "flame": (252, 176, 52),
}


def mix(a: RGB, b: RGB, share: float) -> RGB:
    """`a` moved towards `b` by `share` (0 gives a, 1 gives b)."""
    return tuple(round(x + (y - x) * share) for x, y in zip(a, b))


def luma(colour: RGB) -> float:
    """Perceived brightness, 0…255."""
    r, g, b = colour
    return 0.299 * r + 0.587 * g + 0.114 * b


def scheme(name: str) -> dict[str, RGB]:
    """Every paint an object of colour `name` is drawn with, by paint name.

    `main` dominates; `deep` and `tint` are its shade and its highlight; `line`
    is the outline; `eye` and `pip` are details that must stand out from main.
    """
    main = COLOURS[name]
    paints = dict(FIXED)
    paints["main"] = main
    if name == "black":
        # A darker outline could not be seen, least of all at night.
        paints.update(deep=(64, 66, 78), tint=(92, 95, 108), line=(150, 154, 168))
    elif name == "white":
        paints.update(deep=(222, 226, 234), tint=(255, 255, 255), line=(132, 138, 152))
    else:
        paints.update(
            deep=mix(main, (20, 16, 40), 0.22),
            tint=mix(main, (255, 255, 255), 0.38),
            line=mix(main, (16, 14, 36), 0.55),
        )
    paints["eye"] = (255, 240, 170) if luma(main) < 75 else FIXED["ink"]
    paints["pip"] = COLOURS["brown"] if name in ("yellow", "orange", "white") else COLOURS["yellow"]
    return paints
