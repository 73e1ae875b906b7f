"""What is true of a scene, as data, and the prompts that test composition."""

from __future__ import annotations

import random

from .captions import caption
from .scene import Group, Scene, sample_scene, usual_ground
from .things import HELD_OUT


def scene_attributes(scene: Scene) -> dict:
    """The truth about a scene, ready for JSON.

    Groups come in the order left to right or top to bottom; `slot` is where a
    group lies: middle, left, right, top or bottom.
    """
    slots = {"none": (scene.place,), "left": ("left", "right")}.get(scene.relation, ("top", "bottom"))
    if len(scene.groups) == 3:
        slots = ("left", "middle", "right")
    return {
        "objects": [
            {"thing": g.thing, "colour": g.colour, "count": g.count, "slot": slot}
            for g, slot in zip(scene.groups, slots)
        ],
        "relation": scene.relation,
        "time": "none" if scene.ground == "plain" else scene.time,
        "weather": "none" if scene.ground == "plain" else scene.weather,
        "ground": scene.ground,
        "backdrop": scene.backdrop if scene.ground == "plain" else "none",
    }


def scene_of(row: dict, seed: int) -> Scene:
    """A scene of which the truth of a prompt is true."""
    groups = tuple(Group(o["thing"], o["colour"], o["count"]) for o in row["objects"])
    place = row["objects"][0]["slot"] if len(groups) == 1 else "middle"
    either = {key: row[key] if row[key] != "none" else usual for key, usual in
              (("time", "day"), ("weather", "clear"), ("backdrop", "white"))}
    return Scene(groups, row["relation"], place, ground=row["ground"], seed=seed, **either)


def _suits(scene: Scene, kind: str) -> bool:
    if not any((g.thing, g.colour) in HELD_OUT for g in scene.groups):
        return False
    single = len(scene.groups) == 1
    if kind == "object":
        return single and scene.weather == "clear" and scene.time in ("day", "night")
    if kind == "relation":
        return not single and scene.weather == "clear" and all(g.count == 1 for g in scene.groups)
    usual = scene.ground == usual_ground(scene.groups, scene.weather)
    return single and scene.ground != "plain" and usual and scene.time != "day" and scene.weather == "clear"


def heldout_prompts(n: int = 200, seed: int = 2024) -> list[dict]:
    """`n` prompts with their truth, each with a pair that training never showed.

    Kinds, by turns: one object, a relation, a time of day. Every colour is
    named. Keys: prompt, kind, and those of `scene_attributes`.
    """
    rng = random.Random(seed)
    out = []
    for i in range(n):
        kind = ("object", "relation", "time")[i % 3]
        scene = sample_scene(rng, heldout=True)
        while not _suits(scene, kind):
            scene = sample_scene(rng, heldout=True)
        text = caption(scene, rng, vague=False)
        while ((kind == "time" and not _names_time(text))
               or (kind == "relation" and scene.relation != "on" and _leaves_order_open(text))):
            text = caption(scene, rng, vague=False)
        out.append({"prompt": text, "kind": kind, **scene_attributes(scene)})
    return out


def _names_time(text: str) -> bool:
    words = ("morning", "dawn", "sunset", "evening", "dusk", "night")
    return any(w in text for w in words)


def _leaves_order_open(text: str) -> bool:
    """"next to" and a bare "and" do not say which thing is where."""
    said = ("left", "right", "above", "below", "under", "over", "beneath")
    return not any(w in text for w in said)


# One round of the test set; a prefix of it of any length has all kinds.
TEST_ROUND = (
    "object", "count", "relation", "count_relation", "time", "object", "relation", "count_relation", "three",
    "heldout_object", "count", "count_relation", "weather", "synonym", "heldout_relation", "count_relation", "object",
    "time", "relation", "count", "count_relation", "three", "weather", "heldout_object", "count_relation",
)
# How many of the first and of the second thing the prompts of kind "count_relation" have, by turns.
TEST_COUNTS = ((2, 1), (1, 2), (3, 1), (1, 3), (2, 2))


def test_prompts(n: int = 1200, seed: int = 1313) -> list[dict]:
    """`n` prompts with their truth, every kind that TEST_ROUND names, none of them twice.

    Every colour is named, and every order that is judged. Keys as of `heldout_prompts`.
    """
    rng = random.Random(seed)
    out, seen = [], set()
    while len(out) < n:
        kind = TEST_ROUND[len(out) % len(TEST_ROUND)]
        scene = _test_scene(rng, kind, len(out))
        text = caption(scene, rng, vague=False)
        if text.lower() in seen or not _says(text, scene, kind):
            continue
        seen.add(text.lower())
        out.append({"prompt": text, "kind": kind, **scene_attributes(scene)})
    return out


def _test_scene(rng: random.Random, kind: str, turn: int) -> Scene:
    wanted = TEST_COUNTS[turn // len(TEST_ROUND) % len(TEST_COUNTS)]
    while True:
        scene = sample_scene(rng, heldout=kind.startswith("heldout"))
        if _fits(scene, kind.removeprefix("heldout_"), wanted):
            return scene


def _fits(scene: Scene, kind: str, wanted: tuple[int, int]) -> bool:
    """Whether the scene asks what prompts of the kind ask, and nothing harder beside it."""
    counts = tuple(g.count for g in scene.groups)
    usual = scene.ground == usual_ground(scene.groups, scene.weather)
    plain, clear = scene.ground == "plain", scene.weather == "clear"
    calm = plain or (clear and usual and scene.time in ("day", "night"))
    if kind == "time":
        return counts == (1,) and not plain and clear and scene.time != "day"
    if kind == "weather":
        return counts == (1,) and not plain and not clear
    if kind == "three":
        return len(counts) == 3 and calm
    if kind == "relation":
        return counts == (1, 1) and calm
    if kind == "count_relation":
        return counts == wanted and calm
    if kind == "count":
        return len(counts) == 1 and counts[0] > 1 and calm
    return counts == (1,) and scene.place == "middle" and calm


def _says(text: str, scene: Scene, kind: str) -> bool:
    """Whether the wording leaves nothing open that is judged."""
    if kind == "synonym":
        return not any(g.thing in text.lower() for g in scene.groups)
    if kind == "three":
        return "left to right" in text
    if kind == "time":
        return _names_time(text)
    if scene.relation in ("left", "above"):
        return not _leaves_order_open(text)
    return True
