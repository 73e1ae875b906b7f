"""Pre-trains the default model's T5 encoder on text alone: it learns to say what a caption describes.

    python -m sparsedit_training.pretrain_text --tokenizer FOLDER --output FOLDER --steps 1500

Captions cost nothing, pictures do. An encoder that already tells things, colours and places apart spares the
backbone most of the images that it would need to teach it. The heads are dropped; only the encoder is written.
"""

import argparse
import random
import time
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from .export import load_text_encoder, save_text_encoder
from .t5 import T5Config, T5Encoder
from .tokenizer import Tokenizer
from .world import (
    BACKDROPS,
    COLOURS,
    GROUNDS,
    RELATIONS,
    THINGS,
    TIMES,
    WEATHERS,
    caption,
    sample_scene,
    scene_attributes,
)

NONE = "none"
OBJECTS = 3  # as many as a scene has groups
SLOTS = ("middle", "left", "right", "top", "bottom")
_OBJECT = {"thing": [*THINGS, NONE], "colour": [*COLOURS, NONE], "count": [1, 2, 3, 4, NONE], "slot": [*SLOTS, NONE]}
_SCENE = {"relation": list(RELATIONS), "time": [*TIMES, NONE], "weather": [*WEATHERS, NONE],
          "ground": list(GROUNDS), "backdrop": [*BACKDROPS, NONE]}
# One question per row: its name and its possible answers.
QUESTIONS = {f"{key}{i}": values for i in range(OBJECTS) for key, values in _OBJECT.items()} | _SCENE


def answers(attributes: dict) -> list[int]:
    """The index of the right answer to each question, from `scene_attributes`."""
    objects = attributes["objects"] + [dict.fromkeys(_OBJECT, NONE)] * (OBJECTS - 1)
    right = [values.index(objects[i][key]) for i in range(OBJECTS) for key, values in _OBJECT.items()]
    return right + [values.index(attributes[key]) for key, values in _SCENE.items()]


class Reader(nn.Module):
    """The encoder with one attention-pooled classifier per question."""

    def __init__(self, encoder: T5Encoder):
        super().__init__()
        width = encoder.config.d_model
        self.encoder = encoder
        self.queries = nn.Parameter(torch.randn(len(QUESTIONS), width) / width ** 0.5)
        self.heads = nn.ModuleList(nn.Linear(width, len(values)) for values in QUESTIONS.values())

    def forward(self, ids, mask):
        """ids and mask [B,L] → one tensor of logits [B, answers] per question."""
        features = self.encoder(ids, mask)                                   # [B,L,C]
        scores = self.queries @ features.transpose(1, 2) + (mask[:, None] - 1) * 1e4
        pooled = scores.softmax(-1) @ features                               # [B,questions,C]
        return [head(row) for head, row in zip(self.heads, pooled.unbind(1))]


def batch(tokenizer: Tokenizer, rng: random.Random, size: int):
    """Fresh captions with their truth: ids, mask [B,L] and answers [B,questions]."""
    scenes = [sample_scene(rng) for _ in range(size)]
    ids, mask = tokenizer([caption(scene, rng) for scene in scenes])
    return ids, mask, torch.tensor([answers(scene_attributes(scene)) for scene in scenes])


def start_encoder(folder: Path | None, pieces: int) -> T5Encoder:
    """A new encoder for a vocabulary of `pieces`, or that of a folder with rows added for new pieces."""
    if folder is None:
        return T5Encoder(T5Config(vocab_size=pieces))
    old = load_text_encoder(folder)
    encoder = T5Encoder(replace(old.config, vocab_size=pieces))
    state = old.state_dict()
    # A new word starts as the mean of the known words. A random row would be far from all of them.
    mean = state["shared.weight"].mean(0, keepdim=True)
    noise = 0.1 * torch.randn(pieces - old.config.vocab_size, old.config.d_model)
    state["shared.weight"] = torch.cat([state["shared.weight"], mean + noise])
    encoder.load_state_dict(state)
    return encoder


def train(options):
    torch.manual_seed(0)
    tokenizer, rng = Tokenizer(options.tokenizer), random.Random(5)
    encoder = start_encoder(options.start, tokenizer.model.get_piece_size())
    reader = Reader(encoder)
    optimizer = torch.optim.AdamW(reader.parameters(), lr=options.rate, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.rate, options.steps, pct_start=0.1)
    start = time.time()
    for step in range(1, options.steps + 1):
        ids, mask, right = batch(tokenizer, rng, options.batch)
        logits = reader(ids, mask)
        loss = sum(F.cross_entropy(row, right[:, i]) for i, row in enumerate(logits))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == options.steps:
            share = [(row.argmax(1) == right[:, i]).float().mean().item() for i, row in enumerate(logits)]
            told = " ".join(f"{name} {100 * s:.0f}" for name, s in zip(QUESTIONS, share))
            print(f"step {step} {time.time() - start:.0f}s loss {loss.item():.3f} right % {told}", flush=True)
            save_text_encoder(options.output, encoder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder with spiece.model")
    parser.add_argument("--output", type=Path, required=True, help="folder that gets text_encoder/")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--start", type=Path,
                        help="a pipeline folder: go on from its encoder (same vocabulary, or extended)")
    train(parser.parse_args())


if __name__ == "__main__":
    main()
