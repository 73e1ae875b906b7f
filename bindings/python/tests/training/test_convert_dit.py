"""Checkpoints of DiT's and SparseDiT's authors as folders: what is read off the weights, and what is refused."""

import argparse
import json
import pickle
import sys

import pytest
import torch
from safetensors.torch import load_file
from sparsedit_training import convert_dit
from sparsedit_training.convert_dit import Layout, configuration, layout_of, load_checkpoint

BLOCKS = {"poolingformer_blocks": ("attn.v",), "token_merge_blocks": ("attn.q", "attn.kv"),
          "semantic_blocks": ("attn.qkv",), "token_recover_blocks": ("attn.q", "attn.kv", "merged_layer1"),
          "normal_blocks": ("attn.qkv",), "blocks": ("attn.qkv",)}


def checkpoint(*, width=12, patch=2, side=4, classes=5, layout=None, depth=3):
    """A state dictionary with the authors' names; of a block only the names that tell its kind."""
    state = {
        "x_embedder.proj.weight": torch.randn(width, 4, patch, patch), "x_embedder.proj.bias": torch.randn(width),
        "pos_embed": torch.randn(1, side ** 2, width),
        "y_embedder.embedding_table.weight": torch.randn(classes + 1, width),
        "final_layer.linear.bias": torch.randn(8 * patch ** 2),
    }

    def add(prefix, kind, count):
        for i in range(count):
            for part in BLOCKS[kind]:
                state[f"{prefix}{kind}.{i}.{part}.weight"] = torch.randn(2, 2)

    if layout is None:
        add("", "blocks", depth)
        return state
    add("", "poolingformer_blocks", layout.poolingformer)
    for module in range(layout.modules):
        kinds = ("token_merge_blocks", "semantic_blocks", "token_recover_blocks", "normal_blocks")
        for kind, count in zip(kinds, layout.module):
            add(f"dumbbell_blocks.{module}.", kind, count)
    add("", "normal_blocks", layout.top)
    return state


@pytest.mark.parametrize("layout", [
    Layout(1, 4, (1, 3, 1, 1), 3, grid=8),
    Layout(2, 1, (1, 0, 1, 12), 0, grid=3),
    Layout(0, 2, (1, 1, 1, 0), 1, grid=1),
])
def test_reads_the_layout_off_the_names(layout):
    state = checkpoint(layout=layout, side=16, patch=4)
    assert layout_of(state, layout.grid) == layout
    config = configuration(state, 3, layout)
    depth = layout.poolingformer + layout.modules * sum(layout.module) + layout.top
    assert (config["num_layers"], config["sample_size"], config["patch_size"]) == (depth, 64, 4)
    assert (config["attention_head_dim"], config["out_channels"], config["num_embeds_ada_norm"]) == (4, 8, 5)
    low, high = config["sparsity"]["rates"]
    assert low == high and 16 * (1 - low) ** 0.5 == pytest.approx(layout.grid, abs=1e-9)


def test_dense_and_known_widths():
    state = checkpoint(width=384, depth=12)
    assert layout_of(state, 8) is None
    config = configuration(state, None, None)
    assert (config["num_attention_heads"], config["attention_head_dim"], config["num_layers"]) == (6, 64, 12)
    assert "sparsity" not in config


@pytest.mark.parametrize("change, heads, grid, words", [
    (lambda s: None, None, 8, "give --heads"), (lambda s: None, 5, 8, "5 heads"), (lambda s: None, 3, 9, "--grid 9"),
    (lambda s: None, 3, 0, "--grid 0"),
    (lambda s: s.pop("dumbbell_blocks.1.semantic_blocks.1.attn.qkv.weight"), 3, 2, "different layouts"),
    (lambda s: [s.pop(name) for name in list(s) if "blocks" in name], 3, 2, "not a DiT or SparseDiT"),
    (lambda s: s.pop("pos_embed"), 3, 2, "no pos_embed"),
])
def test_refuses_what_weights_do_not_tell(change, heads, grid, words):
    state = checkpoint(layout=Layout(1, 2, (1, 2, 1, 1), 1, grid=grid), side=8)
    change(state)
    with pytest.raises(ValueError, match=words):
        configuration(state, heads, layout_of(state, grid))


def test_writes_a_folder(tmp_path, monkeypatch):
    layout = Layout(1, 2, (1, 2, 1, 1), 1, grid=3)
    averaged, latest = checkpoint(layout=layout, side=6), checkpoint(layout=layout, side=6)
    # As train.py of SparseDiT saves it.
    torch.save({"model": latest, "ema": averaged, "opt": {"state": {}}, "args": argparse.Namespace(lr=1e-4)},
               tmp_path / "run.pt")
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae/config.json").write_text("{}")
    (tmp_path / "names.json").write_text(json.dumps({"id2label": {"1": "goldfish"}}))
    monkeypatch.setattr(sys, "argv", ["convert_dit", str(tmp_path / "run.pt"), str(tmp_path / "out"), "--vae",
                                      str(tmp_path / "vae"), "--heads", "2", "--grid", "3", "--names",
                                      str(tmp_path / "names.json")])
    convert_dit.main()
    out = tmp_path / "out"
    index = json.loads((out / "model_index.json").read_text())
    assert index["_class_name"] == "DiTPipeline" and index["id2label"] == {"1": "goldfish"}
    config = json.loads((out / "transformer/config.json").read_text())
    assert config["_class_name"] == "DiT" and config["num_layers"] == 12
    assert config["sparsity"]["module_layout"] == [1, 2, 1, 1] and config["sparsity"]["schedule"] == "constant"
    scheduler = json.loads((out / "scheduler/scheduler_config.json").read_text())
    assert scheduler["variance_type"] == "learned_range" and scheduler["clip_sample"] is False
    stored = load_file(out / "transformer/diffusion_pytorch_model.safetensors")
    assert stored.keys() == averaged.keys()
    assert all(torch.equal(stored[name], averaged[name]) for name in averaged)
    assert (out / "vae/config.json").exists()


def test_a_published_checkpoint_is_the_weights_alone(tmp_path):
    state = checkpoint()
    torch.save(state, tmp_path / "DiT.pt")
    loaded = load_checkpoint(tmp_path / "DiT.pt")
    assert all(torch.equal(loaded[name], state[name]) for name in state)


class Harmful:
    def __reduce__(self):
        return (print, ("run on loading",))


def test_names_a_checkpoint_that_cannot_be_read(tmp_path, monkeypatch, capsys):
    arguments = [str(tmp_path / "none.pt"), str(tmp_path / "out"), "--vae", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["convert_dit", *arguments])
    with pytest.raises(SystemExit):
        convert_dit.main()
    assert "none.pt" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_unpickles_nothing_but_weights(tmp_path, capsys):
    torch.save({"ema": checkpoint(), "args": Harmful()}, tmp_path / "bad.pt")
    with pytest.raises(pickle.UnpicklingError):
        load_checkpoint(tmp_path / "bad.pt")
    assert "run on loading" not in capsys.readouterr().out
