"""A picture-book world that can be drawn without end: scenes, pictures, captions, truth.

    rng = random.Random(0)
    scene = sample_scene(rng)
    pixels = render(scene)              # uint8 [256, 256, 3]
    text = caption(scene, rng)
    truth = scene_attributes(scene)
"""

from .captions import caption
from .palette import COLOURS
from .prompts import heldout_prompts, scene_attributes, scene_of, test_prompts
from .render import render, scene_labels
from .scene import BACKDROPS, GROUNDS, PLACES, RELATIONS, TIMES, WEATHERS, Group, Scene, sample_scene
from .things import HELD_OUT, THINGS

__all__ = [
    "BACKDROPS", "COLOURS", "GROUNDS", "HELD_OUT", "PLACES", "RELATIONS", "THINGS", "TIMES", "WEATHERS",
    "Group", "Scene", "caption", "heldout_prompts", "render", "sample_scene", "scene_attributes",
    "scene_labels", "scene_of", "test_prompts",
]
