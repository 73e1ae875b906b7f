"""Writes a model as a diffusers pipeline folder, dense or sparse.

    python -m sparsedit_training.export CHECKPOINT FOLDER --tokenizer FOLDER --vae FOLDER [--sparse] [--f32]

    model_index.json  scheduler/  tokenizer/  text_encoder/  transformer/  vae/

A dense folder loads in diffusers' PixArtAlphaPipeline with torch_dtype=torch.float32. A sparse one differs only in
transformer/: its config has the object "sparsity", and its weights have merge_sparse and merge_dense in the blocks
that recover dense tokens.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from .config import SPARSITY
from .convert import dense_to_sparse
from .model import SparseDiT
from .runs import averaged_models
from .t5 import T5Encoder

SCHEDULER = {
    "_class_name": "DPMSolverMultistepScheduler", "num_train_timesteps": 1000, "beta_schedule": "linear",
    "beta_start": 0.0001, "beta_end": 0.02, "trained_betas": None, "solver_order": 2, "algorithm_type": "dpmsolver++",
    "solver_type": "midpoint", "lower_order_final": True, "euler_at_final": False, "thresholding": False,
    "dynamic_thresholding_ratio": 0.995, "sample_max_value": 1.0, "timestep_spacing": "linspace", "steps_offset": 0,
    "use_karras_sigmas": False, "final_sigmas_type": "zero", "prediction_type": "v_prediction",
}
PARTS = {"scheduler": ("diffusers", "DPMSolverMultistepScheduler"), "text_encoder": ("transformers", "T5EncoderModel"),
         "tokenizer": ("transformers", "T5Tokenizer"), "transformer": ("diffusers", "PixArtTransformer2DModel"),
         "vae": ("diffusers", "AutoencoderKL")}


def write_json(path: Path, values: dict):
    """Writes `values`, making the folder if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, indent=2) + "\n")


def save_weights(path: Path, state: dict, half: bool):
    """Saves a state dictionary as f32, or with `half` as bf16: all of it, since diffusers does not turn a file of
    mixed types into one type (and the default model's pictures move by 0.02/255 on average if vectors are bf16 too)."""
    dtype = torch.bfloat16 if half else torch.float32
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = {name: value.detach().cpu().to(dtype).contiguous() for name, value in state.items()}
    save_file(stored, path, metadata={"format": "pt"})


def save_transformer(folder: Path, backbone: SparseDiT, half: bool):
    """Writes `folder`/transformer."""
    write_json(folder / "transformer/config.json", backbone.config.to_dict())
    save_weights(folder / "transformer/diffusion_pytorch_model.safetensors", backbone.state_dict(), half)


def save_text_encoder(folder: Path, encoder: T5Encoder):
    """Writes `folder`/text_encoder, always f32: it is small, and features feed every block."""
    write_json(folder / "text_encoder/config.json", encoder.config.to_dict())
    save_weights(folder / "text_encoder/model.safetensors", encoder.state_dict(), half=False)


def save_pipeline(folder: Path, backbone: SparseDiT, encoder: T5Encoder, tokenizer: Path, vae: Path,
                  half: bool = True):
    """Writes the whole folder. `tokenizer` and `vae` are folders whose files are copied."""
    write_json(folder / "model_index.json", {"_class_name": "PixArtAlphaPipeline", "_diffusers_version": "0.30.0"}
               | {name: list(names) for name, names in PARTS.items()})
    write_json(folder / "scheduler/scheduler_config.json", SCHEDULER)
    save_transformer(folder, backbone, half)
    save_text_encoder(folder, encoder)
    for name, source in (("tokenizer", tokenizer), ("vae", vae)):
        shutil.copytree(source, folder / name, dirs_exist_ok=True)


def load_safetensors(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors of a component folder, sharded or not."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise FileNotFoundError(f"no .safetensors file in {folder}")
    return {name: value for file in files for name, value in load_file(file).items()}


def load_transformer(folder: Path, sparsity: dict | None = None) -> SparseDiT:
    """The backbone of a pipeline folder, in f32. `sparsity` turns a dense one into a sparse one."""
    config = json.loads((folder / "transformer/config.json").read_text())
    converted = sparsity is not None and config.get("sparsity") is None
    backbone = SparseDiT(config | ({"sparsity": sparsity} if converted else {}))
    state = load_safetensors(folder / "transformer")
    state.pop("pos_embed.pos_embed", None)  # some published checkpoints keep the table
    if converted:
        state = dense_to_sparse(state, backbone.config)
    backbone.load_state_dict(state)
    return backbone


def load_text_encoder(folder: Path) -> T5Encoder:
    """The T5 encoder of a pipeline folder, in f32."""
    encoder = T5Encoder(json.loads((folder / "text_encoder/config.json").read_text()))
    state = load_safetensors(folder / "text_encoder")
    state.pop("encoder.embed_tokens.weight", None)  # a second name of `shared`
    encoder.load_state_dict(state)
    return encoder


def main():
    parser = argparse.ArgumentParser(description="Writes the averaged weights of a training checkpoint as a folder.")
    parser.add_argument("checkpoint", type=Path, help="checkpoint.pt of a training run")
    parser.add_argument("folder", type=Path, help="the pipeline folder to write")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder with spiece.model")
    parser.add_argument("--vae", type=Path, required=True, help="folder of the exported autoencoder")
    parser.add_argument("--sparse", action="store_true", help="convert a dense checkpoint, without fine-tuning")
    parser.add_argument("--f32", action="store_true", help="store everything as f32 instead of bf16")
    options = parser.parse_args()
    backbone, encoder = averaged_models(options.checkpoint, SPARSITY if options.sparse else None)
    save_pipeline(options.folder, backbone, encoder, options.tokenizer, options.vae, not options.f32)


if __name__ == "__main__":
    main()
