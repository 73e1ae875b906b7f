"""Makes the folders dit-original-*: what the code of SparseDiT's authors computes.

    python Tests/Golden/make_original_golden.py --code CHECKOUT [name ...]

CHECKOUT is a clone of changsn/SparseDiT; it is imported, and nothing of it is kept. Beside torch and
diffusers this needs timm. What the folders hold is in README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import unittest.mock
from dataclasses import asdict, dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from pixart_reference import calibrate, print_size, randomize, save
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent
CLASSES = 10  # and the row of "no class"
# What the authors' sampling loop does.
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
        """The "sparsity" object for pictures of `side` tokens a side: one rate throughout, since the authors' code
        has no timestep-wise part."""
        rate = 1 - (self.grid / side) ** 2
        return {"poolingformer": self.poolingformer, "modules": self.modules, "module_layout": list(self.module),
                "top": self.top, "rates": [rate, rate], "schedule": "constant"}


@dataclass(frozen=True)
class Case:
    """A random model of the authors' class `DiT`."""

    name: str
    seed: int
    side: int  # of the latents
    depth: int
    layout: Layout | None  # None: dense
    patch: int = 2
    heads: int = 2
    head_dim: int = 8
    forwards: tuple[tuple[float, tuple[int, ...]], ...] = ()  # timestep, labels
    # label, guidance scale, steps, seed
    runs: tuple[tuple[int, float, int, int], ...] = ()


CASES = [
    # The layouts of the two public runs. The grid is 16×16 and 32×32, the sparse one 8×8 in both.
    Case(
        "256", 201, side=32, depth=28, layout=Layout(1, 4, (1, 3, 1, 1), 3, grid=8),
        forwards=((999.0, (3, CLASSES)), (20.0, (0,))),
        runs=((3, 4.0, 5, 7), (9, 1.5, 12, 8)),
    ),
    Case(
        "512", 202, side=64, depth=28, layout=Layout(2, 4, (1, 3, 1, 1), 2, grid=8),
        forwards=((431.0, (5,)),),
    ),
    # DiT itself, as the dense model of this code; other patches.
    Case(
        "dense", 203, side=16, depth=3, layout=None, patch=4, heads=3,
        forwards=((500.0, (1, CLASSES, 2)),),
    ),
    Case(
        "eight", 204, side=32, depth=9, layout=Layout(1, 1, (1, 2, 1, 2), 2, grid=3), patch=8,
        heads=1, head_dim=16, forwards=((750.0, (8, 4)),), runs=((6, 4.0, 250, 11),),
    ),
]


class Torchvision:
    """Stands for every module of torchvision, of which only names are imported: a build that fits
    the CPU build of torch cannot be had everywhere."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] != "torchvision":
            return None
        return ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return unittest.mock.MagicMock(__path__=[], __spec__=spec)

    def exec_module(self, module):
        pass


def build(case: Case, models):
    """The authors' model with random weights, none of them zero but the position table's own."""
    settings = {"num_poolingformer": 0, "num_dumbbell": 0, "num_normal_block": case.depth}
    if layout := case.layout:
        settings = {
            "num_poolingformer": layout.poolingformer, "num_dumbbell": layout.modules,
            "dumbbell_group": list(layout.module), "num_normal_block": layout.top,
            "semantic_size": layout.grid,
        }
    model = models.DiT(
        input_size=case.side, patch_size=case.patch, hidden_size=case.heads * case.head_dim,
        depth=case.depth, num_heads=case.heads, num_classes=CLASSES, **settings)
    model.longshortcut = False  # read by the forward, set nowhere
    positions = model.pos_embed.data.clone()
    randomize(model, torch.Generator("cpu").manual_seed(case.seed))
    model.pos_embed.data.copy_(positions)
    return model.eval()


def state_of(case: Case, model) -> dict[str, torch.Tensor]:
    """The state dictionary; of a dense model under the names of DiT, whose blocks are `blocks.i`."""
    state = model.state_dict()
    if case.layout is None:
        state = {name.replace("normal_blocks.", "blocks."): v for name, v in state.items()}
    return state


def random_vae(generator: torch.Generator, side: int) -> AutoencoderKL:
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(4, 4, 4, 8), layers_per_block=1, latent_channels=4, norm_num_groups=2,
        sample_size=8 * side,
    ).eval()
    randomize(vae, generator)
    calibrate(vae, generator)
    return vae


@torch.no_grad()
def sample(model, diffusion, vae, case: Case, run) -> np.ndarray:
    """[1, H, W, 3] u8: the authors' sampling loop, guidance on three channels, variance learned."""
    label, scale, steps, seed = run
    torch.manual_seed(seed)
    noise = torch.randn(1, 4, case.side, case.side)
    both = torch.cat([noise, noise])
    labels = torch.tensor([label, CLASSES])
    latents = diffusion.create_diffusion(str(steps)).p_sample_loop(
        model.forward_with_cfg, both.shape, both, clip_denoised=False,
        model_kwargs={"y": labels, "cfg_scale": scale}, progress=False, device="cpu", vae=None)
    image = vae.decode(latents[:1] / vae.config.scaling_factor).sample
    image = (image / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy()
    return (image * 255).round().astype("uint8")


def save_model(folder: Path, case: Case, state: dict[str, torch.Tensor]):
    """Everything but the autoencoder."""
    config = {
        "_class_name": "DiT", "num_attention_heads": case.heads, "attention_head_dim": case.head_dim,
        "in_channels": 4, "out_channels": 8, "num_layers": case.depth, "patch_size": case.patch,
        "sample_size": case.side, "norm_eps": 1e-6, "num_embeds_ada_norm": CLASSES,
    }
    if case.layout:
        config["sparsity"] = case.layout.to_dict(case.side // case.patch)
    index = {"_class_name": "DiTPipeline", "_diffusers_version": "0.30.0",
             "scheduler": ["diffusers", "DDPMScheduler"], "transformer": ["sparsedit", "DiT"],
             "vae": ["diffusers", "AutoencoderKL"]}
    files = {"model_index.json": index, "scheduler/scheduler_config.json": SCHEDULER, "transformer/config.json": config}
    for name, values in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(values, indent=2) + "\n")
    stored = {name: value.contiguous() for name, value in state.items()}
    save_file(stored, folder / "transformer/diffusion_pytorch_model.safetensors", metadata={"format": "pt"})


@torch.no_grad()
def write(case: Case, models, diffusion):
    folder = HERE / f"dit-original-{case.name}"
    shutil.rmtree(folder, ignore_errors=True)
    model = build(case, models)
    generator = torch.Generator("cpu").manual_seed(case.seed + 1)
    vae = None
    if case.runs:
        vae = random_vae(generator, case.side)
        vae.save_pretrained(folder / "vae")
    save_model(folder, case, state_of(case, model))
    described: dict = {"case": asdict(case), "forward": [], "runs": []}
    tensors: dict[str, np.ndarray] = {}
    for index, (timestep, labels) in enumerate(case.forwards):
        latents = torch.randn(len(labels), 4, case.side, case.side, generator=generator)
        output = model(latents, torch.full((len(labels),), timestep), torch.tensor(labels))
        described["forward"].append({"timestep": timestep, "labels": list(labels)})
        tensors[f"forward.{index}.latents"] = latents.numpy()
        tensors[f"forward.{index}.output"] = output.numpy()
    for index, run in enumerate(case.runs):
        label, scale, steps, seed = run
        described["runs"].append({
            "label": label, "guidance_scale": scale, "steps": steps, "seed": seed, "count": 1,
            "width": 8 * case.side, "height": 8 * case.side, "sampler": None})
        tensors[f"run.{index}.pixels"] = sample(model, diffusion, vae, case, run)
    save(folder, described, tensors)
    print_size(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--code", type=Path, required=True, help="a clone of changsn/SparseDiT")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sys.meta_path.insert(0, Torchvision())
    sys.path.insert(0, str(arguments.code))
    import diffusion
    import models

    for case in CASES:
        if not arguments.names or case.name in arguments.names:
            write(case, models, diffusion)


if __name__ == "__main__":
    main()
