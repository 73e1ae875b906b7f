"""A judge of pictures that shares nothing with the generator: it finds things,
their colours and places, the time of day and the weather.

    python -m sparsedit_training.judge train RUN
    python -m sparsedit_training.judge test RUN
    python -m sparsedit_training.judge prompts prompts.json
    python -m sparsedit_training.judge score RUN FOLDER

FOLDER holds pictures and manifest.json: the list that `prompts` writes, with
the "file" of each picture, or else the pictures in the order of their names.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .judge_data import (
    COLOUR_NAMES,
    GRID,
    SIDE,
    THING_NAMES,
    TIME_NAMES,
    WEATHER_NAMES,
    Cases,
    look,
    make_decoded,
)
from .judge_score import Found, Verdict, report, score_picture
from .world import heldout_prompts, render, scene_of, test_prompts

DECODED_SEED = 31


def _unit(inside: int, outside: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outside), nn.ReLU(inplace=True))


class Residual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        convolution = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.body = nn.Sequential(_unit(width, width), convolution, nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x))


class Judge(nn.Module):
    """[B, 3, SIDE, SIDE] in −1…1 → heat [B, GRID, GRID], thing [B, things, GRID, GRID],
    colour [B, 12, GRID, GRID], time [B, 5] and weather [B, 5], all logits."""

    def __init__(self):
        super().__init__()
        self.fine = nn.Sequential(_unit(3, 24, 2), _unit(24, 48, 2), Residual(48))
        self.middle = nn.Sequential(_unit(48, 96, 2), Residual(96), Residual(96))
        self.coarse = nn.Sequential(_unit(96, 128, 2), Residual(128), Residual(128))
        self.up = nn.ModuleList([nn.Conv2d(128, 96, 1), nn.Conv2d(96, 64, 1), nn.Conv2d(48, 64, 1)])
        self.merge = nn.ModuleList([_unit(96, 96), _unit(64, 96)])
        self.map = nn.Conv2d(96, 1 + len(THING_NAMES) + len(COLOUR_NAMES), 1)
        self.air = nn.Linear(24 * 9 + 128, len(TIME_NAMES) + len(WEATHER_NAMES))
        nn.init.constant_(self.map.bias[:1], -4.0)

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        stem = self.fine[0](pixels)
        fine = self.fine[2](self.fine[1](stem))
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        x = self.merge[0](middle + F.interpolate(self.up[0](coarse), scale_factor=2.0))
        x = self.merge[1](self.up[2](fine) + F.interpolate(self.up[1](x), scale_factor=2.0))
        heat, thing, colour = self.map(x).split([1, len(THING_NAMES), len(COLOUR_NAMES)], dim=1)
        # Time is in the sky's colours, rain and snow in fine texture: both pooled.
        air = torch.cat([F.adaptive_avg_pool2d(stem, 3).flatten(1), coarse.amax((2, 3))], dim=1)
        when, weather = self.air(air).split([len(TIME_NAMES), len(WEATHER_NAMES)], dim=1)
        return {"heat": heat[:, 0], "thing": thing, "colour": colour, "time": when, "weather": weather}

    def features(self, pixels: Tensor) -> Tensor:
        """What pictures are compared by, [B, 224]: means over the middle and over the coarse maps."""
        middle = self.middle(self.fine(pixels))
        return torch.cat([middle.mean((2, 3)), self.coarse(middle).mean((2, 3))], dim=1)


def judge_loss(out: dict[str, Tensor], true: dict[str, Tensor]) -> Tensor:
    """Focal loss on the map of centres, cross-entropy on everything else."""
    p, target = out["heat"].sigmoid().clamp(1e-4, 1 - 1e-4), true["heat"]
    centre = (target >= 1).float()
    hit = centre * (1 - p) ** 2 * p.log()
    miss = (1 - centre) * (1 - target) ** 4 * p**2 * (1 - p).log()
    heat = -(hit + miss).sum() / centre.sum().clamp(min=1)
    maps = sum(F.cross_entropy(out[k], true[k], ignore_index=-1) for k in ("thing", "colour"))
    return heat + maps + sum(F.cross_entropy(out[k], true[k]) for k in ("time", "weather"))


def _pixels(small: Tensor) -> Tensor:
    """uint8 [B, SIDE, SIDE, 3] → f32 [B, 3, SIDE, SIDE] in −1…1."""
    return small.permute(0, 3, 1, 2).float() / 127.5 - 1


@torch.no_grad()
def verdict(net: Judge, pixels: Tensor, threshold: float = 0.3) -> Verdict:
    """What the judge sees in one picture, [1, 3, SIDE, SIDE]."""
    out = {k: v[0].cpu() for k, v in net(pixels).items()}
    heat = out["heat"].sigmoid()
    peak = (heat == F.max_pool2d(heat[None, None], 3, 1, 1)[0, 0]) & (heat > threshold)
    found = []
    for row, column in peak.nonzero().tolist():
        thing = THING_NAMES[out["thing"][:, row, column].argmax()]
        colour = COLOUR_NAMES[out["colour"][:, row, column].argmax()]
        found.append(Found(thing, colour, (column + 0.5) / GRID, (row + 0.5) / GRID, heat[row, column].item()))
    return Verdict(found, TIME_NAMES[out["time"].argmax()], WEATHER_NAMES[out["weather"].argmax()])


def _device() -> torch.device:
    return torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")


def load_judge(folder: Path) -> Judge:
    """The trained judge, ready for use."""
    net = Judge()
    state = load_file(folder / "judge.safetensors")
    net.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    return net.eval().requires_grad_(False).to(_device(), memory_format=torch.channels_last)


def train(args: argparse.Namespace) -> None:
    """Trains on endless fresh pictures; resumes from RUN/checkpoint.pt."""
    args.run.mkdir(parents=True, exist_ok=True)
    decoded = args.run / "decoded.npy" if args.vae else None
    if decoded and not decoded.exists():
        make_decoded(args.vae, decoded, args.decoded, DECODED_SEED)
    torch.manual_seed(args.seed)
    net = Judge().to(_device(), memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(net.parameters(), lr=args.lr, weight_decay=1e-2)
    step, checkpoint = 0, args.run / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=_device(), weights_only=True)
        net.load_state_dict(state["net"])
        optimiser.load_state_dict(state["optimiser"])
        step = state["step"]
    cases = Cases(args.seed, step, decoded, DECODED_SEED)
    batches = iter(torch.utils.data.DataLoader(cases, args.batch, num_workers=args.workers))
    first, start, total = step, time.time(), 0.0
    while step < args.steps:
        for group in optimiser.param_groups:
            group["lr"] = args.lr * (0.02 + 0.98 * (0.5 + 0.5 * math.cos(math.pi * step / args.steps)))
        true = {k: v.to(_device()) for k, v in next(batches).items()}
        with torch.autocast(_device().type, torch.bfloat16):
            out = net(_pixels(true.pop("pixels")).to(memory_format=torch.channels_last))
        loss = judge_loss({k: v.float() for k, v in out.items()}, true)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        step, total = step + 1, total + loss.item()
        if step % 50 == 0:
            pace = (step - first) * args.batch / (time.time() - start)
            print(f"step {step} loss {total / 50:.4f} {pace:.0f} pictures/s", flush=True)
            total = 0.0
        if step % 100 == 0 or step == args.steps:
            _save(args.run, net, optimiser, step)


def _save(folder: Path, net: Judge, optimiser: torch.optim.Optimizer, step: int) -> None:
    state = {"net": net.state_dict(), "optimiser": optimiser.state_dict(), "step": step}
    torch.save(state, folder / "checkpoint.part")
    (folder / "checkpoint.part").replace(folder / "checkpoint.pt")
    half = {k: v.half().contiguous() if v.is_floating_point() else v for k, v in net.state_dict().items()}
    save_file(half, folder / "judge.safetensors")


def test(args: argparse.Namespace) -> None:
    """What the judge says of fresh renders of the test set: as good as a model can be seen to be."""
    net = load_judge(args.run)
    results = []
    for i, row in enumerate(test_prompts(args.pictures)):
        small = torch.from_numpy(look(render(scene_of(row, 7 * i + 1)), (0, 0, 256)).copy())[None].to(_device())
        results.append(score_picture(row, verdict(net, _pixels(small))))
    print(json.dumps(report(results), indent=1))


def score(args: argparse.Namespace) -> None:
    """Judges a folder of pictures against its manifest."""
    from PIL import Image

    net = load_judge(args.run)
    manifest = json.loads((args.folder / "manifest.json").read_text())
    names = sorted(p.name for p in args.folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    results = []
    for i, row in enumerate(manifest):
        picture = Image.open(args.folder / row.get("file", names[i] if i < len(names) else "")).convert("RGB")
        small = np.asarray(picture.resize((SIDE, SIDE), Image.BILINEAR, reducing_gap=2)).copy()
        seen = verdict(net, _pixels(torch.from_numpy(small)[None].to(_device())))
        results.append(score_picture(row, seen))
    summary = report(results)
    print(json.dumps(summary, indent=1))
    if args.json:
        args.json.write_text(json.dumps({"summary": summary, "pictures": results}, indent=1) + "\n")


def prompts(args: argparse.Namespace) -> None:
    """Writes test prompts with their truth, and the bare prompts beside them."""
    rows = heldout_prompts(args.count) if args.heldout else test_prompts(args.count)
    args.to.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
    args.to.with_suffix(".txt").write_text("\n".join(row["prompt"] for row in rows) + "\n")


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m sparsedit_training.judge", description=__doc__.split("\n\n")[0])
    commands = top.add_subparsers(dest="command", required=True)
    subs = {}
    for name, work in (("train", train), ("test", test), ("score", score), ("prompts", prompts)):
        subs[name] = commands.add_parser(name, help=work.__doc__.splitlines()[0])
        subs[name].set_defaults(work=work)
        if name != "prompts":
            subs[name].add_argument("run", type=Path, help="folder of the judge")
    add = subs["train"].add_argument
    add("--vae", type=Path, help="autoencoder run: also train on decoded pictures")
    add("--decoded", type=int, default=500, help="how many decoded pictures")
    add("--steps", type=int, default=1200)
    add("--batch", type=int, default=32)
    add("--lr", type=float, default=2e-3)
    add("--workers", type=int, default=1)
    add("--seed", type=int, default=5)
    subs["test"].add_argument("--pictures", type=int, default=1200)
    subs["score"].add_argument("folder", type=Path)
    subs["score"].add_argument("--json", type=Path, help="also write every verdict here")
    subs["prompts"].add_argument("to", type=Path)
    subs["prompts"].add_argument("--count", type=int, default=1200)
    subs["prompts"].add_argument("--heldout", action="store_true", help="the older 200, of pairs held out of training")
    return top


if __name__ == "__main__":
    arguments = parser().parse_args()
    arguments.work(arguments)
