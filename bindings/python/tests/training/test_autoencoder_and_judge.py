"""The autoencoder's structure, and the judge's rules for right and wrong."""

import random
import shutil

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from sparsedit_training import pca, vae
from sparsedit_training.autoencoder import BLOCK_CONFIG, LatentDecoder, PatchEncoder, pass_latents_through
from sparsedit_training.figures import difference, frechet, sharpness
from sparsedit_training.judge import Judge, verdict
from sparsedit_training.judge_data import GRID, SIDE, THING_NAMES, truth
from sparsedit_training.judge_score import Found, Verdict, relation_right, report, score_picture
from sparsedit_training.world import Group, Scene, render, sample_scene, scene_attributes, scene_of


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


def test_a_block_encoder_keeps_what_its_components_see(tmp_path):
    """Latents of deviation one, an inverse, and the power that says how small small components stay."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (6, 4, 4, 3), dtype=np.uint8).repeat(8, 1).repeat(8, 2)
    pictures[:, ::2] //= 2
    pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
    encoder = pca.fit(pictures, 6, power=0.5)
    latents = encoder(pixels)
    assert latents.shape == (6, 6, 4, 4)
    torch.testing.assert_close(latents.square().mean(), torch.tensor(1.0), rtol=0.05, atol=0)
    torch.testing.assert_close(latents.mean((0, 2, 3)), torch.zeros(6), rtol=0, atol=1e-3)
    # Blocks of two colours a channel have six degrees of freedom at most: all of the deviation is kept.
    back = encoder.linear_decode(latents)
    offset = (back - pixels).mean(0, keepdim=True)
    assert (back - pixels - offset).abs().max() < 0.02
    spread = [pca.fit(pictures, 6, power).weight for power in (0.0, 1.0)]
    deviation = [F.conv2d(pixels, w, stride=8).std((0, 2, 3)) for w in spread]
    assert deviation[0].max() / deviation[0].min() < 1.05 < deviation[1].max() / deviation[1].min()


def test_the_decoder_of_block_latents():
    decoder = LatentDecoder(BLOCK_CONFIG)
    assert decoder(torch.zeros(1, 16, 4, 3)).shape == (1, 3, 32, 24)
    assert not any("attentions" in name for name in decoder.state_dict())


def test_a_decoder_is_taught_resumed_and_taken_up_again(tmp_path):
    """A new decoder hands latents through; training makes it better; a new run can start from what was exported."""
    rng = random.Random(1)
    pictures = np.stack([render(sample_scene(rng)) for _ in range(8)])
    encoder = pca.fit(pictures, 16, 0.75)
    run = tmp_path / "run"
    run.mkdir()
    save_file({k: v.contiguous() for k, v in encoder.state_dict().items()}, run / "encoder.safetensors",
              metadata={"scaling_factor": "1.0"})

    def command(*arguments):
        args = vae.parser().parse_args([str(a) for a in arguments])
        args.work(args)

    pixels = vae.to_pixels(pictures[:2, :64, :64])

    def error(folder):
        with torch.no_grad():
            return (vae.Run(folder, 0.0).averaged("codec")(encoder(pixels)) - pixels).abs().mean().item()

    codec = LatentDecoder(BLOCK_CONFIG)
    pass_latents_through(codec)
    seen = {}
    codec.decoder.conv_norm_out.register_forward_pre_hook(lambda _, inputs: seen.update(last=inputs[0]))
    latents = torch.randn(1, 16, 3, 4)
    codec(latents)
    handed = latents.repeat_interleave(8, 2).repeat_interleave(8, 3)[:, :, 12:-12, 12:-12]
    bias = codec.decoder.conv_in.bias[:16, None, None]
    torch.testing.assert_close(seen["last"][:, :, 12:-12, 12:-12], handed + bias, rtol=0, atol=1e-4)

    teach = ["train", run, "--decoder-only", "--batch", "4", "--save-every", "5"]
    command(*teach, "--steps", "1")
    before = error(run)
    command(*teach, "--steps", "25")
    assert error(run) < 0.9 * before
    command("export", run, tmp_path / "vae")
    again = tmp_path / "again"
    again.mkdir()
    shutil.copy(run / "encoder.safetensors", again)
    command("train", again, *teach[2:], "--start", tmp_path / "vae", "--steps", "1", "--lr", "0")
    assert abs(error(again) - error(run)) < 1e-4


def test_figures_compare_with_renders():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(400, 5))
    assert frechet(a, a) < 1e-6
    # A moved mean costs its square, a doubled deviation (2 − 1)² a dimension.
    assert abs(frechet(a, a + 3) - 45) < 1e-6 and abs(frechet(a, 2 * (a - a.mean(0)) + a.mean(0)) - 5) < 0.5
    flat, edge = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8)
    edge[:, 4:] = 200
    assert sharpness(flat) == 0 < sharpness(edge)
    mean, low, high = difference([False] * 60 + [True] * 40, [False] * 40 + [True] * 60)
    assert mean == 20 and 10 < low < 20 < high < 30
    row = scene_attributes(Scene((Group("cat", "red", 2), Group("sun", "blue")), "above", time="night", seed=5))
    assert scene_attributes(scene_of(row, 9)) == row


def judged(*found, time="day", weather="clear"):
    return Verdict([Found(thing, colour, x, y, 1.0) for thing, colour, x, y in found], time, weather)


def test_relations_need_both_objects_in_the_right_order():
    truth_ = scene_attributes(Scene((Group("cat", "red"), Group("sun", "blue")), relation="left"))
    assert relation_right(truth_, judged(("cat", "red", 0.3, 0.8), ("sun", "blue", 0.7, 0.5)))
    assert not relation_right(truth_, judged(("cat", "red", 0.7, 0.8), ("sun", "blue", 0.3, 0.5)))
    assert not relation_right(truth_, judged(("cat", "red", 0.45, 0.9), ("sun", "blue", 0.6, 0.2)))
    assert not relation_right(truth_, judged(("cat", "red", 0.3, 0.8)))


def test_a_row_of_three_and_its_counts():
    groups = (Group("cat", "red"), Group("sun", "blue"), Group("cat", "pink"))
    truth_ = scene_attributes(Scene(groups, relation="left"))
    row = [("cat", "red", 0.2, 0.8), ("sun", "blue", 0.5, 0.4), ("cat", "pink", 0.8, 0.8)]
    assert relation_right(truth_, judged(*row))
    assert not relation_right(truth_, judged(row[0], row[2]))
    swapped = [("cat", "red", 0.8, 0.8), ("sun", "blue", 0.5, 0.4), ("cat", "pink", 0.2, 0.8)]
    assert not relation_right(truth_, judged(*swapped))
    assert score_picture(truth_, judged(*row))["count_relation"] is None
    two = scene_attributes(Scene((Group("cat", "red", 2), Group("sun", "blue")), relation="left"))
    pair = [("cat", "red", 0.1, 0.8), ("cat", "red", 0.3, 0.8)]
    assert score_picture(two, judged(*pair, ("sun", "blue", 0.8, 0.5)))["count_relation"]
    assert not score_picture(two, judged(pair[0], ("sun", "blue", 0.8, 0.5)))["count_relation"]


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
