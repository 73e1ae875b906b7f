"""Makes import/: models of the other folders in the forms in which others publish theirs.

    python Tests/Golden/make_import_golden.py

Needs torch and safetensors, and the folders that the other scripts make. What the files hold stands in
README.md beside this file; a second run gives the same bytes, but for the older form, which holds addresses.
"""

from __future__ import annotations

import argparse
import collections
import json
import re
import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

HERE = Path(__file__).resolve().parent
OUT = HERE / "import"


def weights(folder: str, part: str = "transformer", name: str = "diffusion_pytorch_model") -> dict:
    return load_file(HERE / folder / part / f"{name}.safetensors")


# PixArt's authors' names by those of diffusers, in the order of their state dictionaries. From
# github.com/PixArt-alpha/PixArt-alpha (diffusion/model/nets/PixArtMS.py) and scripts/convert_pixart_*_to_diffusers.py
# of diffusers.
OUTSIDE = {
    "pos_embed.proj": "x_embedder.proj", "caption_projection.linear_1": "y_embedder.y_proj.fc1",
    "caption_projection.linear_2": "y_embedder.y_proj.fc2",
    "adaln_single.emb.timestep_embedder.linear_1": "t_embedder.mlp.0",
    "adaln_single.emb.timestep_embedder.linear_2": "t_embedder.mlp.2",
    "adaln_single.emb.resolution_embedder.linear_1": "csize_embedder.mlp.0",
    "adaln_single.emb.resolution_embedder.linear_2": "csize_embedder.mlp.2",
    "adaln_single.emb.aspect_ratio_embedder.linear_1": "ar_embedder.mlp.0",
    "adaln_single.emb.aspect_ratio_embedder.linear_2": "ar_embedder.mlp.2",
    "adaln_single.linear": "t_block.1", "proj_out": "final_layer.linear",
}
INSIDE = {
    "attn1.to_out.0": "attn.proj", "attn2.to_q": "cross_attn.q_linear", "attn2.to_out.0": "cross_attn.proj",
    "ff.net.0.proj": "mlp.fc1", "ff.net.2": "mlp.fc2",
}
FUSED = {"attn.qkv": ("attn1.to_q", "attn1.to_k", "attn1.to_v"), "cross_attn.kv_linear": ("attn2.to_k", "attn2.to_v")}


def authors(state: dict, tokens: int, side: int | None) -> dict:
    """A state dictionary of PixArtTransformer2DModel under the names of PixArt's authors, with a position table for
    `side` tokens a side."""
    named = collections.OrderedDict()
    width = state["scale_shift_table"].shape[1]
    channels = state["caption_projection.linear_1.weight"].shape[1]
    generator = torch.Generator().manual_seed(tokens)
    if side:
        named["pos_embed"] = torch.randn(1, side * side, width, generator=generator)
    named["y_embedder.y_embedding"] = torch.randn(tokens, channels, generator=generator)
    for theirs, original in OUTSIDE.items():
        for kind in ("weight", "bias"):
            if f"{theirs}.{kind}" in state:
                named[f"{original}.{kind}"] = state[f"{theirs}.{kind}"]
    named["final_layer.scale_shift_table"] = state["scale_shift_table"]
    depth = 1 + max(int(match[1]) for name in state if (match := re.match(r"transformer_blocks\.(\d+)\.", name)))
    for i in range(depth):
        block = f"transformer_blocks.{i}"
        named[f"blocks.{i}.scale_shift_table"] = state[f"{block}.scale_shift_table"]
        for kind in ("weight", "bias"):
            for theirs, original in INSIDE.items():
                named[f"blocks.{i}.{original}.{kind}"] = state[f"{block}.{theirs}.{kind}"]
            for original, parts in FUSED.items():
                named[f"blocks.{i}.{original}.{kind}"] = torch.cat([state[f"{block}.{part}.{kind}"] for part in parts])
    return named


def training() -> dict:
    """What checkpoints of a training hold beside the weights."""
    layer = torch.nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight.fill_(0.5)
        layer.bias.fill_(0.25)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=1e-4)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 4])
    layer(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    schedule.step()
    return {
        "opt": optimizer.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": schedule.state_dict(),
        "args": argparse.Namespace(epochs=3, model="XL/2", betas=(0.9, 0.999)), "epoch": 7, "lr": np.float64(1e-4),
        "seeds": (1, -5, 2**40, -(2**40), 2**70), "done": True, "note": None, "device": torch.device("cpu"),
        "dtype": torch.bfloat16, "default": collections.defaultdict(list, {"a": [1]}), "sizes": torch.Size([2, 3]),
        "tags": {"a"}, "raw": b"\x00\xff",
    }


def forms() -> dict:
    """Tensors in every form that torch stores."""
    base = torch.arange(20, dtype=torch.float32).reshape(4, 5)
    pair = torch.arange(6, dtype=torch.float32) / 4
    images = torch.arange(24, dtype=torch.float16).reshape(1, 2, 3, 4).contiguous(memory_format=torch.channels_last)
    return collections.OrderedDict(
        contiguous=base, tied=base, sliced=torch.arange(20.0).reshape(4, 5)[1:3, 1:4], transposed=(base + 1).t(),
        first=pair[:2], second=pair[2:], half=torch.tensor([0.5, -2.25, 65504], dtype=torch.float16), images=images,
        brain=torch.tensor([[1.5, -3], [1e30, 0]], dtype=torch.bfloat16), scalar=torch.tensor(2.5),
        empty=torch.empty(0, 4), parameter=torch.nn.Parameter(torch.tensor([1.0, 2.0])),
        strided=torch.arange(12.0)[1::3], count=torch.tensor([3, 1 << 40]),
    )


def described(tensors: dict) -> dict:
    """The values as JSON: shape and elements in row-major order."""
    return {name: {"dtype": str(value.dtype).removeprefix("torch."), "shape": list(value.shape),
                   "values": value.detach().double().flatten().tolist()} for name, value in tensors.items()}


def save_shards(folder: Path, state: dict, name: str):
    """Two shards with an index, as transformers wrote them."""
    names = list(state)
    half = len(names) // 2
    shards = {f"{name}-00001-of-00002.bin": names[:half], f"{name}-00002-of-00002.bin": names[half:]}
    for shard, inside in shards.items():
        torch.save({tensor: state[tensor] for tensor in inside}, folder / shard)
    index = {"metadata": {"total_size": sum(t.nbytes for t in state.values())},
             "weight_map": {tensor: shard for shard, inside in shards.items() for tensor in inside}}
    (folder / f"{name}.bin.index.json").write_text(json.dumps(index, indent=2) + "\n")


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    # pos_embed has the tokens of the latents' sides over the patch.
    torch.save({"state_dict": authors(weights("pixart-half"), 120, 8), **training()}, OUT / "alpha.pth")
    torch.save(authors(weights("pixart-sigma"), 300, None), OUT / "sigma-1024.pth")
    torch.save({"model": {"x_embedder.proj.bias": torch.zeros(2)}, "ema": weights("dit-original-dense"), **training()},
               OUT / "dit.pt")
    torch.save({"ema": weights("dit-original-eight")}, OUT / "sparsedit.pt")

    text = OUT / "t5"
    text.mkdir()
    state = weights("pixart-half", "text_encoder", "model")
    state = {"shared.weight": state["shared.weight"], "encoder.embed_tokens.weight": state["shared.weight"],
             "decoder.final_layer_norm.weight": torch.ones(24, dtype=torch.float16), **state}
    save_shards(text, state, "pytorch_model")
    shutil.copy(HERE / "pixart-half/tokenizer/spiece.model", text)

    vae = OUT / "vae"
    vae.mkdir()
    torch.save(weights("pixart-half", "vae"), vae / "diffusion_pytorch_model.bin", _use_new_zipfile_serialization=False)
    shutil.copy(HERE / "pixart-half/vae/config.json", vae)

    published = OUT / "dit-published/transformer"
    published.mkdir(parents=True)
    torch.save(weights("dit-published"), published / "diffusion_pytorch_model.bin")
    shutil.copy(HERE / "dit-published/transformer/config.json", published)

    tensors = forms()
    (OUT / "forms.json").write_text(json.dumps(described(tensors)) + "\n")
    torch.save(tensors, OUT / "forms.pt")
    torch.save({"state_dict": tensors, **training()}, OUT / "forms-training.pt")
    torch.save(tensors, OUT / "forms-4.pt", pickle_protocol=4)
    torch.save({"model": tensors, **training()}, OUT / "forms-older.pt", _use_new_zipfile_serialization=False)
    (OUT / "versions.json").write_text(json.dumps({"torch": torch.__version__, "numpy": np.__version__}) + "\n")


if __name__ == "__main__":
    main()
