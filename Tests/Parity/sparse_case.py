"""Random sparse backbones, and what the PyTorch reference of SparseDiT computes with them."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from pixart_reference import Case, batch_of, randomize, size_conditions
from safetensors.torch import load_file, save_file
from sparsedit_training.convert import dense_to_sparse
from sparsedit_training.model import SparseDiT


def random_sparsity(case: Case, seed: int) -> tuple[Case, dict]:
    """The case with as many layers as a random layout has blocks and no whole runs; the layout."""
    draw = random.Random(seed)
    low, high = sorted(draw.choice([0.0, 0.2, 0.44, 0.61, 0.86, 0.96]) for _ in range(2))
    sparsity = {
        "poolingformer": draw.randint(0, 2),
        "modules": draw.randint(1, 2),
        "module_layout": [1, draw.randint(0, 2), 1, draw.randint(0, 1)],
        "top": draw.randint(0, 2),
        "rates": [low, high],
        "schedule": draw.choice(["linear", "quarters", "constant"]),
        "position_embedding_again": draw.random() < 0.3,
    }
    blocks = sparsity["modules"] * sum(sparsity["module_layout"])
    layers = sparsity["poolingformer"] + blocks + sparsity["top"]
    return replace(case, layers=layers, shard_bytes=None, dtype="f32", runs=()), sparsity


@torch.no_grad()
def make_sparse(folder: Path, sparsity: dict, seed: int) -> SparseDiT:
    """Turns the dense backbone in `folder` into a sparse one: half of the time with weights of its
    own, else by the conversion that precedes fine-tuning."""
    config_path = folder / "transformer" / "config.json"
    weights_path = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    config = json.loads(config_path.read_text()) | {"sparsity": sparsity}
    config_path.write_text(json.dumps(config))
    model = SparseDiT(config).eval()
    if random.Random(seed).random() < 0.5:
        model.load_state_dict(dense_to_sparse(load_file(weights_path), model.config))
    else:
        randomize(model, torch.Generator("cpu").manual_seed(seed))
    save_file(model.state_dict(), weights_path)
    return model


@torch.no_grad()
def sparse_stages(model: SparseDiT, described: dict, tensors: dict[str, np.ndarray]):
    """Replaces the forwards by those of the sparse model."""
    _, mask = batch_of(described["text"], described["max_length"])
    for index, forward in enumerate(described["forward"]):
        latents = torch.from_numpy(tensors[f"forward.{index}.latents"])
        conditions = {}
        if model.config.use_additional_conditions:
            conditions = size_conditions(latents)
        rows = forward["text_rows"]
        text = torch.from_numpy(tensors["text.embedding"])[rows]
        output = model(latents, forward["timestep"], text, mask[rows], **conditions)
        tensors[f"forward.{index}.output"] = output.numpy()
