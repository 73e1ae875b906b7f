"""Writes the list of words that a model of the training world knows.

    python -m sparsedit_training.words FOLDER/words.json

The command line shows it with --words, and says of a prompt's word that is not in it that the model does not know it.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from pathlib import Path

from .world import BACKDROPS, COLOURS, THINGS, caption, captions, sample_scene

# Words that name nothing that could be drawn. No caption has them, but prompts may.
FILLERS = ("the this my your our some very just and or with please show me paint make image illustration photo "
           "art of").split()


def kinds() -> dict[str, list[str]]:
    """What the world has, by kind, in the words of its captions."""
    things = {name for thing, spec in THINGS.items() for name in (spec.names or (thing,))}
    colours = [*COLOURS, *(word for word, _ in captions.COLOUR_WORDS.values())]
    grounds = [phrase for phrases in captions.GROUND_PHRASES.values() for phrase in phrases]
    times = [phrase for phrases in captions.TIME_PHRASES.values() for phrase in phrases]
    weathers = [phrase for phrases in captions.WEATHER_PHRASES.values() for phrase in phrases]
    return {
        "things": sorted(things),
        "colours": colours,
        "places": [*dict.fromkeys(grounds), *captions.PLACE_PHRASES.values(),
                   *(f"on a {b} background" for b in BACKDROPS)],
        "times": [*dict.fromkeys(times)],
        "weathers": [*dict.fromkeys(weathers), "under a clear sky"],
    }


def word_list(count: int = 40_000) -> dict[str, list[str]]:
    """`kinds`, and under "other" every further word of `count` captions: plurals, numbers, relations."""
    rng = random.Random(7)
    listed = kinds()
    known = {word for phrases in listed.values() for phrase in phrases for word in _split(phrase)}
    said = {word for _ in range(count) for word in _split(caption(sample_scene(rng, heldout=None), rng))}
    return listed | {"other": sorted((said | set(FILLERS)) - known)}


def _split(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sparsedit_training.words", description=__doc__.splitlines()[0])
    parser.add_argument("to", type=Path)
    to = parser.parse_args().to
    to.write_text(json.dumps(word_list(), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
