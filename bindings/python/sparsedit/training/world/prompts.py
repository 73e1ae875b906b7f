"""What is true of a scene, as data, and the prompts that test composition."""

from __future__ import annotations

import random

from .captions import caption
from .scene import Scene, sample_scene, usual_ground
from .things import HELD_OUT


def scene_attributes(scene: Scene) -> dict:
    """The truth about a scene, ready for JSON.

    Groups come in the order left to right or top to bottom; `slot` is where a
    group lies: middle, left, right, top or bottom.
    """
    slots = {"none": (scene.place,), "left": ("left", "right")}.get(scene.relation, ("top", "bottom"))
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
        while (kind == "time" and not _names_time(text)) or (kind == "relation" and scene.relation != "on" and _leaves_order_open(text)):
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
