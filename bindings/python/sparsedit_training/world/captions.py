"""Sentences about scenes. They say nothing that is not drawn."""

from __future__ import annotations

import random

from .scene import Group, Scene, usual_ground, usual_time
from .things import THINGS

NUMBERS = {2: ("two", "two", "two", "two", "2", "a pair of"), 3: ("three", "three", "three", "3"),
           4: ("four", "four", "four", "4")}
PLURALS = {"fish": "fish", "bus": "buses", "cross": "crosses", "butterfly": "butterflies", "fortress": "fortresses",
           "puppy": "puppies", "bunny": "bunnies"}
# Other words for a colour, and how often they take its place.
COLOUR_WORDS = {"gray": ("grey", 0.3), "purple": ("violet", 0.12), "teal": ("turquoise", 0.15)}
TIME_PHRASES = {
    "day": ("during the day", "by day"),
    "morning": ("in the morning", "in the morning", "at dawn", "early in the morning"),
    "sunset": ("at sunset", "at sunset", "in the evening", "at dusk"),
    "night": ("at night", "at night", "in the night"),
}
TIME_NAMES = {"day": ("day",), "morning": ("morning",), "sunset": ("evening", "sunset"), "night": ("night",)}
WEATHER_PHRASES = {
    "rain": ("in the rain", "in the rain", "while it rains"),
    "snow": ("in the snow", "in falling snow", "while it snows"),
    "fog": ("in the fog", "in the fog", "in the mist"),
}
WEATHER_NAMES = {"clear": "clear", "rain": "rainy", "snow": "snowy", "fog": "foggy"}
GROUND_PHRASES = {
    "meadow": ("on the grass", "in a meadow", "on a green meadow"),
    "sand": ("on the beach", "on the sand", "in the desert"),
    "sea": ("on the sea", "on the water", "at sea"),
    "snow": ("on a snowy field", "on snowy ground", "on white snow"),
}
PLACE_PHRASES = {"left": "on the left", "right": "on the right"}
FRAMES = ("{}",) * 14 + (
    "a picture of {}", "a drawing of {}", "there is {}", "an illustration of {}", "{}, flat illustration", "draw {}",
    "a scene with {}",
)


def article(noun: str) -> str:
    """The noun with "a" or "an"."""
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def plural(noun: str) -> str:
    """The noun for more than one."""
    return PLURALS.get(noun, noun + "s")


def noun_phrase(group: Group, rng: random.Random, vague: bool = True) -> str:
    """The group in words, such as "two red houses"; with `vague`, a natural
    colour is left out at times."""
    spec = THINGS[group.thing]
    name = rng.choice(spec.names) if spec.names else group.thing
    colour = group.colour
    if colour in COLOUR_WORDS and rng.random() < COLOUR_WORDS[colour][1]:
        colour = COLOUR_WORDS[colour][0]
    if vague and group.colour in spec.natural and spec.home != "plain" and rng.random() < 0.35:
        colour = ""
    if group.count > 1:
        name = plural(name)
        number = rng.choice(NUMBERS[group.count])
        if colour and rng.random() < 0.06:
            return f"{number} {name} that are {colour}"
        return f"{number} {colour} {name}".replace("  ", " ")
    if group.thing == "sun" and not colour:
        return "the sun"
    if colour and rng.random() < 0.06:
        return f"{article(name)} that is {colour}"
    return article(f"{colour} {name}".strip())


def related(scene: Scene, rng: random.Random, vague: bool = True) -> str:
    """The things and how they lie to each other."""
    if len(scene.groups) == 1:
        text = noun_phrase(scene.groups[0], rng, vague)
        return f"{text} {PLACE_PHRASES[scene.place]}" if scene.place != "middle" else text
    if len(scene.groups) == 3:
        return _row_of_three(*(noun_phrase(g, rng, vague) for g in scene.groups), rng)
    a, b = (noun_phrase(g, rng, vague) for g in scene.groups)
    if scene.relation == "left":
        forms = (
            f"{a} to the left of {b}", f"{a} left of {b}", f"{b} to the right of {a}", f"{b} right of {a}",
            f"{a} on the left and {b} on the right", f"{a} and {b}", f"{a} next to {b}", f"{a} beside {b}",
            f"to the left of {b} {_verb(scene.groups[0])} {a}", f"on the left {a}, on the right {b}",
        )
        return rng.choices(forms, (5, 3, 5, 3, 2, 2, 1, 1, 1, 1))[0]
    if scene.relation == "on":
        return rng.choice((f"{a} on {b}", f"{a} on top of {b}", f"{a} sitting on {b}"))
    forms = (
        f"{a} above {b}", f"{b} below {a}", f"{b} under {a}", f"{a} over {b}", f"{b} beneath {a}",
        f"above {b} {_verb(scene.groups[0])} {a}", f"{b} with {a} above",
    )
    return rng.choices(forms, (5, 3, 5, 2, 1, 1, 1))[0]


def _verb(group: Group) -> str:
    return "is" if group.count == 1 else "are"


def _row_of_three(a: str, b: str, c: str, rng: random.Random) -> str:
    forms = (
        f"{a}, {b} and {c}", f"{a}, {b} and {c} from left to right", f"from left to right {a}, {b} and {c}",
        f"{b} between {a} and {c}", f"{a} next to {b} and {c}",
    )
    return rng.choices(forms, (4, 2, 2, 3, 1))[0]


def _circumstances(scene: Scene, rng: random.Random) -> tuple[list[str], list[str]]:
    """Phrases that follow the things, and those that can also open the sentence."""
    ground = usual_ground(scene.groups, scene.weather)
    tail, free = [], []
    if scene.ground != ground or rng.random() < 0.12:
        tail.append(rng.choice(GROUND_PHRASES[scene.ground]))
    say_time = scene.time != usual_time(scene.groups) or rng.random() < (0.06 if scene.time == "day" else 0.4)
    # "clear" is used seldom, because a caption without weather means clear weather.
    say_weather = scene.weather != "clear" or rng.random() < 0.05
    if say_time and say_weather and rng.random() < 0.7:
        mood = f"{WEATHER_NAMES[scene.weather]} {rng.choice(TIME_NAMES[scene.time])}"
        free.append(f"on {article(mood)}")
    else:
        if say_weather:
            sky = "under a clear sky" if scene.weather == "clear" else rng.choice(WEATHER_PHRASES[scene.weather])
            free.append(sky)
        if say_time:
            free.append(rng.choice(TIME_PHRASES[scene.time]))
    return tail, free


def caption(scene: Scene, rng: random.Random, vague: bool = True) -> str:
    """One sentence about the scene, by chance one of many wordings.

    Time and weather that are not mentioned are a clear day (a clear night
    where a moon or a star is shown); a colour is left out only where it is a
    natural one for the thing.
    """
    text = related(scene, rng, vague)
    if scene.ground == "plain":
        if scene.backdrop != "white" or usual_ground(scene.groups, scene.weather) != "plain" or rng.random() < 0.5:
            text += f" on {article(scene.backdrop)} background"
    else:
        tail, free = _circumstances(scene, rng)
        text = " ".join([text, *tail])
        if len(free) == 1 and free[0].startswith("on a") and rng.random() < 0.35:
            text = f"{free[0].removeprefix('on ')} with {text}"
        elif free and rng.random() < 0.12:
            text = f"{', '.join(free)}, {text}"
        else:
            text = " ".join([text, *free])
    return _finish(text, scene, rng)


def _finish(text: str, scene: Scene, rng: random.Random) -> str:
    """Frame, capital and full stop as people write them."""
    frame = rng.choice(FRAMES)
    if frame.startswith("there") and scene.groups[0].count > 1:
        frame = "{}"
    if frame != "{}" and not text.startswith(("a ", "an ", "the ", "two ", "three ", "four ")):
        frame = "{}"
    text = frame.format(text)
    if frame == "{}" and rng.random() < 0.12:
        text = text.removeprefix("a ").removeprefix("an ")
    if rng.random() < 0.2:
        text = text[0].upper() + text[1:]
    return text + "." if rng.random() < 0.15 else text
