"""What a training step minimises: the diffusion loss, and the label loss that teaches the layout early.

The diffusion loss compares the backbone's prediction with what the noise says or, with a teacher, with what a trained
dense model predicts at the same place. The noise's answer is mostly chance, and the teacher's is its average: a
sparse form that only has to do again what its dense original can needs far fewer pictures that way.
"""

from pathlib import Path

import torch
import torch.nn.functional as F

from .diffusion import Noise
from .export import load_text_encoder, load_transformer
from .runs import Run, averaged_models
from .schedule import TIMESTEPS


class Teacher:
    """A trained model that is asked, never changed.

    path: checkpoint.pt of a run (its averaged weights), or a pipeline folder. with_text: it reads token ids with its
    own text encoder; else the batch brings text features. half: it works in bfloat16.
    """

    def __init__(self, path: Path, with_text: bool, device: torch.device, half: bool = False):
        if path.is_dir():
            backbone, encoder = load_transformer(path), load_text_encoder(path) if with_text else None
        else:
            backbone, encoder = averaged_models(path)
        self.backbone = backbone.requires_grad_(False).to(device)
        self.half = half
        if half:
            self.backbone.bfloat16()
        self.encoder = encoder.requires_grad_(False).to(device) if with_text else None

    @torch.no_grad()
    def predict(self, z, timestep, batch: dict) -> torch.Tensor:
        """Its prediction for noisy latents z [B,C,h,w] at `timestep` [B], without a variance half."""
        text = batch["text"] if self.encoder is None else self.encoder(batch["ids"], batch["mask"])
        z, text = (z.bfloat16(), text.bfloat16()) if self.half else (z, text)
        return self.backbone(z, timestep, text, batch["mask"], **sizes(batch))[:, :z.shape[1]].float()


def sizes(batch: dict) -> dict:
    """The size conditions that a batch brings."""
    return {key: batch[key] for key in ("resolution", "aspect_ratio") if key in batch}


def draw_timesteps(batch: int, quarter: int | None) -> torch.Tensor:
    """Timesteps [B], one from each of B equal strata of 0 … 999 or of one quarter of it."""
    places = (torch.arange(batch) + torch.rand(batch)) / batch
    if quarter is not None:
        places = (places + quarter) / 4
    return (places * TIMESTEPS).long().clamp(max=TIMESTEPS - 1)


def place_weights(covered: torch.Tensor, size, extra: float) -> torch.Tensor:
    """[B,1,h,w], mean 1: places under a thing count 1 + extra times as much as the rest. covered [B, cells] is on a
    square grid. Most of a picture is sky and grass, and most of what a caption says is not."""
    side = round(covered.shape[1] ** 0.5)
    weights = 1 + extra * F.interpolate(covered.unflatten(1, (1, side, side)), size)
    return weights / weights.mean()


def losses(run: Run, batch: dict, noise: Noise, quarter: int | None, prediction: str, object_weight: float,
           teacher: Teacher | None = None) -> dict[str, torch.Tensor]:
    """The losses of one batch: "loss", the weighted diffusion loss; with a teacher "taught", the same against its
    prediction; with labels "labels", in nats per cell.

    quarter: of which quarter of the timesteps, for the sparse form; None: of all. prediction: "epsilon" or
    "v_prediction", the teacher's too. object_weight: see place_weights.
    """
    x = batch["latents"]
    t = draw_timesteps(len(x), quarter).to(x.device)
    e = torch.randn_like(x)
    z = noise.add(x, e, t)
    text = batch["text"] if run.encoder is None else run.encoder(batch["ids"], batch["mask"])
    rate = run.backbone.config.schedule.quarter_rate(quarter) if run.backbone.config.sparse else None
    said = run.net(z, t, text, batch["mask"], rate=rate, tap=run.tap, **sizes(batch))
    said, tokens = said if run.tap is not None else (said, None)
    weights = noise.weight(t, prediction)[:, None, None, None]
    if object_weight and "covered" in batch:
        weights = weights * place_weights(batch["covered"], x.shape[2:], object_weight)
    targets = {"loss": noise.target(x, e, t, prediction)}
    if teacher is not None:
        targets["taught"] = teacher.predict(z, t, batch)
    found = {name: (weights * (said[:, :x.shape[1]] - target).square()).mean() for name, target in targets.items()}
    if run.heads is not None:
        labels = F.binary_cross_entropy_with_logits(run.heads(tokens), batch["labels"], reduction="none")
        found["labels"] = labels.sum(2).mean()
    return found
