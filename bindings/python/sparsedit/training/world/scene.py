"""What a picture shows: the `Scene`, how scenes are drawn by chance, and where things stand."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from .palette import COLOURS
from .things import HELD_OUT, NIGHT_THINGS, OBJECTS, PLAIN, THINGS

TIMES = ("day", "morning", "sunset", "night")
WEATHERS = ("clear", "rain", "snow", "fog")
GROUNDS = ("meadow", "sand", "sea", "snow", "plain")
RELATIONS = ("none", "left", "above", "on")
PLACES = ("middle", "left", "right")
BACKDROPS = ("white", "black", "gray", "yellow", "green", "blue", "pink")

# "a cat on a car": what can sit, and what bears it.
SITTERS = ("cat", "dog", "duck", "bird", "hat", "apple", "cup", "flower", "snowman", "butterfly", "bell")
SEATS = ("house", "car", "bus", "mountain", "tent", "castle", "mushroom", "chair", "boat")
AFLOAT = ("boat", "fish")


@dataclass(frozen=True)
class Group:
    """One to three equal things."""

    thing: str
    colour: str
    count: int = 1


@dataclass(frozen=True)
class Scene:
    """Everything that is drawn.

    With two groups, `relation` says how the first lies to the second: left of
    it, above it, or on it. `place` is where a single thing stands. `backdrop`
    is the colour behind a scene whose ground is "plain". `seed` decides jitter
    and the look of the land, nothing that a caption may mention.
    """

    groups: tuple[Group, ...]
    relation: str = "none"
    place: str = "middle"
    time: str = "day"
    weather: str = "clear"
    ground: str = "meadow"
    backdrop: str = "white"
    seed: int = 0


@dataclass(frozen=True)
class Item:
    """One thing on the page. Lengths are in pixels of a 256 × 256 picture:
    `x` and `y` place the middle of the thing's 100-unit box, `size` is the
    length of 100 units."""

    group: int
    x: float
    y: float
    size: float


def usual_time(groups: tuple[Group, ...]) -> str:
    """The time of day that a caption need not mention."""
    return "night" if any(g.thing in NIGHT_THINGS for g in groups) else "day"


def usual_ground(groups: tuple[Group, ...], weather: str) -> str:
    """The ground that a caption need not mention."""
    if any(g.thing in PLAIN for g in groups):
        return "plain"
    if any(g.thing in AFLOAT for g in groups):
        return "sea"
    return "snow" if weather == "snow" else "meadow"


def _colour(rng: random.Random, thing: str, heldout: bool | None) -> str:
    natural = THINGS[thing].natural
    if heldout is True:
        return rng.choice([c for c in COLOURS if (thing, c) in HELD_OUT])
    pool = natural if rng.random() < 0.2 else tuple(COLOURS)
    return rng.choice([c for c in pool if heldout is None or (thing, c) not in HELD_OUT])


def _group(rng: random.Random, things: list[str] | tuple[str, ...], heldout: bool | None, count: int = 1) -> Group:
    thing = rng.choice(things)
    return Group(thing, _colour(rng, thing, heldout), count)


def _groups(rng: random.Random, names: list[str], heldout: bool | None) -> tuple[tuple[Group, ...], str, str]:
    """Groups, relation and place of a scene made of `names`."""
    other = False if heldout is True else heldout
    kind = rng.choices(("one", "many", "left", "above", "on"), (46, 15, 17, 17, 5))[0]
    if kind == "one":
        place = rng.choices(PLACES, (84, 8, 8))[0]
        return (_group(rng, names, heldout),), "none", place
    if kind == "many":
        return (_group(rng, names, heldout, rng.choice((2, 3))),), "none", "middle"
    if kind == "on" and names is not PLAIN:
        return (_group(rng, SITTERS, heldout), _group(rng, SEATS, other)), "on", "middle"
    first = _group(rng, names, heldout)
    while True:
        second = _group(rng, names, other)
        if first.thing != second.thing or (first.colour != second.colour and rng.random() < 0.4):
            break
    if kind == "left":
        pair = (first, second) if rng.random() < 0.5 else (second, first)
        return pair, "left", "middle"
    return _stacked(rng, first, second), "above", "middle"


def _stacked(rng: random.Random, first: Group, second: Group) -> tuple[Group, Group]:
    """The two groups, upper one first; what flies is mostly the upper one."""
    flies = [THINGS[g.thing].home == "sky" for g in (first, second)]
    if flies[0] == flies[1]:
        swap = rng.random() < 0.5
    else:
        swap = flies[1] != (rng.random() < 0.1)
    upper, lower = (second, first) if swap else (first, second)
    if rng.random() < 0.15:
        lower = replace(lower, count=rng.choice((2, 3)))
    return upper, lower


def sample_scene(rng: random.Random, heldout: bool | None = False) -> Scene:
    """A scene by chance. `heldout`: False without held-out pairs (training),
    True with one, None without regard to them."""
    if rng.random() < 0.16:
        return _plain_scene(rng, PLAIN, heldout)
    if rng.random() < 0.05:
        return _plain_scene(rng, OBJECTS, heldout)
    groups, relation, place = _groups(rng, OBJECTS, heldout)
    time = usual_time(groups) if rng.random() < 0.5 else rng.choice(TIMES)
    if time == "night" and any(g.thing == "sun" for g in groups):
        time = "sunset"
    weather = "clear" if rng.random() < 0.6 else rng.choice(WEATHERS)
    ground = usual_ground(groups, weather)
    if rng.random() < 0.22:
        ground = rng.choice(("meadow", "sand", "sea", "snow")) if weather != "snow" else "snow"
    return Scene(groups, relation, place, time, weather, ground, seed=rng.getrandbits(31))


def _plain_scene(rng: random.Random, names: list[str], heldout: bool | None) -> Scene:
    groups, relation, place = _groups(rng, names, heldout)
    used = {g.colour for g in groups}
    backdrop = "white" if rng.random() < 0.5 else rng.choice(BACKDROPS)
    if backdrop in used:
        backdrop = rng.choice([b for b in BACKDROPS if b not in used])
    return Scene(groups, relation, place, ground="plain", backdrop=backdrop, seed=rng.getrandbits(31))


def _extent(thing: str) -> tuple[float, float]:
    """Top and bottom of a thing's drawing, in units of its box."""
    ys = [y for shape in THINGS[thing].shapes for y in shape.points[:, 1]]
    return min(ys), max(ys)


def _row(group: int, g: Group, x: float, span: float, size: float, base: float, middle: float) -> list[Item]:
    """The group side by side over `span` pixels around `x`. What stands has its
    foot at `base`, everything else its middle at `middle`."""
    size *= THINGS[g.thing].size
    stands = THINGS[g.thing].home == "ground"
    y = base - size * (_extent(g.thing)[1] / 100 - 0.5) if stands else middle
    step = span / max(g.count - 1, 1)
    return [Item(group, x + (i - (g.count - 1) / 2) * step, y, size) for i in range(g.count)]


def layout(scene: Scene) -> list[Item]:
    """Where every thing goes, back to front, with the jitter of the scene's seed."""
    rng = random.Random(scene.seed)
    items = _slots(scene)
    # One jitter for the whole scene and a little for each thing keep rows level.
    dx, dy, grow = rng.uniform(-8, 8), rng.uniform(-5, 5), rng.uniform(0.94, 1.06)
    loose = scene.relation != "on"
    return [
        Item(i.group, i.x + dx + loose * rng.uniform(-4, 4), i.y + dy + loose * rng.uniform(-3, 3), i.size * grow)
        for i in items
    ]


def _slots(scene: Scene) -> list[Item]:
    groups, plain = scene.groups, scene.ground == "plain"
    sky = 128 if plain else 98
    base = 184 if plain else 222
    if len(groups) == 1:
        g = groups[0]
        x = {"middle": 128, "left": 72, "right": 184}[scene.place]
        size = {1: 122 if scene.place == "middle" else 98, 2: 86, 3: 64}[g.count]
        span = {1: 0, 2: 118, 3: 160}[g.count]
        return _row(0, g, x, span, size, base + 4 - (122 - size) * 0.3, sky)
    upper, lower = groups
    if scene.relation == "left":
        return _row(0, upper, 71, 0, 90, base - 4, sky) + _row(1, lower, 185, 0, 90, base - 4, sky)
    size = {1: 84, 2: 72, 3: 62}[lower.count]
    below = _row(1, lower, 128, {1: 0, 2: 104, 3: 156}[lower.count], size, 232, 188)
    if scene.relation == "above":
        size = 80 * THINGS[upper.thing].size
        return below + [Item(0, 128, 68, size)]
    return below + [_seated(upper, lower, below[0])]


def _seated(sitter: Group, seat: Group, under: Item) -> Item:
    """The sitter with its foot on the top of the seat."""
    top = under.y + under.size * (_extent(seat.thing)[0] / 100 - 0.5)
    size = 72 * THINGS[sitter.thing].size
    return Item(0, under.x, top + 7 - size * (_extent(sitter.thing)[1] / 100 - 0.5), size)
