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
# How many of the first and of the second thing there are; one of each is as likely as all else together.
COUNT_PAIRS = {
    "left": ((1, 1),) * 6 + ((2, 1), (1, 2), (2, 2), (3, 1), (1, 3), (2, 1)),
    "above": ((1, 1),) * 7 + ((2, 1), (1, 2), (2, 2), (3, 1), (1, 3), (3, 2), (2, 3)),
}


@dataclass(frozen=True)
class Group:
    """One to four equal things."""

    thing: str
    colour: str
    count: int = 1


@dataclass(frozen=True)
class Scene:
    """Everything that is drawn.

    With two groups, `relation` says how the first lies to the second: left of
    it, above it, or on it. Three groups lie side by side, "left" then says
    that they come from left to right. `place` is where a single thing stands.
    `backdrop` is the colour behind a scene whose ground is "plain". `seed`
    decides jitter and the look of the land, nothing that a caption may mention.
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
    kind = rng.choices(("one", "many", "left", "above", "on", "three"), (38, 15, 18, 18, 4, 7))[0]
    if kind == "one":
        place = rng.choices(PLACES, (84, 8, 8))[0]
        return (_group(rng, names, heldout),), "none", place
    if kind == "many":
        return (_group(rng, names, heldout, rng.choice((2, 3, 4))),), "none", "middle"
    if kind == "on" and names is not PLAIN:
        return (_group(rng, SITTERS, heldout), _group(rng, SEATS, other)), "on", "middle"
    first = _group(rng, names, heldout)
    second = _other(rng, names, other, (first,))
    if kind == "three":
        row = [first, second, _other(rng, names, other, (first, second))]
        rng.shuffle(row)
        return tuple(row), "left", "middle"
    counts = rng.choice(COUNT_PAIRS["left" if kind == "left" else "above"])
    counted = tuple(replace(g, count=n) for g, n in zip((first, second), counts))
    if kind == "left":
        return counted if rng.random() < 0.5 else counted[::-1], "left", "middle"
    return _stacked(rng, *counted), "above", "middle"


def _other(rng: random.Random, names: list[str], heldout: bool | None, taken: tuple[Group, ...]) -> Group:
    """One more group for a scene: another thing, or at times the same in another colour."""
    while True:
        group = _group(rng, names, heldout)
        same = [g for g in taken if g.thing == group.thing]
        if not same or (all(g.colour != group.colour for g in same) and rng.random() < 0.4):
            return group


def _stacked(rng: random.Random, first: Group, second: Group) -> tuple[Group, Group]:
    """The two groups, upper one first; what flies is mostly the upper one."""
    flies = [THINGS[g.thing].home == "sky" for g in (first, second)]
    if flies[0] == flies[1]:
        swap = rng.random() < 0.5
    else:
        swap = flies[1] != (rng.random() < 0.1)
    return (second, first) if swap else (first, second)


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
    dx, dy, grow = rng.uniform(-10, 10), rng.uniform(-6, 6), rng.uniform(0.88, 1.06)
    loose = scene.relation != "on"
    return [
        Item(i.group, i.x + dx + loose * rng.uniform(-4, 4), i.y + dy + loose * rng.uniform(-3, 3), i.size * grow)
        for i in items
    ]


# Length of 100 units and distance between the outermost things, by how many there are.
ALONE = {1: (122, 0), 2: (86, 118), 3: (64, 160), 4: (47, 174)}
UPPER = {1: (80, 0), 2: (66, 104), 3: (56, 150)}
LOWER = {1: (84, 0), 2: (72, 104), 3: (62, 156)}
# Middle, length and distance of what is left and right, by how many there are of each; mirrored where the
# first is the smaller number.
BESIDE = {
    (1, 1): ((71, 90, 0), (185, 90, 0)),
    (2, 1): ((76, 56, 66), (196, 84, 0)),
    (2, 2): ((68, 50, 60), (188, 50, 60)),
    (3, 1): ((84, 44, 106), (208, 70, 0)),
}


def _slots(scene: Scene) -> list[Item]:
    groups, plain = scene.groups, scene.ground == "plain"
    sky = 128 if plain else 98
    base = 184 if plain else 222
    if len(groups) == 1:
        g = groups[0]
        x = {"middle": 128, "left": 72, "right": 184}[scene.place]
        size, span = ALONE[g.count]
        size = size if scene.place == "middle" else 98
        return _row(0, g, x, span, size, base + 4 - (122 - size) * 0.3, sky)
    if len(groups) == 3:
        return [i for k, g in enumerate(groups) for i in _row(k, g, 46 + 82 * k, 0, 64, base - 10, sky)]
    upper, lower = groups
    if scene.relation == "left":
        return _beside(groups, base - 4, sky)
    size, span = LOWER[lower.count]
    below = _row(1, lower, 128, span, size, 232, 188)
    if scene.relation == "above":
        size, span = UPPER[upper.count]
        size *= THINGS[upper.thing].size
        step = span / max(upper.count - 1, 1)
        return below + [Item(0, 128 + (i - (upper.count - 1) / 2) * step, 68, size) for i in range(upper.count)]
    return below + [_seated(upper, lower, below[0])]


def _beside(groups: tuple[Group, ...], base: float, sky: float) -> list[Item]:
    """Two groups side by side, the one with more things in the wider half."""
    counts = (groups[0].count, groups[1].count)
    places = BESIDE.get(counts) or tuple((256 - x, size, span) for x, size, span in BESIDE[counts[::-1]][::-1])
    return [
        item
        for k, (g, (x, size, span)) in enumerate(zip(groups, places))
        for item in _row(k, g, x, span, size, base - (90 - size) * 0.2, sky)
    ]


def _seated(sitter: Group, seat: Group, under: Item) -> Item:
    """The sitter with its foot on the top of the seat."""
    top = under.y + under.size * (_extent(seat.thing)[0] / 100 - 0.5)
    size = 72 * THINGS[sitter.thing].size
    return Item(0, under.x, top + 7 - size * (_extent(sitter.thing)[1] / 100 - 0.5), size)
