"""Draws prompts with the averaged weights of a checkpoint, or with a pipeline folder, in PyTorch.

    python -m sparsedit_training.preview CHECKPOINT --tokenizer FOLDER --vae FOLDER --output sheet.png
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from .autoencoder import LatentDecoder
from .diffusion import guided, sample
from .export import load_safetensors, load_text_encoder, load_transformer
from .runs import averaged_models
from .tokenizer import Tokenizer

PROMPTS = ("a red house", "a blue car at night", "a yellow cat to the left of a green tree", "three white flowers",
           "a purple boat on the sea at sunset", "a black bird above a brown mountain", "an orange circle on a white "
           "background", "two pink umbrellas in the rain", "a green dog on a meadow", "a white rocket above a gray "
           "castle at night", "a red heart on a black background", "a blue snowman in the snow")


class Artist:
    """Prompts to pictures: backbone, text encoder, vocabulary and decoder of one model."""

    def __init__(self, backbone, encoder, tokenizer: Tokenizer, vae: Path):
        config = json.loads((vae / "config.json").read_text())
        self.decoder = LatentDecoder(config).eval()
        weights = load_safetensors(vae)
        self.decoder.load_state_dict({k: weights[k].float() for k in self.decoder.state_dict()})
        self.scale = config["scaling_factor"]
        self.backbone, self.encoder, self.tokenizer = backbone.eval(), encoder.eval(), tokenizer

    @classmethod
    def of_folder(cls, folder: Path) -> "Artist":
        """The model of a pipeline folder."""
        return cls(load_transformer(folder), load_text_encoder(folder), Tokenizer(folder / "tokenizer"), folder / "vae")

    @torch.no_grad()
    def draw(self, prompts: list[str], seeds: list[int], steps: int = 20, guidance: float = 4.5) -> np.ndarray:
        """One picture per prompt, uint8 [B,H,W,3]. Noise is what the engine draws for the same seed."""
        config = self.backbone.config
        shape = (1, config.in_channels, config.sample_size, config.sample_size)
        noise = torch.cat([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
        ids, mask = self.tokenizer(list(prompts))
        nothing, nothing_mask = self.tokenizer([""], pad_to=ids.shape[1])
        predict = guided(self.backbone, self.encoder(ids, mask), mask, self.encoder(nothing, nothing_mask),
                         nothing_mask, guidance)
        latents = sample(predict, noise, steps)
        pixels = torch.cat([self.decoder(z[None] / self.scale) for z in latents])
        return ((pixels.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def sheet(pictures: np.ndarray, columns: int = 4) -> Image.Image:
    """Pictures [n,H,W,3] side by side in rows."""
    rows = [np.concatenate(list(pictures[i:i + columns]), axis=1) for i in range(0, len(pictures), columns)]
    return Image.fromarray(np.concatenate(rows, axis=0))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="checkpoint.pt, or a pipeline folder")
    parser.add_argument("--tokenizer", type=Path, help="with a checkpoint: folder with spiece.model")
    parser.add_argument("--vae", type=Path, help="with a checkpoint: folder of the exported autoencoder")
    parser.add_argument("--output", type=Path, default=Path("sheet.png"))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=4.5)
    options = parser.parse_args()
    if options.model.is_dir():
        artist = Artist.of_folder(options.model)
    else:
        artist = Artist(*averaged_models(options.model), Tokenizer(options.tokenizer), options.vae)
    pictures = artist.draw(PROMPTS, range(len(PROMPTS)), options.steps, options.guidance)
    sheet(pictures).save(options.output)


if __name__ == "__main__":
    main()
