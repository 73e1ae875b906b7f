"""Where training examples come from.

LatentChunks   the default model's world: latents, captions and cell labels as `latents.py` writes them
FeatureFolder  latents and text features of a captions+images folder, computed once (see features.py)

Both give batches as dictionaries of tensors on the CPU.
"""

import json
import random
from pathlib import Path

import numpy as np
import torch

from .tokenizer import EOS, Tokenizer, pad_ids
from .world.captions import plural


class LatentChunks:
    """Batches from a folder of chunks; chunks that appear while training are picked up.

    Captions are drawn by chance from the wordings of a scene, and replaced by the empty caption in one of ten, so
    that guidance has something to compare with. One of twenty is a bare word for something in the picture ("yellow",
    "trees", "rain"): what a negative prompt mostly is, and what guidance must lead away from. Every scene is seen once
    before any is seen again. With `pad_to` every batch has that many tokens, so that compiled code is compiled once.
    """

    def __init__(self, folder: Path, tokenizer: Tokenizer, empty: float = 0.1, seed: int = 0,
                 pad_to: int | None = None, bare: float = 0.05):
        self.folder, self.tokenizer, self.pad_to = Path(folder), tokenizer, pad_to
        self.empty, self.bare = empty, bare
        self.random = random.Random(seed)
        self.chunks, self.order = {}, []
        self.things, self.colours = (len(json.loads((self.folder / "dataset.json").read_text())[key])
                                     for key in ("things", "colours"))

    def __len__(self) -> int:
        return sum(len(latents) for latents, *_ in self.chunks.values())

    def refresh(self):
        """Opens the chunks that were completed since the last look."""
        for path in sorted(self.folder.glob("latents-*.npy")):
            number = path.stem.split("-")[1]
            if number not in self.chunks:
                lines = (self.folder / f"captions-{number}.jsonl").read_text().splitlines()
                scenes = [json.loads(line) for line in lines]
                captions = [[self.tokenizer.ids(text) for text in scene["captions"]] for scene in scenes]
                bare = [[self.tokenizer.ids(word) for word in bare_words(scene["attributes"])] for scene in scenes]
                things, colours = (np.load(self.folder / f"{name}-{number}.npy") for name in ("things", "colours"))
                self.chunks[number] = (np.load(path, mmap_mode="r"), captions, things, colours, bare)
        if not self.chunks:
            raise FileNotFoundError(f"no latents-*.npy in {self.folder}")

    def _take(self, count: int):
        while len(self.order) < count:
            self.refresh()
            fresh = [(number, i) for number, chunk in self.chunks.items() for i in range(len(chunk[0]))]
            self.random.shuffle(fresh)
            self.order = fresh + self.order
        taken, self.order = self.order[-count:], self.order[:-count]
        return taken

    def _words(self, captions: list[list[int]], bare: list[list[int]]) -> list[int]:
        """The ids that a scene goes with this time."""
        chance = self.random.random()
        if chance < self.empty:
            return [EOS]
        return self.random.choice(bare if chance > 1 - self.bare else captions)

    def batch(self, size: int) -> dict[str, torch.Tensor]:
        """latents [B,C,h,w], ids and mask [B,L], labels [B, cells, things + colours] (1 where a thing or colour
        covers the cell), covered [B, cells] (1 where any thing does); all f32 but ids."""
        rows = [(self.chunks[number], i) for number, i in self._take(size)]
        ids, mask = pad_ids([self._words(chunk[1][i], chunk[4][i]) for chunk, i in rows], self.pad_to)
        things = _bits(np.stack([chunk[2][i] for chunk, i in rows]), self.things)
        colours = _bits(np.stack([chunk[3][i] for chunk, i in rows]), self.colours)
        latents = torch.from_numpy(np.stack([chunk[0][i] for chunk, i in rows])).float()
        return {"latents": latents, "ids": ids, "mask": mask, "labels": torch.cat([things, colours], dim=2),
                "covered": things.amax(dim=2)}


def bare_words(attributes: dict) -> list[str]:
    """Things, colours, weather and time of a scene (see `scene_attributes`), each as one word or two."""
    words = [attributes[key] for key in ("weather", "time") if attributes[key] not in ("none", "clear", "day")]
    for one in attributes["objects"]:
        words += [one["colour"], one["thing"] if one["count"] == 1 else plural(one["thing"])]
    return words


def _bits(masks: np.ndarray, count: int) -> torch.Tensor:
    """Bit masks [B,h,w] → [B, h·w, count] of zeros and ones."""
    bits = (masks.reshape(len(masks), -1, 1).astype(np.uint64) >> np.arange(count, dtype=np.uint64)) & np.uint64(1)
    return torch.from_numpy(bits.astype(np.float32))


class FeatureFolder:
    """Batches from files that features.py wrote: one per picture, with `latents` [C,h,w], `text` [L,Ct] and, for
    the models that want it, `resolution` [2] and `aspect_ratio` [1]; `empty.safetensors` holds the features of
    the empty caption. All pictures have one size, so a batch has one token grid."""

    def __init__(self, folder: Path, empty: float = 0.1, seed: int = 0):
        from safetensors.torch import load_file
        self.load = load_file
        self.files = sorted(p for p in Path(folder).glob("*.safetensors") if p.name != "empty.safetensors")
        if not self.files:
            raise FileNotFoundError(f"no prepared pictures in {folder}")
        self.nothing = load_file(Path(folder) / "empty.safetensors")["text"]
        self.random, self.empty, self.order = random.Random(seed), empty, []

    def __len__(self) -> int:
        return len(self.files)

    def batch(self, size: int) -> dict[str, torch.Tensor]:
        """latents [B,C,h,w], text [B,L,Ct], mask [B,L] and, if stored, resolution and aspect_ratio."""
        while len(self.order) < size:
            self.order = self.random.sample(self.files, len(self.files)) + self.order
        taken, self.order = self.order[-size:], self.order[:-size]
        rows = [self.load(path) for path in taken]
        texts = [self.nothing if self.random.random() < self.empty else row["text"] for row in rows]
        text = torch.nn.utils.rnn.pad_sequence([t.float() for t in texts], batch_first=True)
        mask = torch.zeros(text.shape[:2])
        for i, t in enumerate(texts):
            mask[i, :len(t)] = 1
        extra = {k: torch.stack([row[k] for row in rows]) for k in ("resolution", "aspect_ratio") if k in rows[0]}
        return {"latents": torch.stack([row["latents"].float() for row in rows]), "text": text, "mask": mask, **extra}
