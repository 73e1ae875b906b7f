"""The command line of the training kit, end to end on tiny models: training, resuming, converting, fine-tuning."""

import json
import random
import re
import signal
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from sparsedit_training import train as training
from sparsedit_training.autoencoder import LatentDecoder
from sparsedit_training.config import BackboneConfig
from sparsedit_training.data import LatentChunks
from sparsedit_training.export import load_transformer, save_pipeline, save_text_encoder
from sparsedit_training.half import HalfTwin
from sparsedit_training.kl_encoder import LatentEncoder, load_encoder
from sparsedit_training.model import SparseDiT
from sparsedit_training.objective import losses
from sparsedit_training.optimizer import orthogonalize
from sparsedit_training.runs import averaged_models
from sparsedit_training.t5 import T5Config, T5Encoder
from sparsedit_training.tokenizer import Tokenizer, save_tokenizer, train_vocabulary
from sparsedit_training.train import main

VAE = {"in_channels": 3, "out_channels": 3, "latent_channels": 4, "block_out_channels": [8, 8, 8, 8],
       "layers_per_block": 1, "norm_num_groups": 4, "act_fn": "silu", "scaling_factor": 0.5,
       "down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4}
TINY = '{"poolingformer": 1, "modules": 1, "module_layout": [1, 1, 1, 1], "top": 1}'


@pytest.fixture
def train(monkeypatch, capsys):
    """Runs the command line in this process and gives what it printed."""
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["train", *map(str, arguments)])
        main()
        return capsys.readouterr().out
    return run


@pytest.fixture
def vocabulary(tmp_path):
    save_tokenizer(tmp_path / "tokenizer", train_vocabulary(["a red house", "two blue cats at night"] * 20, 60))
    return tmp_path / "tokenizer"


@pytest.fixture
def pixart(tmp_path, vocabulary):
    """A tiny random PixArt folder with size conditions, epsilon prediction and a learned variance."""
    torch.manual_seed(1)
    size = Tokenizer(vocabulary).model.get_piece_size()
    backbone = SparseDiT(dict(num_attention_heads=2, attention_head_dim=12, num_layers=6, sample_size=8,
                              cross_attention_dim=24, caption_channels=16, use_additional_conditions=True))
    vae = tmp_path / "vae"
    vae.mkdir()
    (vae / "config.json").write_text(json.dumps(VAE))
    weights = LatentDecoder(VAE).state_dict() | LatentEncoder(VAE).state_dict()
    save_file({k: v.contiguous() for k, v in weights.items()}, vae / "diffusion_pytorch_model.safetensors")
    encoder = T5Encoder(T5Config(size, 16, 8, 2, 24, 2))
    save_pipeline(tmp_path / "pixart", backbone, encoder, vocabulary, vae, half=False)
    settings = tmp_path / "pixart/scheduler/scheduler_config.json"
    settings.write_text(settings.read_text().replace("v_prediction", "epsilon"))
    return tmp_path / "pixart"


@pytest.fixture
def images(tmp_path):
    """Three pictures with captions beside them, and one without."""
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(4):
        pixels = np.random.default_rng(i).integers(0, 255, (70 + 10 * i, 90, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
        if i < 3:
            (folder / f"{i}.txt").write_text("a red house " * (i + 1))
    return folder


def test_finetune_a_pixart_folder(train, tmp_path, pixart, images):
    """Dense → sparse, fine-tuned on a captions+images folder, resumed, and written as a folder again."""
    arguments = [tmp_path / "run", "--model", pixart, "--images", images, "--sparse", "--sparsity", TINY, "--batch",
                 "2", "--log-every", "1", "--warmup", "1", "--export", tmp_path / "out"]
    first = train(*arguments, "--steps", "3")
    assert "new run" in first and "step 3 images 6" in first
    assert "step 5" in train(*arguments, "--steps", "2", "--decay")
    assert re.search("step 6 .* loss .* taught", train(*arguments, "--steps", "1", "--teacher", pixart))
    assert len(list((tmp_path / "run/features").glob("*.safetensors"))) == 4  # three pictures, the empty caption
    tuned, before = load_transformer(tmp_path / "out"), load_transformer(pixart, json.loads(TINY))
    assert tuned.config.roles() == before.config.roles()
    assert tuned.config.schedule.kind == "quarters"
    moved = [not torch.equal(a, b) for a, b in zip(tuned.state_dict().values(), before.state_dict().values())]
    assert sum(moved) > len(moved) // 2
    for part in ("text_encoder/model.safetensors", "tokenizer/spiece.model", "vae/config.json", "model_index.json"):
        assert (tmp_path / "out" / part).read_bytes() == (pixart / part).read_bytes()


def test_metadata_jsonl(train, tmp_path, pixart, images):
    rows = [{"file_name": f"{i}.png", "text": "a blue cat"} for i in range(4)]
    (images / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    train(tmp_path / "run", "--model", pixart, "--images", images, "--size", "64", "48", "--batch", "4", "--steps", 1)
    files = [p for p in (tmp_path / "run/features").glob("*.safetensors") if p.name != "empty.safetensors"]
    assert len(files) == 4
    values = load_file(files[0])
    assert values["latents"].shape == (4, 8, 6) and values["resolution"].tolist() == [64.0, 48.0]
    assert values["aspect_ratio"].tolist() == pytest.approx([64 / 48])


def test_train_the_default_model(train, tmp_path, vocabulary, pixart, monkeypatch):
    """Latent chunks: a new run, a resumed one, conversion to sparse with fine-tuning, a start from a folder."""
    # The default model on 16 tokens in place of 256.
    monkeypatch.setattr(training, "BACKBONE", training.BACKBONE | {"sample_size": 8})
    data, rng = tmp_path / "latents", random.Random(0)
    data.mkdir()
    (data / "dataset.json").write_text(json.dumps({"things": list("abcde"), "colours": list("xyz")}))
    attributes = {"objects": [{"thing": "cat", "colour": "blue", "count": 2}], "weather": "rain", "time": "day"}
    lines = [json.dumps({"captions": ["a red house", "two blue cats"], "attributes": attributes}) for _ in range(6)]
    (data / "captions-000.jsonl").write_text("\n".join(lines))
    np.save(data / "things-000.npy", np.array([[[rng.getrandbits(5)] * 4] * 4] * 6, np.uint64))
    np.save(data / "colours-000.npy", np.array([[[rng.getrandbits(3)] * 4] * 4] * 6, np.uint16))
    np.save(data / "latents-000.npy", np.random.default_rng(0).normal(size=(6, 16, 8, 8)).astype(np.float16))
    save_text_encoder(tmp_path, T5Encoder(T5Config(vocab_size=Tokenizer(vocabulary).model.get_piece_size())))
    words = LatentChunks(data, Tokenizer(vocabulary), empty=0, bare=1).batch(32)["ids"].tolist()
    expected = [Tokenizer(vocabulary).ids(word) for word in ("rain", "blue", "cats")]
    assert {tuple(filter(None, ids)) for ids in words} == set(map(tuple, expected))  # 0 is padding
    common = ["--data", data, "--tokenizer", vocabulary, "--batch", "4", "--log-every", "1"]
    train(tmp_path / "dense", *common, "--text", tmp_path, "--steps", "2")
    assert "resumed at step 2" in train(tmp_path / "dense", *common, "--text", tmp_path, "--steps", "1")
    checkpoint = tmp_path / "dense/checkpoint.pt"
    # At a rate of almost nothing, what a run starts from is what it ends with.
    still = ["--rate", "1e-12", "--steps", "1"]
    train(tmp_path / "sparse", *common, "--dense", checkpoint, *still)
    sparse, encoder = averaged_models(tmp_path / "sparse/checkpoint.pt")
    assert sparse.config.roles().count("recover") == 2 and encoder is not None
    dense_state, sparse_state = (torch.load(tmp_path / run / "checkpoint.pt", weights_only=True)["modules"]
                                 for run in ("dense", "sparse"))
    torch.testing.assert_close(sparse_state["heads"], dense_state["heads"])

    dense, encoder = averaged_models(checkpoint)
    save_pipeline(tmp_path / "folder", dense, encoder, vocabulary, pixart / "vae", half=False)
    assert "new run" in train(tmp_path / "again", *common, "--start", tmp_path / "folder", *still)
    again = torch.load(tmp_path / "again/checkpoint.pt", weights_only=True)["modules"]
    torch.testing.assert_close(again["backbone"], dict(dense.state_dict()), rtol=0, atol=1e-7)
    torch.testing.assert_close(again["encoder"], dict(encoder.state_dict()), rtol=0, atol=1e-7)

    # Blocks of a model with other patches and channels, sparse or dense, are a start too.
    old = training.BACKBONE | dict(in_channels=4, out_channels=4, patch_size=4, sparsity=training.SPARSITY)
    save_pipeline(tmp_path / "old", SparseDiT(old), encoder, vocabulary, pixart / "vae", half=False)
    said = train(tmp_path / "trunk", *common, "--text", tmp_path, "--trunk", tmp_path / "old", *still)
    assert "new weights: pos_embed.proj.weight, transformer_blocks.0.attn1.to_k.bias" in said
    taken = torch.load(tmp_path / "trunk/checkpoint.pt", weights_only=True)["modules"]["backbone"]
    name = "transformer_blocks.7.ff.net.2.weight"
    torch.testing.assert_close(taken[name], load_transformer(tmp_path / "old").state_dict()[name], rtol=0, atol=1e-6)

    # Who starts as its own teacher, given as a folder or as a checkpoint, has nothing to learn from it.
    for teacher in (tmp_path / "folder", checkpoint):
        run = tmp_path / f"taught by {teacher.name}"
        said = train(run, *common, "--start", tmp_path / "folder", "--teacher", teacher, *still)
        assert re.search(r" taught 0\.0 ", said) and " loss 0.0 " not in said
    # The sparse form differs from the dense one that it came from, and moves towards it.
    train(tmp_path / "dense", *common, "--text", tmp_path, "--rate", "3e-3", "--warmup", "1", "--steps", "20")
    taught = ["--dense", checkpoint, "--teacher", checkpoint, "--rate", "2e-4", "--warmup", "1",
              "--label-weight", "0"]
    train(tmp_path / "taught", *common, *taught, "--steps", "40", "--seed", "3")
    before = averaged_models(checkpoint, training.SPARSITY)
    after = averaged_models(tmp_path / "taught/checkpoint.pt")
    goal = averaged_models(checkpoint)
    assert 0 < distance(after, goal, vocabulary) < distance(before, goal, vocabulary)


@torch.no_grad()
def distance(model, goal, vocabulary) -> float:
    """How far two models' predictions lie apart, at every quarter of the timesteps, for the same noisy latents."""
    torch.manual_seed(5)
    latents = torch.randn(8, 16, 8, 8)
    ids, mask = Tokenizer(vocabulary)(["a red house"] * 8)
    said = [[backbone(latents, torch.full((8,), 125 + 250 * quarter), encoder(ids, mask), mask,
                      rate=backbone.config.schedule.quarter_rate(quarter) if backbone.config.sparse else None)
             for quarter in range(4)] for backbone, encoder in (model, goal)]
    return (torch.cat(said[0]) - torch.cat(said[1])).square().mean().item()


def test_a_finished_decay_starts_again(train, tmp_path, pixart, images, monkeypatch):
    """An interrupted decay goes on where it was; after a finished one the rate is full again."""
    arguments = [tmp_path / "run", "--model", pixart, "--images", images, "--batch", "2", "--log-every", "1"]
    for steps, factors in (("2", ["1.0", "0.5"]), ("4", ["1.0", "0.75", "0.5", "0.25"])):
        assert re.findall(r"factor (\S+)", train(*arguments, "--steps", steps, "--decay")) == factors

    calls = []

    def interrupted(*arguments):
        calls.append(None)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGTERM)
        return losses(*arguments)

    monkeypatch.setattr(training, "losses", interrupted)
    assert re.findall(r"factor (\S+)", train(*arguments, "--steps", "4", "--decay")) == ["1.0", "0.75"]
    assert re.findall(r"factor (\S+)", train(*arguments, "--steps", "3", "--decay")) == ["0.75", "0.5", "0.25"]


@torch.no_grad()
def test_kl_encoder_equals_diffusers(tmp_path):
    diffusers = pytest.importorskip("diffusers")
    theirs = diffusers.AutoencoderKL(**VAE).eval()
    theirs.save_pretrained(tmp_path)
    ours, scale, shift = load_encoder(tmp_path)
    pixels = torch.randn(1, 3, 48, 64)
    expected = theirs.encode(pixels).latent_dist.mean
    assert ((ours(pixels) - expected).norm() / expected.norm()).item() < 1e-5
    assert (scale, shift) == (0.5, 0.0)


def test_half_precision_gives_the_gradients_of_the_whole():
    torch.manual_seed(0)
    backbone = SparseDiT(dict(num_attention_heads=2, attention_head_dim=16, num_layers=6, sample_size=8, in_channels=4,
                              out_channels=4, caption_channels=8, use_additional_conditions=False,
                              sparsity=json.loads(TINY)))
    torch.nn.init.normal_(backbone.proj_out.weight, std=0.1)
    inputs = torch.randn(3, 4, 8, 8), torch.tensor([700, 710, 720]), torch.randn(3, 5, 8), torch.ones(3, 5)
    goal = torch.randn(3, 4, 8, 8)
    (backbone(*inputs, rate=0.61) - goal).square().mean().backward()
    exact = [p.grad for p in backbone.parameters()]
    twin = HalfTwin(backbone, compiled=False)
    twin.load()
    said = twin(*inputs, rate=0.61)
    assert said.dtype == torch.float32
    (said - goal).square().mean().backward()
    twin.collect()
    flat, half = (torch.cat([g.flatten() for g in gradients if g is not None])
                  for gradients in (exact, [p.grad for p in backbone.parameters()]))
    assert torch.nn.functional.cosine_similarity(flat, half, dim=0) > 0.999
    assert all(p.grad is None for p in twin.twin.parameters())


def test_orthogonalize():
    """Singular values between 0.01 and 1 come near one, whichever way the matrix lies."""
    for rows, columns in ((20, 20), (10, 40), (40, 10)):
        u, _, v = torch.linalg.svd(torch.randn(rows, columns), full_matrices=False)
        matrix = u * torch.logspace(-2, 0, len(v)) @ v
        values = torch.linalg.svdvals(orthogonalize(matrix[None]))
        assert values.min() > 0.4 and values.max() < 1.6


def test_config_is_strict():
    with pytest.raises(ValueError, match="num_layers"):
        BackboneConfig.of(dict(num_layers=5, sparsity=json.loads(TINY)))
    with pytest.raises(ValueError, match="unknown sparsity keys"):
        BackboneConfig.of(dict(num_layers=6, sparsity=json.loads(TINY) | {"modulez": 1}))
    with pytest.raises(ValueError, match="norm_type"):
        BackboneConfig.of(dict(norm_type="ada_norm_zero"))
