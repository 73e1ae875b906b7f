"""A training run: models, optimisers and averages in one folder, saved and resumed as one file."""

import time
from pathlib import Path

import torch
from torch import nn

from .config import BackboneConfig
from .convert import dense_to_sparse
from .model import SparseDiT
from .optimizer import Average, Optimizers
from .t5 import T5Config, T5Encoder

CHECKPOINT = "checkpoint.pt"


def device() -> torch.device:
    """The accelerator if torch has one, else the CPU."""
    return torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")


class Run:
    """Everything that a run must remember.

    encoder is None when text features come ready-made. `labels` > 0 adds a head that reads, from the tokens in the
    middle of the backbone, what lies in each cell: it teaches the layout early and is never exported.
    """

    def __init__(self, folder: Path, backbone: SparseDiT, encoder: T5Encoder | None, labels: int = 0, **options):
        self.folder, self.device = Path(folder), device()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.backbone = backbone.to(self.device)
        self.net = self.backbone  # what a training step calls: the backbone, or its half-precision twin
        self.encoder = encoder.to(self.device) if encoder is not None else None
        self.heads = nn.Linear(backbone.config.width, labels).to(self.device) if labels else None
        self.tap = label_block(backbone.config) if labels else None
        if labels:
            # Most cells have no thing. A head whose first answer is "nothing" does not disturb the blocks.
            nn.init.zeros_(self.heads.weight)
            nn.init.constant_(self.heads.bias, -4.0)
        self.optimizers = Optimizers(backbone, encoder, self.heads, **options)
        self.averages = {name: Average(module) for name, module in self._models().items()}
        self.step, self.images, self.factor = 0, 0, 1.0

    def _models(self) -> dict[str, nn.Module]:
        models = {"backbone": self.backbone}
        return models if self.encoder is None else models | {"encoder": self.encoder}

    def update_averages(self):
        for name, module in self._models().items():
            self.averages[name].update(module)

    def save(self):
        """Writes checkpoint.pt beside the old one, then renames it: a crash leaves a whole file."""
        modules = self._models() | ({"heads": self.heads} if self.heads else {})
        state = {
            "config": self.backbone.config.to_dict(),
            "text_config": self.encoder.config.to_dict() if self.encoder else None,
            "modules": {name: module.state_dict() for name, module in modules.items()},
            "averages": {name: average.state_dict() for name, average in self.averages.items()},
            "optimizers": self.optimizers.state_dict(),
            "step": self.step, "images": self.images, "factor": self.factor,
        }
        partial = self.folder / (CHECKPOINT + ".part")
        torch.save(state, partial)
        partial.replace(self.folder / CHECKPOINT)

    def take_heads(self, checkpoint: Path):
        """Starts the label head from another run's: a new one would first pull the backbone in wrong directions."""
        state = torch.load(checkpoint, map_location=self.device, weights_only=True)["modules"]
        if self.heads is not None and "heads" in state:
            self.heads.load_state_dict(state["heads"])

    def resume(self) -> bool:
        """Loads checkpoint.pt if there is one; says whether there was."""
        path = self.folder / CHECKPOINT
        if not path.exists():
            return False
        state = torch.load(path, map_location=self.device, weights_only=True)
        modules = self._models() | ({"heads": self.heads} if self.heads else {})
        for name, module in modules.items():
            module.load_state_dict(state["modules"][name])
        for name, average in self.averages.items():
            average.load_state_dict(state["averages"][name])
        self.optimizers.load_state_dict(state["optimizers"])
        self.step, self.images, self.factor = state["step"], state["images"], state["factor"]
        return True


def label_block(config: BackboneConfig) -> int:
    """The block whose tokens the label head reads: the last dense one in the lower half."""
    dense = [i for i, role in enumerate(config.roles()) if role in ("dense", "recover")]
    return max((i for i in dense if i <= config.num_layers // 2), default=dense[0])


def averaged_models(checkpoint: Path, sparsity: dict | None = None):
    """The averaged weights of a checkpoint as models: backbone and text encoder (None without one).
    `sparsity` turns a dense backbone into a sparse one, as the paper does it."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    config, weights = state["config"], state["averages"]["backbone"]["weights"]
    if sparsity is not None and config.get("sparsity") is None:
        config = config | {"sparsity": sparsity}
        weights = dense_to_sparse(weights, BackboneConfig.of(config))
    backbone, encoder = SparseDiT(config), None
    backbone.load_state_dict(weights)
    if state["text_config"] is not None:
        encoder = T5Encoder(T5Config.of(state["text_config"]))
        encoder.load_state_dict(state["averages"]["encoder"]["weights"])
    return backbone, encoder


class Budget:
    """How long an invocation trains: a number of steps, of minutes, or whichever ends first."""

    def __init__(self, steps: int | None, minutes: float | None):
        self.steps, self.seconds = steps, minutes and minutes * 60
        self.done, self.start, self.stopped = 0, time.monotonic(), False

    def progress(self) -> float:
        """0 at the start, 1 when it is spent (or the run was asked to stop)."""
        if self.stopped:
            return 1.0
        shares = [0.0]
        if self.steps:
            shares.append(self.done / self.steps)
        if self.seconds:
            shares.append((time.monotonic() - self.start) / self.seconds)
        return min(1.0, max(shares))
