"""The things of the world: how each looks, where it belongs and what it is called."""

from __future__ import annotations

from dataclasses import dataclass

from . import things_land as land
from . import things_sky as sky
from .palette import COLOURS
from .shapes import Shape


@dataclass(frozen=True)
class Thing:
    """`home` is "ground", "sky" or "plain" (a shape); `size` scales the drawing;
    `natural` are the colours it may have when a caption leaves the colour out."""

    shapes: list[Shape]
    home: str
    natural: tuple[str, ...]
    size: float = 1.0
    names: tuple[str, ...] = ()


ANY = tuple(COLOURS)

# The order is the label index: append, never reorder.
THINGS: dict[str, Thing] = {
    "house": Thing(land.HOUSE, "ground", ("red", "yellow"), 1.08, ("house", "house", "house", "cottage")),
    "tree": Thing(land.TREE, "ground", ("green",), 1.15),
    "mountain": Thing(land.MOUNTAIN, "ground", ("gray", "brown"), 1.15,
                      ("mountain", "mountain", "mountain", "snowy mountain")),
    "boat": Thing(land.BOAT, "ground", ("red", "blue"), 1.08, ("boat", "boat", "boat", "sailboat", "ship")),
    "flower": Thing(land.FLOWER, "ground", ("red", "pink"), 1.02, ("flower", "flower", "flower", "blossom")),
    "cat": Thing(land.CAT, "ground", ("orange", "black"), names=("cat", "cat", "cat", "kitten")),
    "dog": Thing(land.DOG, "ground", ("brown",), 0.98, ("dog", "dog", "dog", "puppy")),
    "duck": Thing(land.DUCK, "ground", ("yellow",), 0.96, ("duck", "duck", "duck", "duckling")),
    "car": Thing(land.CAR, "ground", ("red", "blue"), names=("car", "car", "car", "automobile")),
    "bus": Thing(land.BUS, "ground", ("yellow", "red"), 1.04),
    "mushroom": Thing(land.MUSHROOM, "ground", ("red",), 0.98, ("mushroom", "mushroom", "mushroom", "toadstool")),
    "umbrella": Thing(land.UMBRELLA, "ground", ("purple", "blue"), 1.06,
                      ("umbrella", "umbrella", "umbrella", "parasol")),
    "castle": Thing(land.CASTLE, "ground", ("gray",), 1.06, ("castle", "castle", "castle", "fortress")),
    "tent": Thing(land.TENT, "ground", ("green", "orange"), 1.04),
    "apple": Thing(land.APPLE, "ground", ("red", "green"), 0.96),
    "cup": Thing(land.CUP, "ground", ("white", "blue"), 0.94, ("cup", "cup", "cup", "mug")),
    "snowman": Thing(land.SNOWMAN, "ground", ("white",), 1.08),
    "bell": Thing(land.BELL, "ground", ("yellow",), 0.96),
    "hat": Thing(land.HAT, "ground", ("black",), 0.94, ("hat", "hat", "hat", "top hat")),
    "chair": Thing(land.CHAIR, "ground", ("brown",)),
    "sun": Thing(sky.SUN, "sky", ("yellow", "orange"), 0.96),
    "moon": Thing(sky.MOON, "sky", ("yellow", "white"), 0.9, ("full moon", "full moon", "moon")),
    "crescent moon": Thing(sky.CRESCENT, "sky", ("yellow", "white"), 0.96),
    "cloud": Thing(sky.CLOUD, "sky", ("white",), 0.92),
    "star": Thing(sky.STAR, "sky", ("yellow",)),
    "bird": Thing(sky.BIRD, "sky", ("blue", "red"), 0.92),
    "butterfly": Thing(sky.BUTTERFLY, "sky", ("orange", "blue"), 0.96),
    "balloon": Thing(sky.BALLOON, "sky", ("red",)),
    "kite": Thing(sky.KITE, "sky", ("red", "purple")),
    "rocket": Thing(sky.ROCKET, "sky", ("red", "white"), 1.04, ("rocket", "rocket", "rocket", "spaceship")),
    "fish": Thing(sky.FISH, "ground", ("orange", "blue"), 0.98),
    "heart": Thing(sky.HEART, "sky", ("red", "pink"), 0.96),
    "circle": Thing(sky.CIRCLE, "plain", ANY, 0.96, ("circle", "circle", "circle", "disc")),
    "square": Thing(sky.SQUARE, "plain", ANY, 0.96),
    "triangle": Thing(sky.TRIANGLE, "plain", ANY, 0.96),
    "diamond": Thing(sky.DIAMOND, "plain", ANY, 0.96),
    "ring": Thing(sky.RING, "plain", ANY, 0.98),
    "cross": Thing(sky.CROSS, "plain", ANY, 0.96),
    "rabbit": Thing(land.RABBIT, "ground", ("white", "gray"), names=("rabbit", "rabbit", "rabbit", "bunny")),
}

NAMES = list(THINGS)
PLAIN = [n for n, t in THINGS.items() if t.home == "plain"]
OBJECTS = [n for n, t in THINGS.items() if t.home != "plain"]
NIGHT_THINGS = ("moon", "crescent moon", "star")


def _held_out() -> frozenset[tuple[str, str]]:
    """About a tenth of the (thing, colour) pairs, spread evenly over both."""
    names = list(COLOURS)
    pairs = set()
    for i, (thing, spec) in enumerate(THINGS.items()):
        natural = () if spec.home == "plain" else spec.natural
        keep = {("house", "red"), ("house", "blue"), ("boat", "pink"), ("tent", "brown"), ("flower", "yellow")}
        free = [c for c in names if c not in natural and (thing, c) not in keep]
        # 5 and 7 share no factor with 12, so that every colour gets its turn.
        wanted = [names[(5 * i + 2) % 12]] + ([names[(7 * i + 9) % 12]] if i % 5 == 0 else [])
        pairs |= {(thing, c) for c in wanted if c in free}
        if not any(c in free for c in wanted):
            pairs.add((thing, free[i % len(free)]))
    return frozenset(pairs)


# Pairs that never occur in training scenes: they measure composition, not memory.
HELD_OUT = _held_out()
