"""The stages of a pipeline, for denoising loops of your own."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import byref, c_void_p, sizeof

import numpy as np
import numpy.typing as npt

from . import _interface as abi
from ._convert import array, choice, integer, number, optional, pointer, positive, set_sparsity, sizes, utf8
from ._errors import InvalidArgumentError
from ._handle import PipelineHandle
from ._sampler import Sampler
from ._types import Rates, SamplerName, TokenSchedule, TokenTable


class Stages(PipelineHandle):
    """Tokenize, encode, draw noise, denoise, sample and decode, one by one."""

    def tokenize(
        self, prompts: str | Sequence[str], max_length: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Token ids and mask (1 = token, 0 = padding), int32 [B, L], cut or padded to
        ``max_length`` tokens (``None``: the model's). Prompts are read as with
        ``clean_caption=False``."""
        prompts = [prompts] if isinstance(prompts, str) else list(prompts)
        length = self.info.max_prompt_tokens
        if max_length is not None:
            length = positive(max_length, "max_length")
        ids = np.zeros((len(prompts), length), np.int32)
        mask = np.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            text = utf8(prompt, "prompt")
            self._run(
                self._library.tokenize, text, len(text), length,
                pointer(ids[row], ctypes.c_int32), pointer(mask[row], ctypes.c_int32), length, None,
            )
        return ids, mask

    def encode_prompt(self, ids: npt.ArrayLike, mask: npt.ArrayLike) -> np.ndarray:
        """Ids and mask [B, L] → text embedding, float32 [B, L, C]."""
        ids, mask = array(ids, np.int32, 2, "ids"), array(mask, np.int32, 2, "mask")
        if ids.shape != mask.shape:
            raise InvalidArgumentError(f"ids are {ids.shape}, but the mask is {mask.shape}")
        embedding = np.empty((*ids.shape, self.info.text_channels), np.float32)
        self._fill(
            embedding, self._library.encode_prompt, pointer(ids, ctypes.c_int32),
            pointer(mask, ctypes.c_int32), *sizes(ids.shape),
        )
        return embedding

    def noise(
        self, seed: int, height: int | None = None, width: int | None = None, batch: int = 1
    ) -> np.ndarray:
        """Initial latents for pictures of that size in pixels, float32 [B, C, h, w]: equal to
        ``torch.randn`` of that shape with a CPU generator of that seed."""
        info = self.info
        height = info.default_height if height is None else positive(height, "height")
        width = info.default_width if width is None else positive(width, "width")
        scale = info.latent_scale
        latents = self._empty(
            (positive(batch, "batch"), info.latent_channels, height // scale, width // scale)
        )
        self._fill(
            latents, self._library.noise, integer(seed, 0, 2**64 - 1, "seed"), height, width, batch
        )
        return latents

    def denoise(
        self,
        latents: npt.ArrayLike,
        timestep: float,
        embedding: npt.ArrayLike | None = None,
        mask: npt.ArrayLike | None = None,
        rates: Rates = None,
        token_schedule: TokenSchedule = None,
        token_table: TokenTable | None = None,
        class_labels: npt.ArrayLike | None = None,
    ) -> np.ndarray:
        """One forward of the backbone: latents [B, C, h, w] → prediction, float32 [B, C_out, h, w].

        ``embedding`` is [B, L, text_channels], ``mask`` [B, L] (``None``: all tokens are real). A
        model that draws classes takes ``class_labels`` [B] in their place, where
        ``info.class_count`` stands for no class. ``rates``, ``token_schedule`` and ``token_table`` are
        those of a call for pictures.
        """
        info = self.info
        latents = _checked_latents(latents, info.latent_channels)
        batch, _, height, width = latents.shape
        options = abi.DenoiseOptions()
        self._library.denoise_options_init(byref(options), sizeof(options))
        options.latents = pointer(latents, ctypes.c_float)
        options.batch, options.latent_height, options.latent_width = sizes((batch, height, width))
        options.timestep = timestep
        if embedding is not None:
            embedding = array(embedding, np.float32, 3, "embedding")
            length = embedding.shape[1]
            _check_shape(embedding, (batch, length, info.text_channels), "embedding")
            options.text_length = positive(length, "the embedding's length")
            options.embedding = pointer(embedding, ctypes.c_float)
            if mask is not None:
                mask = array(mask, np.int32, 2, "mask")
                _check_shape(mask, (batch, length), "mask")
                options.mask = pointer(mask, ctypes.c_int32)
        if class_labels is not None:
            class_labels = array(class_labels, np.int32, 1, "class_labels")
            _check_shape(class_labels, (batch,), "class_labels")
            options.class_labels = pointer(class_labels, ctypes.c_int32)
        if callable(token_table):
            patch = info.size_multiple // info.latent_scale
            token_table = {0: token_table(int(timestep), (height // patch, width // patch))}
        set_sparsity(options, rates, token_schedule, token_table)
        prediction = np.empty((batch, info.output_channels, height, width), np.float32)
        self._fill(prediction, self._library.denoise, byref(options))
        return prediction

    def decode(self, latents: npt.ArrayLike) -> np.ndarray:
        """The sampler's latents [B, C, h, w] (their scaling factor is divided out here) → pixels,
        float32 [B, 3, H, W] in −1 … 1."""
        info = self.info
        latents = _checked_latents(latents, info.latent_channels)
        batch, _, height, width = latents.shape
        decoded = self._empty((batch, 3, height * info.latent_scale, width * info.latent_scale))
        self._fill(
            decoded, self._library.decode, pointer(latents, ctypes.c_float),
            *sizes((batch, height, width)),
        )
        return decoded

    def sampler(
        self,
        num_inference_steps: int | None = None,
        sampler: SamplerName = None,
        eta: float = 0.0,
        seed: int = 0,
        drawn: int = 0,
    ) -> Sampler:
        """A sampler for a denoising loop of your own: the model's, or the one that is named.

        A stochastic one draws its noise from ``seed``, after the ``drawn`` values that :meth:`noise`
        has drawn from it, which is the size of its array.
        """
        options = abi.SamplerOptions()
        self._library.sampler_options_init(byref(options), sizeof(options))
        options.steps = optional(num_inference_steps, "num_inference_steps")
        options.sampler = choice(sampler, abi.SAMPLERS, "sampler")
        options.eta = number(eta, "eta")
        options.seed = integer(seed, 0, 2**64 - 1, "seed")
        options.drawn = integer(drawn, 0, 2**30, "drawn")
        handle = c_void_p()
        self._run(self._library.sampler_create, byref(options), byref(handle))
        return Sampler(self._library, handle)


def _checked_latents(latents: npt.ArrayLike, channels: int) -> np.ndarray:
    latents = array(latents, np.float32, 4, "latents")
    if latents.shape[1] != channels:
        raise InvalidArgumentError(
            f"latents have {latents.shape[1]} channels; this model has {channels}"
        )
    return latents


def _check_shape(values: np.ndarray, wanted: tuple[int, ...], name: str) -> None:
    if values.shape != wanted:
        raise InvalidArgumentError(f"{name} is {values.shape}, not {wanted}")
