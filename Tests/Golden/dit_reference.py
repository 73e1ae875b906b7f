"""Small random DiT pipelines and what diffusers computes with them.

Both the committed golden values (make_dit_golden.py) and the live comparison (../Parity/parity.py)
are made from this file, so they cannot drift apart.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMScheduler,
    DiTPipeline,
    DiTTransformer2DModel,
    DPMSolverMultistepScheduler,
)
from pixart_reference import DTYPES, calibrate, randomize

# Not Euler: diffusers' DiTPipeline neither scales the initial noise for it nor keeps the sample that
# was not scaled for the model.
SCHEDULERS = {
    "ddim": DDIMScheduler,
    "ddpm": DDPMScheduler,
    "dpm++2m": DPMSolverMultistepScheduler,
}

# What diffusers' pipeline takes for "no class" whatever the model, so all have as many classes.
CLASSES = 1000

# As they stand in the published folders: several names of a class with commas between. "crane" is
# the name of two.
LABELS = {
    "0": "tench, Tinca tinca",
    "134": "crane",
    "207": "golden retriever",
    "388": "giant panda, panda, panda bear, coon bear, Ailuropoda melanoleuca",
    "517": "crane",
}


@dataclass(frozen=True)
class Run:
    """One whole generation: image i of `count` starts from the noise of seed + i."""

    label: int
    steps: int = 4
    guidance_scale: float = 4.0
    seed: int = 0
    count: int = 1
    sampler: str | None = None  # None: the folder's


@dataclass(frozen=True)
class Case:
    """What is special about one pipeline. Everything else is a tiny DiT."""

    name: str
    seed: int
    heads: int = 2
    head_dim: int = 12
    layers: int = 2
    sample_size: int = 16
    patch: int = 2
    out_channels: int = 8
    norm_eps: float = 1e-5
    # Whether all blocks have the same embeddings, as in the published folders.
    shared_embedding: bool = True
    # The class that the published folders name, with its keys.
    older_class: bool = False
    sampler: str = "ddim"
    vae_channels: tuple[int, ...] = (4, 8, 8, 8)
    vae_groups: int = 2
    dtype: str = "f32"
    # what to compute
    forwards: tuple[tuple[int, int, float, tuple[int, ...]], ...] = ()  # h, w, t, labels
    runs: tuple[Run, ...] = ()


def build(case: Case, folder: Path) -> DiTPipeline:
    """Makes the pipeline, saves it as a diffusers folder and returns it in f32 with the values
    that were saved (rounded to the case's dtype)."""
    generator = torch.Generator("cpu").manual_seed(case.seed)
    transformer = DiTTransformer2DModel(
        num_attention_heads=case.heads,
        attention_head_dim=case.head_dim,
        in_channels=4,
        out_channels=case.out_channels,
        num_layers=case.layers,
        sample_size=case.sample_size,
        patch_size=case.patch,
        num_embeds_ada_norm=CLASSES,
        norm_eps=case.norm_eps,
    )
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(case.vae_channels),
        up_block_types=("UpDecoderBlock2D",) * len(case.vae_channels),
        block_out_channels=case.vae_channels,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=case.vae_groups,
        sample_size=8 * case.sample_size,
    )
    for module in (transformer, vae):
        module.eval()
        randomize(module, generator)
    if case.shared_embedding:
        for block in transformer.transformer_blocks[1:]:
            block.norm1.emb.load_state_dict(transformer.transformer_blocks[0].norm1.emb.state_dict())
    calibrate(vae, generator)
    pipeline = DiTPipeline(transformer=transformer, vae=vae, scheduler=scheduler(case.sampler))
    pipeline.set_progress_bar_config(disable=True)
    positions = transformer.pos_embed.pos_embed.clone()
    for module in (transformer, vae):
        module.to(dtype=DTYPES[case.dtype])
    pipeline.save_pretrained(folder, safe_serialization=True)
    edit(folder / "model_index.json", {"id2label": LABELS})
    if case.older_class:
        publish_as_older_class(folder)
    for module in (transformer, vae):
        module.to(dtype=torch.float32)
    # The table of positions was rounded along, though it is no weight.
    transformer.pos_embed.pos_embed = positions
    return pipeline


def scheduler(name: str):
    """As facebook/DiT-XL-2-256 has it, in the class of this name."""
    settings = {"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear"}
    clip = {} if name == "dpm++2m" else {"clip_sample": False}
    return SCHEDULERS[name](num_train_timesteps=1000, **settings, **clip)


def edit(path: Path, changes: dict, remove: tuple[str, ...] = ()):
    """Changes and removes keys of a JSON file."""
    values = json.loads(path.read_text()) | changes
    kept = {key: value for key, value in values.items() if key not in remove}
    path.write_text(json.dumps(kept, indent=2) + "\n")


def publish_as_older_class(folder: Path):
    """Names the class that facebook/DiT-XL-2-256 names, and the keys that it alone has."""
    older = "Transformer2DModel"
    edit(folder / "model_index.json", {"transformer": ["diffusers", older]})
    edit(
        folder / "transformer" / "config.json",
        {"_class_name": older, "cross_attention_dim": None, "num_vector_embeds": None,
         "only_cross_attention": False, "use_linear_projection": False},
        remove=("norm_eps",),
    )


@torch.no_grad()
def stages(case: Case, pipeline: DiTPipeline) -> tuple[dict, dict[str, np.ndarray]]:
    """Everything that is compared: a description (JSON) and the tensors it names."""
    generator = torch.Generator("cpu").manual_seed(case.seed + 1)
    described: dict = {"case": asdict(case), "forward": [], "runs": []}
    tensors: dict[str, np.ndarray] = {}
    for index, (height, width, timestep, labels) in enumerate(case.forwards):
        latents = torch.randn(len(labels), 4, height, width, generator=generator)
        output = forward(pipeline.transformer, latents, timestep, labels)
        described["forward"].append({"timestep": timestep, "labels": list(labels)})
        tensors[f"forward.{index}.latents"] = latents.numpy()
        tensors[f"forward.{index}.output"] = output.numpy()
    for index, run in enumerate(case.runs):
        side = 8 * case.sample_size
        described["runs"].append(asdict(run) | {"width": side, "height": side})
        tensors[f"run.{index}.pixels"] = generate(pipeline, run)
    return described, tensors


def forward(transformer, latents: torch.Tensor, timestep: float, labels) -> torch.Tensor:
    """One forward of the backbone, the variance channels included.

    diffusers' own forward puts patches together on squares only, so this is done here; everything
    before it is diffusers'.
    """
    captured = []
    hook = transformer.proj_out_2.register_forward_hook(lambda *call: captured.append(call[2]))
    arguments = dict(
        timestep=torch.full((len(latents),), timestep), class_labels=torch.tensor(labels))
    square = latents.shape[2] == latents.shape[3]
    try:
        output = transformer(latents, **arguments).sample
    except RuntimeError:
        if square:
            raise
    finally:
        hook.remove()
    patch = transformer.config.patch_size
    grid = (latents.shape[2] // patch, latents.shape[3] // patch)
    patches = captured[0].unflatten(2, (patch, patch, -1)).unflatten(1, grid)  # [B,h,w,p,q,C]
    image = patches.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)
    assert not square or torch.equal(image, output)
    return image


def generate(pipeline: DiTPipeline, run: Run) -> np.ndarray:
    """[count, H, W, 3] u8 of diffusers' own loop.

    The pipeline hands its generator to the initial noise only; a stochastic scheduler draws from
    torch's default one. As in diffusers' documentation both are the same here.
    """
    own = pipeline.scheduler
    if run.sampler is not None:
        # As read from the folder, where every setting stands: defaults of `own` are kept.
        saved = {key: value for key, value in own.config.items() if key != "_use_default_values"}
        pipeline.scheduler = SCHEDULERS[run.sampler].from_config(saved)
    pictures = [
        pipeline(
            class_labels=[run.label],
            guidance_scale=run.guidance_scale,
            num_inference_steps=run.steps,
            generator=torch.manual_seed(run.seed + i),
            output_type="np",
        ).images
        for i in range(run.count)
    ]
    pipeline.scheduler = own
    return (np.concatenate(pictures) * 255).round().astype("uint8")
