"""From what the judge found in a picture to right or wrong, and to percentages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Found:
    """A thing in a picture; x to the right and y down, 0…1, of its middle."""

    thing: str
    colour: str
    x: float
    y: float
    sure: float


@dataclass(frozen=True)
class Verdict:
    """Everything the judge says about one picture."""

    found: list[Found]
    time: str
    weather: str


def _matches(wanted: dict, verdict: Verdict, colour: bool = True) -> list[Found]:
    return [f for f in verdict.found if f.thing == wanted["thing"] and (not colour or f.colour == wanted["colour"])]


def _middle(found: list[Found]) -> tuple[float, float]:
    return sum(f.x for f in found) / len(found), sum(f.y for f in found) / len(found)


def relation_right(truth: dict, verdict: Verdict) -> bool:
    """Whether each object lies to the next one as the truth says.

    All must be there. The distance in the direction that is asked for must be at least 0.6 times the other one,
    since a balloon beside a house flies higher. Where both are the same thing, colour tells them apart.
    """
    wanted = truth["objects"]
    names = [w["thing"] for w in wanted]
    places = [
        _matches(w, verdict, colour=True)
        or (_matches(w, verdict, colour=False) if names.count(w["thing"]) == 1 else [])
        for w in wanted
    ]
    if not all(places):
        return False
    middles = [_middle(p) for p in places]
    for (x0, y0), (x1, y1) in zip(middles, middles[1:]):
        right, down = x1 - x0, y1 - y0
        along, across = (right, down) if truth["relation"] == "left" else (down, right)
        if along <= 0.12 or along < 0.6 * abs(across):
            return False
    return True


def score_picture(truth: dict, verdict: Verdict) -> dict:
    """Right or wrong by question; None where the truth does not ask it."""
    wanted = truth["objects"]
    hits = [bool(_matches(w, verdict)) for w in wanted]
    things = [bool(_matches(w, verdict, colour=False)) for w in wanted]
    counts = [len(_matches(w, verdict)) == w["count"] for w in wanted]
    asked = truth["time"] != "none"
    relation = relation_right(truth, verdict) if truth["relation"] != "none" else None
    several = relation is not None and any(w["count"] > 1 for w in wanted)
    return {
        "prompt": truth.get("prompt", ""),
        "kind": truth.get("kind", ""),
        "object_colour": all(hits),
        "thing": all(things),
        "each_object": sum(hits) / len(hits),
        "count": all(counts),
        "nothing_else": len(verdict.found) == sum(w["count"] for w in wanted),
        "relation": relation,
        "count_relation": relation and all(counts) if several else None,
        "time": verdict.time == truth["time"] if asked else None,
        "weather": verdict.weather == truth["weather"] if asked else None,
        "saw": [f"{f.colour} {f.thing} at {f.x:.2f}, {f.y:.2f}" for f in verdict.found],
        "saw_air": [verdict.time, verdict.weather],
    }


def report(results: list[dict]) -> dict:
    """Percentages over the pictures that were asked each question.

    `object_colour` counts a picture only if every object that was asked for is
    there in its colour. `time` is over all pictures with a sky, also where the
    prompt leaves the usual time unsaid; `relation_or_time` is stricter: relations
    and, of the prompts of kind "time", the time of day that they name.
    """
    def percent(values: list) -> float | None:
        values = [v for v in values if v is not None]
        return round(100 * sum(values) / len(values), 2) if values else None

    out: dict = {"pictures": len(results)}
    for name in ("object_colour", "thing", "each_object", "count", "nothing_else", "relation", "count_relation",
                 "time", "weather"):
        out[name] = percent([r[name] for r in results])
    named = [r["time"] for r in results if r["kind"] in ("time", "")]
    out["relation_or_time"] = percent([r["relation"] for r in results] + named)
    return out
