"""A class-conditional checkpoint of DiT's or SparseDiT's authors as a folder that the engine draws from.

    python -m sparsedit_training.convert_dit CHECKPOINT.pt FOLDER --vae FOLDER [--grid 8] [--names model_index.json]

Reads what facebookresearch/DiT publishes and what the training of changsn/SparseDiT saves (of which it takes the
averaged weights, "ema"), unpickling nothing but weights. Writes a folder laid out as diffusers' DiTPipeline:

    model_index.json  scheduler/  transformer/  vae/

The weights keep the authors' names: transformer/config.json says `"_class_name": "DiT"`, which also stands for their
arithmetic, slightly other than diffusers' (spacing of the timestep's frequencies, epsilon of the second norm, guidance
on three channels). The scheduler is theirs: DDPM with the learned variance. Layout, sizes and classes are read off
the weights; what weights do not tell is the number of heads, known by the width of DiT-S, B, L and XL, and the side
of the sparse grid, 8 in the authors' runs.
"""

import argparse
import json
import pickle
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from .export import save_weights, write_json

HEADS = {384: 6, 768: 12, 1024: 16, 1152: 16}  # of DiT-S, B, L and XL by their width

SCHEDULER = {
    "_class_name": "DDPMScheduler", "num_train_timesteps": 1000, "beta_schedule": "linear", "beta_start": 0.0001,
    "beta_end": 0.02, "variance_type": "learned_range", "clip_sample": False, "prediction_type": "epsilon",
    "timestep_spacing": "linspace",
}


@dataclass(frozen=True)
class Layout:
    """How the blocks of a sparse model are divided, bottom to top."""

    poolingformer: int
    modules: int
    module: tuple[int, ...]  # blocks of sparse generation, sparse, of dense recovery, dense
    top: int
    grid: int  # sparse tokens a side

    def to_dict(self, side: int) -> dict:
        """The "sparsity" object of a configuration for pictures of `side` tokens a side: one rate throughout, since
        the authors' code has no timestep-wise part."""
        rate = 1 - (self.grid / side) ** 2
        return {"poolingformer": self.poolingformer, "modules": self.modules, "module_layout": list(self.module),
                "top": self.top, "rates": [rate, rate], "schedule": "constant"}


def count(state: dict, prefix: str) -> int:
    """How many blocks are numbered behind `prefix`."""
    found = (re.match(re.escape(prefix) + r"(\d+)\.", name) for name in state)
    return len({match[1] for match in found if match})


def layout_of(state: dict, grid: int) -> Layout | None:
    """The layout that the names tell of, or None for DiT's `blocks.i`."""
    modules = count(state, "dumbbell_blocks.")
    if modules == 0:
        if count(state, "blocks.") == 0:
            raise ValueError("the checkpoint has neither blocks nor dumbbell_blocks: not a DiT or SparseDiT")
        return None
    lists = ("token_merge_blocks", "semantic_blocks", "token_recover_blocks", "normal_blocks")
    kinds = {tuple(count(state, f"dumbbell_blocks.{i}.{name}.") for name in lists) for i in range(modules)}
    if len(kinds) != 1:
        raise ValueError(f"modules of different layouts: {sorted(kinds)}")
    return Layout(count(state, "poolingformer_blocks."), modules, kinds.pop(), count(state, "normal_blocks."), grid)


def configuration(state: dict, heads: int | None, layout: Layout | None) -> dict:
    """The content of transformer/config.json."""
    needed = ("x_embedder.proj.weight", "pos_embed", "final_layer.linear.bias", "y_embedder.embedding_table.weight")
    if missing := [name for name in needed if name not in state]:
        raise ValueError(f"the checkpoint has no {missing[0]}: not a DiT or SparseDiT")
    width, channels, patch, _ = state["x_embedder.proj.weight"].shape
    heads = heads or HEADS.get(width)
    if heads is None or width % heads:
        raise ValueError(f"width {width} with {heads} heads: give --heads, a divisor of the width")
    side = round(state["pos_embed"].shape[1] ** 0.5)
    depth = count(state, "blocks.")
    if layout is not None:
        if not 1 <= layout.grid <= side:
            raise ValueError(f"--grid {layout.grid} is not in 1 to {side}, the tokens a side")
        depth = layout.poolingformer + layout.modules * sum(layout.module) + layout.top
    config = {
        "_class_name": "DiT", "num_attention_heads": heads, "attention_head_dim": width // heads,
        "in_channels": channels, "out_channels": len(state["final_layer.linear.bias"]) // patch ** 2,
        "num_layers": depth, "patch_size": patch, "sample_size": side * patch, "norm_eps": 1e-6,
        "num_embeds_ada_norm": len(state["y_embedder.embedding_table.weight"]) - 1,
    }
    return config if layout is None else config | {"sparsity": layout.to_dict(side)}


def save_pipeline(folder: Path, state: dict, *, heads: int | None = None, layout: Layout | None = None,
                  vae: Path | None = None, names: dict | None = None, half: bool = False):
    """Writes the folder. `state` has the authors' names; `vae` is a folder whose files are copied, unless it is the
    folder's own; `names` are names of the classes by label, as text with commas between."""
    config = configuration(state, heads, layout)
    index = {"_class_name": "DiTPipeline", "_diffusers_version": "0.30.0",
             "scheduler": ["diffusers", "DDPMScheduler"], "transformer": ["sparsedit", "DiT"],
             "vae": ["diffusers", "AutoencoderKL"]}
    write_json(folder / "model_index.json", index | ({} if names is None else {"id2label": names}))
    write_json(folder / "scheduler/scheduler_config.json", SCHEDULER)
    write_json(folder / "transformer/config.json", config)
    save_weights(folder / "transformer/diffusion_pytorch_model.safetensors", state, half)
    if vae is not None and vae.resolve() != (folder / "vae").resolve():
        shutil.copytree(vae, folder / "vae", dirs_exist_ok=True)


def load_checkpoint(path: Path) -> dict:
    """The weights of a .pt file: the averaged ones of a training checkpoint, or all of a published one."""
    # A training checkpoint also has the options of the training, as an object of this plain class.
    with torch.serialization.safe_globals([argparse.Namespace]):
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    for key in ("ema", "model"):
        if key in checkpoint:
            return checkpoint[key]
    return checkpoint


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path, help=".pt file of DiT or SparseDiT")
    parser.add_argument("folder", type=Path, help="the folder to write")
    parser.add_argument("--vae", type=Path, required=True, help="diffusers folder of the Stable Diffusion autoencoder")
    parser.add_argument("--heads", type=int, help="attention heads (default: those of DiT-S, B, L or XL by width)")
    parser.add_argument("--grid", type=int, default=8, help="sparse tokens a side of a SparseDiT (default: 8)")
    parser.add_argument("--names", type=Path, help="JSON file with id2label, such as a DiTPipeline's model_index.json")
    parser.add_argument("--half", action="store_true", help="store bf16 instead of f32")
    options = parser.parse_args()
    try:
        state = load_checkpoint(options.checkpoint)
        names = json.loads(options.names.read_text())["id2label"] if options.names else None
        save_pipeline(options.folder, state, heads=options.heads, layout=layout_of(state, options.grid),
                      vae=options.vae, names=names, half=options.half)
    except (ValueError, KeyError, OSError, pickle.UnpicklingError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
