"""The autoencoder's structure, and the judge's rules for right and wrong."""

import torch

from sparsedit.training.autoencoder import LatentDecoder, PatchEncoder
from sparsedit.training.judge import Judge, verdict
from sparsedit.training.judge_data import GRID, SIDE, THING_NAMES, truth
from sparsedit.training.judge_score import Found, Verdict, relation_right, report, score_picture
from sparsedit.training.world import Group, Scene, scene_attributes


def test_shapes_and_names():
    decoder = LatentDecoder()
    assert decoder(torch.zeros(2, 4, 4, 3)).shape == (2, 3, 32, 24)
    assert PatchEncoder()(torch.zeros(2, 3, 32, 24)).shape == (2, 4, 4, 3)
    names = set(decoder.state_dict())
    for name in ("post_quant_conv.weight", "decoder.mid_block.attentions.0.to_out.0.bias",
                 "decoder.up_blocks.2.upsamplers.0.conv.weight", "decoder.up_blocks.1.resnets.0.conv_shortcut.weight"):
        assert name in names
    assert sum(p.numel() for p in decoder.parameters()) < 1_000_000


def test_block_colours_are_white_over_the_data():
    torch.manual_seed(0)
    encoder = PatchEncoder()
    pixels = torch.rand(8, 3, 64, 64) * torch.tensor([0.2, 1.0, 0.6])[:, None, None]
    encoder.fit_colours(pixels)
    blocks = encoder.block_colour(pixels).transpose(0, 1).flatten(1)
    # The covariance of the sample it was fitted to is exact but for rounding.
    assert torch.allclose(torch.cov(blocks), torch.eye(3), atol=1e-3)


def judged(*found, time="day", weather="clear"):
    return Verdict([Found(thing, colour, x, y, 1.0) for thing, colour, x, y in found], time, weather)


def test_relations_need_both_objects_in_the_right_order():
    truth_ = scene_attributes(Scene((Group("cat", "red"), Group("sun", "blue")), relation="left"))
    assert relation_right(truth_, judged(("cat", "red", 0.3, 0.8), ("sun", "blue", 0.7, 0.5)))
    assert not relation_right(truth_, judged(("cat", "red", 0.7, 0.8), ("sun", "blue", 0.3, 0.5)))
    assert not relation_right(truth_, judged(("cat", "red", 0.45, 0.9), ("sun", "blue", 0.6, 0.2)))
    assert not relation_right(truth_, judged(("cat", "red", 0.3, 0.8)))


def test_equal_things_are_told_apart_by_colour():
    truth_ = scene_attributes(Scene((Group("cat", "red"), Group("cat", "blue")), relation="left"))
    assert relation_right(truth_, judged(("cat", "red", 0.3, 0.8), ("cat", "blue", 0.7, 0.8)))
    assert not relation_right(truth_, judged(("cat", "blue", 0.3, 0.8), ("cat", "red", 0.7, 0.8)))


def test_a_wrong_colour_is_a_wrong_object():
    truth_ = scene_attributes(Scene((Group("cat", "red", 2),), time="night"))
    right = score_picture(truth_, judged(("cat", "red", 0.3, 0.8), ("cat", "red", 0.7, 0.8), time="night"))
    wrong = score_picture(truth_, judged(("cat", "pink", 0.3, 0.8)))
    assert right["object_colour"] and right["count"] and right["time"]
    assert wrong["thing"] and not wrong["object_colour"] and not wrong["count"] and not wrong["time"]
    assert report([right, wrong])["object_colour"] == 50.0


def test_truth_marks_the_centre_in_the_window():
    scene = Scene((Group("square", "red"),), ground="plain")
    marks = truth(scene, (0.0, 0.0, 256.0))
    row, column = divmod(marks["heat"].argmax(), GRID)
    assert marks["heat"].max() == 1 and abs(row - GRID / 2) < 2 and abs(column - GRID / 2) < 2
    assert marks["thing"][row, column] == THING_NAMES.index("square")


def test_an_untrained_judge_gives_a_verdict():
    torch.manual_seed(0)
    seen = verdict(Judge().eval(), torch.zeros(1, 3, SIDE, SIDE))
    assert seen.time and seen.weather
