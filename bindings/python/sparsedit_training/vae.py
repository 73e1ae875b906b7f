"""Trains the small autoencoder on pictures of the world.

With the encoder that pca.py writes into RUN, only a decoder:
    python -m sparsedit_training.pca RUN
    python -m sparsedit_training.vae train RUN --decoder-only --half --steps 6000
    python -m sparsedit_training.vae train RUN --decoder-only --half --steps 9000 --decay-from 6000 --crop 256 --batch 2
and with --start vae/ from the decoder of a published folder.

Both halves, four channels:
    python -m sparsedit_training.vae train RUN --steps 1700
    python -m sparsedit_training.vae freeze RUN
    python -m sparsedit_training.vae train RUN --steps 6000 --decoder-only --noise 0.3 --crop 256 --batch 4
    python -m sparsedit_training.vae export RUN vae/
    python -m sparsedit_training.vae evaluate RUN

Every command resumes from RUN/checkpoint.pt. Once frozen, the encoder never
changes, so that latents stay valid while the decoder goes on improving.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from . import pca
from .autoencoder import BLOCK_CONFIG, CONFIG, LatentDecoder, PatchEncoder, pass_latents_through
from .export import load_safetensors
from .world import Scene, render, sample_scene
from .world.scene import layout

CROPS_PER_PICTURE = 4


def device() -> torch.device:
    """The accelerator if torch has one, else the CPU."""
    if torch.accelerator.is_available():
        return torch.accelerator.current_accelerator()
    return torch.device("cpu")


def to_pixels(pictures: np.ndarray) -> Tensor:
    """uint8 [B, H, W, 3] → f32 [B, 3, H, W] in −1…1."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_pictures(pixels: Tensor) -> np.ndarray:
    """f32 [B, 3, H, W] in −1…1 → uint8 [B, H, W, 3]."""
    levels = (pixels.clamp(-1, 1) + 1) * 127.5
    return levels.round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def _corner(scene: Scene, crop: int, rng: random.Random) -> tuple[int, int]:
    """Top left corner of a crop, mostly near a thing: the sky is soon learnt."""
    limit = 256 - crop
    if rng.random() < 0.25:
        return rng.randint(0, limit), rng.randint(0, limit)
    item = rng.choice(layout(scene))
    reach = item.size * 0.55
    corner = (rng.uniform(at - reach, at + reach) - crop / 2 for at in (item.x, item.y))
    x, y = (min(max(round(c), 0), limit) for c in corner)
    return x, y


def crops(rng: random.Random, batch: int, crop: int) -> Tensor:
    """A batch of crops of fresh pictures: [batch, 3, crop, crop]."""
    out = np.empty((batch, crop, crop, 3), np.uint8)
    share = CROPS_PER_PICTURE if crop < 256 else 1
    for i in range(batch):
        if i % share == 0:
            scene = sample_scene(rng)
            picture = render(scene)
        x, y = _corner(scene, crop, rng)
        out[i] = picture[y : y + crop, x : x + crop]
    return to_pixels(out)


def reconstruction_loss(made: Tensor, true: Tensor) -> Tensor:
    """L1 of the pixels and of their differences to right and below: flat areas stay
    flat and edges stay where they are."""
    error = made - true
    across, down = error.diff(dim=3), error.diff(dim=2)
    return error.abs().mean() + across.abs().mean() + down.abs().mean()


def latent_loss(z: Tensor, colour: Tensor) -> Tensor:
    """Channels 0…2 near the block colours, channel 3 with mean 0 and deviation 1."""
    free = z[:, 3]
    return 0.05 * F.mse_loss(z[:, :3], colour) + 0.02 * (free.mean() ** 2 + (free.std() - 1) ** 2)


class Run:
    """Weights, their averages, optimiser and step, kept in one folder."""

    def __init__(self, folder: Path, lr: float, start: Path | None = None):
        self.folder, self.device = folder, device()
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(0)
        blocks = pca.load(folder) if (folder / "encoder.safetensors").exists() else None
        # Channels last is a third faster on CPUs in f32, and a quarter slower in half precision.
        self.layout = torch.channels_last if blocks is None else torch.contiguous_format
        self.config = BLOCK_CONFIG | {"latent_channels": len(blocks.bias)} if blocks is not None else CONFIG
        parts = {} if blocks is not None else {"encoder": PatchEncoder()}
        self.net = nn.ModuleDict(parts | {"codec": LatentDecoder(self.config)})
        if start is not None:
            weights = load_safetensors(start)
            self.net["codec"].load_state_dict({k: weights[k].float() for k in self.net["codec"].state_dict()})
        elif blocks is not None:
            pass_latents_through(self.net["codec"])
        self.net.to(self.device, memory_format=self.layout)
        self.optimiser = torch.optim.AdamW(self.net.parameters(), lr=lr, betas=(0.9, 0.99), weight_decay=1e-3)
        self.step, self.frozen = 0, blocks is not None
        if (folder / "checkpoint.pt").exists():
            self._load()
        else:
            if not self.frozen:
                rng = random.Random(1)
                sample = to_pixels(np.stack([render(sample_scene(rng)) for _ in range(256)]))
                self.net["encoder"].fit_colours(sample.to(self.device))
            self.average = {k: v.detach().clone() for k, v in self.net.state_dict().items()}

    def _load(self) -> None:
        state = torch.load(self.folder / "checkpoint.pt", map_location=self.device, weights_only=True)
        self.net.load_state_dict(state["net"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.average, self.step, self.frozen = state["average"], state["step"], state["frozen"]

    def save(self) -> None:
        state = {
            "net": self.net.state_dict(), "optimiser": self.optimiser.state_dict(),
            "average": self.average, "step": self.step, "frozen": self.frozen,
        }
        partial = self.folder / "checkpoint.part"
        torch.save(state, partial)
        partial.replace(self.folder / "checkpoint.pt")

    @torch.no_grad()
    def update_average(self) -> None:
        decay = min(0.999, (1 + self.step) / (10 + self.step))
        for name, value in self.net.state_dict().items():
            self.average[name].lerp_(value, 1 - decay)

    def averaged(self, part: str) -> nn.Module:
        """`encoder` or `codec` with the averaged weights, for use."""
        module = PatchEncoder() if part == "encoder" else LatentDecoder(self.config)
        prefix = part + "."
        module.load_state_dict({k.removeprefix(prefix): v for k, v in self.average.items() if k.startswith(prefix)})
        return module.eval().requires_grad_(False).to(self.device, memory_format=self.layout)


def _loss(run: Run, encoder: nn.Module, true: Tensor, noise: float, half: bool) -> tuple[Tensor, Tensor]:
    """The loss to descend and its reconstruction part."""
    z = encoder(true)
    # Diffusion does not reach a latent exactly, so the decoder is trained with a little noise.
    sigma = noise * torch.rand(len(z), 1, 1, 1, device=z.device)
    with torch.autocast(z.device.type, torch.bfloat16, enabled=half):
        made = run.net["codec"](z + sigma * torch.randn_like(z))
    loss = reconstruction_loss(made.float(), true)
    total = loss if run.frozen else loss + latent_loss(z, encoder.block_colour(true))
    return total, loss


def train(args: argparse.Namespace) -> None:
    run = Run(args.run, args.lr, args.start)
    if args.decoder_only and not run.frozen:
        raise SystemExit("freeze the encoder first")
    if run.frozen and not args.decoder_only:
        raise SystemExit("the encoder is frozen: only --decoder-only training is left")
    encoder = frozen_encoder(args.run).to(run.device) if run.frozen else run.net["encoder"]
    first, seen, start = run.step, 0.0, time.time()
    while run.step < args.steps:
        share = (run.step - args.decay_from) / max(args.steps - args.decay_from, 1)
        for group in run.optimiser.param_groups:
            group["lr"] = args.lr * (0.04 + 0.96 * (0.5 + 0.5 * math.cos(math.pi * min(max(share, 0), 1))))
        rng = random.Random(args.seed * 1_000_003 + run.step)
        true = crops(rng, args.batch, args.crop).to(run.device, memory_format=run.layout)
        total, loss = _loss(run, encoder, true, args.noise, args.half)
        run.optimiser.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(run.net.parameters(), 1.0)
        run.optimiser.step()
        run.step += 1
        run.update_average()
        seen += loss.item()
        if run.step % 50 == 0 or run.step == args.steps:
            done = run.step - first
            pace = done * args.batch / (time.time() - start)
            print(f"step {run.step} loss {seen / done:.4f} now {loss.item():.4f} {pace:.1f} crops/s", flush=True)
        if run.step % args.save_every == 0 or run.step == args.steps:
            run.save()


def freeze(args: argparse.Namespace) -> None:
    """Writes encoder.safetensors with the scaling factor; from now on it is fixed."""
    run = Run(args.run, args.lr)
    if run.frozen:
        raise SystemExit("already frozen")
    encoder = run.averaged("encoder")
    rng = random.Random(99)
    z = torch.cat([encoder(to_pixels(render(sample_scene(rng))[None]).to(run.device)) for _ in range(512)])
    print("latent means", z.mean((0, 2, 3)).tolist(), "deviations", z.std((0, 2, 3)).tolist())
    scale = 1 / z.std().item()
    weights = {k: v.contiguous().cpu() for k, v in encoder.state_dict().items()}
    save_file(weights, args.run / "encoder.safetensors", metadata={"scaling_factor": repr(scale)})
    run.frozen = True
    run.net["encoder"].load_state_dict(encoder.state_dict())
    run.save()
    print("scaling factor", scale)


def frozen_encoder(folder: Path) -> nn.Module:
    """The frozen encoder of a run, a `BlockEncoder` or a `PatchEncoder`; it gives unscaled latents."""
    if (blocks := pca.load(folder)) is not None:
        return blocks
    encoder = PatchEncoder()
    encoder.load_state_dict(load_file(folder / "encoder.safetensors"))
    return encoder.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def scaling_factor(folder: Path) -> float:
    """What unscaled latents are multiplied with, so that their deviation is 1."""
    from safetensors import safe_open

    with safe_open(folder / "encoder.safetensors", "pt") as file:
        return float(file.metadata()["scaling_factor"])


def export(args: argparse.Namespace) -> None:
    """Writes the decoder as a diffusers `vae/` folder, f32 or f16."""
    run = Run(args.run, args.lr)
    args.to.mkdir(parents=True, exist_ok=True)
    dtype = torch.float16 if args.half else torch.float32
    weights = {k: v.contiguous().cpu().to(dtype) for k, v in run.averaged("codec").state_dict().items()}
    config = {**run.config, "scaling_factor": scaling_factor(args.run)}
    save_file(weights, args.to / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})
    (args.to / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def evaluate(args: argparse.Namespace) -> None:
    """PSNR over fresh pictures with held-out pairs, and a sheet to look at."""
    from PIL import Image

    run = Run(args.run, args.lr)
    encoder = frozen_encoder(args.run).to(run.device) if run.frozen else run.averaged("encoder")
    codec = run.averaged("codec")
    rng = random.Random(4321)
    true = np.stack([render(sample_scene(rng, heldout=True)) for _ in range(args.pictures)])
    made = np.concatenate([to_pictures(codec(encoder(to_pixels(t[None]).to(run.device)))) for t in true])
    error = ((true.astype(np.float64) - made) ** 2).mean((1, 2, 3))
    decibels = 10 * np.log10(255**2 / error)
    print(f"step {run.step}: PSNR {decibels.mean():.2f} dB, worst {decibels.min():.2f}")
    rows = [np.concatenate([a, b], axis=0) for a, b in zip(true[:6], made[:6])]
    Image.fromarray(np.concatenate(rows, axis=1)).save(args.run / "sheet.png")


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m sparsedit_training.vae", description=__doc__.splitlines()[0])
    commands = top.add_subparsers(dest="command", required=True)
    for name, work in (("train", train), ("freeze", freeze), ("export", export), ("evaluate", evaluate)):
        summary = work.__doc__ or "Trains; resumes from the last checkpoint."
        sub = commands.add_parser(name, help=summary.splitlines()[0])
        sub.add_argument("run", type=Path, help="folder of checkpoints")
        sub.add_argument("--lr", type=float, default=2e-3)
        sub.set_defaults(work=work)
        if name == "train":
            sub.add_argument("--steps", type=int, default=1700, help="stop at this step, counted from the very first")
            sub.add_argument("--decay-from", type=int, default=0, help="step at which the learning rate begins to fall")
            sub.add_argument("--batch", type=int, default=32, help="crops per step")
            sub.add_argument("--crop", type=int, default=64, help="side of a crop in pixels, a multiple of 8")
            sub.add_argument("--noise", type=float, default=0.1, help="largest deviation of the noise on latents")
            sub.add_argument("--start", type=Path, help="a new run starts from the decoder of this vae/ folder")
            sub.add_argument("--decoder-only", action="store_true", help="keep the frozen encoder")
            sub.add_argument("--half", action="store_true", help="decode in bfloat16, where the CPU has its products")
            sub.add_argument("--save-every", type=int, default=200)
            sub.add_argument("--seed", type=int, default=0)
        elif name == "export":
            sub.add_argument("to", type=Path)
            sub.add_argument("--half", action="store_true", help="store f16")
        elif name == "evaluate":
            sub.add_argument("--pictures", type=int, default=64)
    return top


if __name__ == "__main__":
    arguments = parser().parse_args()
    arguments.work(arguments)
