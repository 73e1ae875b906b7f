"""Makes a captions+images folder ready for fine-tuning a PixArt folder: latents and text features, once, on disk.

Pictures are .jpg, .jpeg, .png or .webp files. Captions are in a .txt file of the same name beside each, or in
metadata.jsonl, one {"file_name": …, "text": …} per line. The text encoder (T5 XXL: 4.7 billion parameters) is loaded
once in the precision in which it is stored, used, and freed before the autoencoder is loaded.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors.torch import save_file

from .export import load_safetensors, save_transformer
from .kl_encoder import load_encoder
from .runs import device
from .t5 import T5Encoder
from .tokenizer import Tokenizer

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def captioned_images(folder: Path) -> list[tuple[Path, str]]:
    """(picture, caption) for everything in the folder that has both."""
    listing = folder / "metadata.jsonl"
    if listing.exists():
        rows = [json.loads(line) for line in listing.read_text().splitlines() if line.strip()]
        return [(folder / row["file_name"], row["text"]) for row in rows]
    pictures = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    found = [(p, p.with_suffix(".txt").read_text().strip()) for p in pictures if p.with_suffix(".txt").exists()]
    if not found:
        raise FileNotFoundError(f"{folder} has neither metadata.jsonl nor pictures with .txt files beside them")
    return found


def fit(picture: Image.Image, height: int, width: int) -> torch.Tensor:
    """The picture scaled to cover height × width and cropped in the middle, f32 [1,3,height,width] in −1…1."""
    fitted = ImageOps.fit(ImageOps.exif_transpose(picture).convert("RGB"), (width, height), Image.BICUBIC)
    return torch.from_numpy(np.asarray(fitted).copy()).permute(2, 0, 1)[None].float() / 127.5 - 1


def prepare(model: Path, images: Path, cache: Path, size: tuple[int, int] | None = None):
    """Writes one file per picture into `cache`, and empty.safetensors; pictures that are there already are kept."""
    settings = json.loads((model / "transformer/config.json").read_text())
    height, width = size or (settings["sample_size"] * 8,) * 2
    cache.mkdir(parents=True, exist_ok=True)
    wanted = {}
    for path, text in captioned_images(images):
        key = hashlib.sha256(f"{path.relative_to(images)}\n{text}\n{height}x{width}".encode()).hexdigest()[:20]
        wanted[cache / f"{key}.safetensors"] = (path, text)
    missing = {file: pair for file, pair in wanted.items() if not file.exists()}
    empty = cache / "empty.safetensors"
    if missing or not empty.exists():
        texts = encode_texts(model, [""] + [text for _, text in missing.values()])
        save_file({"text": texts[0]}, empty)
        encode_images(model, missing, texts[1:], height, width)


@torch.no_grad()
def encode_texts(model: Path, texts: list[str]) -> list[torch.Tensor]:
    """Text features of captions, [L,Ct] each without padding, in the encoder's stored precision."""
    with torch.device("meta"):  # no second copy of a large encoder
        encoder = T5Encoder(json.loads((model / "text_encoder/config.json").read_text()))
    state = load_safetensors(model / "text_encoder")
    state.setdefault("shared.weight", state.pop("encoder.embed_tokens.weight", None))
    encoder.load_state_dict(state, assign=True)
    encoder, tokenizer = encoder.eval().to(device()), Tokenizer(model / "tokenizer")
    features = []
    for text in texts:
        ids, mask = (t.to(device()) for t in tokenizer([text]))
        features.append(encoder(ids, mask.to(encoder.shared.weight.dtype))[0].cpu().contiguous())
    return features


@torch.no_grad()
def encode_images(model: Path, files: dict, texts: list[torch.Tensor], height: int, width: int):
    """Writes each file of {file: (picture, caption)} with its text features and scaled latents."""
    encoder, scale, shift = load_encoder(model / "vae")
    encoder = encoder.to(device())
    sizes = json.loads((model / "transformer/config.json").read_text())
    conditions = sizes.get("use_additional_conditions")
    conditions = sizes["sample_size"] == 128 if conditions is None else conditions
    for (file, (path, _)), text in zip(files.items(), texts):
        mean = encoder(fit(Image.open(path), height, width).to(device()))[0].cpu()
        values = {"latents": ((mean - shift) * scale).contiguous(), "text": text}
        if conditions:
            values["resolution"] = torch.tensor([height, width], dtype=torch.float32)
            values["aspect_ratio"] = torch.tensor([height / width])
        partial = file.with_suffix(".part")
        save_file(values, partial)
        partial.replace(file)


def _link(source, target):
    # A text encoder of 10 GB or more need not be stored twice.
    Path(target).unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def export_finetuned(model: Path, run, folder: Path):
    """Writes the pipeline folder `model` with the run's averaged backbone; the other parts are linked or copied."""
    shutil.copytree(model, folder, copy_function=_link, ignore=lambda d, names: ["transformer"] if Path(d) == model
                    else [], dirs_exist_ok=True)
    run.backbone.load_state_dict(run.averages["backbone"].weights)
    stored = next(iter(load_safetensors(model / "transformer").values())).dtype
    save_transformer(folder, run.backbone, half=stored != torch.float32)
