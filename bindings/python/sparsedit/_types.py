"""The types of a request and of its answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

#: Pruning rates (at the end, at the start of denoising), ``"dense"`` for every token everywhere, or
#: ``None`` for what the model's configuration says.
Rates = tuple[float, float] | Literal["dense"] | None

#: How the rates follow the timestep; ``None`` is the model's own way.
TokenSchedule = Literal["linear", "quarters", "constant"] | None

#: What the sparse blocks keep: a pruning rate, or a grid (height, width) of tokens.
Density = float | tuple[int, int]

#: What the sparse blocks keep from each training timestep on, the first at 0; or a function that
#: returns it for a timestep and the picture's grid (height, width).
TokenTable = Mapping[int, Density] | Callable[[int, tuple[int, int]], Density]

#: A sampler; ``None`` is the one that the model's folder names.
SamplerName = Literal["ddpm", "ddim", "dpm++2m", "euler"] | None


@dataclass(frozen=True)
class ModelInfo:
    """What a loaded model is, and what may be asked of it."""

    family: str
    text_encoder_parameters: int
    backbone_parameters: int
    decoder_parameters: int
    #: Pixels; sizes are multiples of ``size_multiple``.
    default_width: int
    default_height: int
    size_multiple: int
    default_steps: int
    max_steps: int
    max_count: int
    default_guidance_scale: float
    #: Prompts with more tokens are cut, and prompts with more bytes are refused.
    max_prompt_tokens: int
    max_prompt_bytes: int
    #: Classes of a model that draws classes instead of prompts, else 0.
    class_count: int
    #: Channels of the text embedding (0 without text), of the latents, and of the backbone's output;
    #: and how many of the output's channels, from the first, guidance acts on.
    text_channels: int
    latent_channels: int
    output_channels: int
    guided_channels: int
    #: Blocks of the backbone; :meth:`Pipeline.cancel` waits for one.
    blocks: int
    #: Pixels per latent in each direction.
    latent_scale: int
    precision: str
    threads: int
    #: Pruning rates that the model was trained for; ``None`` for a dense model.
    rates: tuple[float, float] | None


@dataclass(frozen=True)
class Progress:
    """Where a request stands after a denoising step."""

    #: Image 0 … images − 1, step 1 … steps.
    image: int
    images: int
    step: int
    steps: int
    #: Tokens of the backbone's sparse blocks in this step, and of its other blocks.
    tokens: int
    dense_tokens: int
    #: Since the call began, and an estimate of what is left.
    seconds: float
    seconds_left: float


@dataclass(frozen=True)
class StageCost:
    """The cost of a stage."""

    #: Multiply-accumulates of matrix products and convolutions.
    macs: float
    #: Bytes of weights that these products read, once per product.
    weight_bytes: float
    #: The most bytes of activations that are held at one time.
    activation_bytes: float


@dataclass(frozen=True)
class Cost:
    """The cost of a request."""

    #: Multiply-accumulates of one forward, as the mean over the steps. A forward is of one picture
    #: and one half of guidance; what both halves share counts half for each.
    macs_per_forward: float
    #: Of all forwards of the request.
    macs_denoise: float
    #: Bytes of backbone weights that one forward reads.
    weight_bytes: int
    #: The most bytes that the request would hold at one time, beside mapped model files.
    peak_bytes: int
    #: The text encoder on all prompts; and the keys and values that the blocks read of its output.
    #: Both once per request.
    text_encoder: StageCost
    text_keys_values: StageCost
    #: All steps of one picture, with both guidance halves; its decoding; and the steps one by one.
    denoise: StageCost
    decode: StageCost
    steps: tuple[StageCost, ...]


OnStep = Callable[[Progress], Any]
OnPreview = Callable[[Progress, np.ndarray], Any]
