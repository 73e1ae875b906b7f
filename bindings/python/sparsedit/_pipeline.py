"""The pipeline: a loaded model and what can be asked of it."""

from __future__ import annotations

import ctypes
import logging
import os
import secrets
import threading
import weakref
from ctypes import byref, c_size_t, c_void_p, sizeof
from typing import Any, Callable, Literal, Optional, Sequence, Union

import numpy as np
import numpy.typing as npt

from . import _interface as abi
from ._calls import LongCall
from ._convert import (
    array,
    choice,
    encoded_path,
    integer,
    optional,
    pointer,
    positive,
    set_sparsity,
    sizes,
    utf8,
)
from ._errors import BusyError, InvalidArgumentError, error_for
from ._image import Image, ImageSet
from ._library import library
from ._request import cost_of, generate_options, watch
from ._sampler import Sampler
from ._types import (
    Cost,
    ModelInfo,
    OnPreview,
    OnStep,
    Rates,
    SamplerName,
    Schedule,
    TokenTable,
)

_logger = logging.getLogger("sparsedit")


class Pipeline:
    """A loaded model with its worker thread.

    ``model`` is a diffusers pipeline folder, ``None`` the model inside the library. ``precision`` is
    ``"f32"``, ``"bf16"`` or ``None`` for what suits the CPU; ``threads`` ``None`` for one per CPU;
    ``memory_limit`` the most bytes that it may hold beside mapped model files.

    Any thread may use a pipeline, one at a time: a second call while one runs raises
    :class:`BusyError`. The GIL is free while the library works, and Ctrl-C cancels. A pipeline does
    not survive a fork (use the ``spawn`` start method, or make it in the child). Advice of the
    library goes to the logger ``sparsedit``.
    """

    def __init__(
        self,
        model: Union[str, os.PathLike[str], None] = None,
        precision: Literal["f32", "bf16", None] = None,
        threads: Optional[int] = None,
        memory_limit: Optional[int] = None,
    ) -> None:
        self._library = library()
        options = abi.PipelineOptions()
        self._library.pipeline_options_init(byref(options), sizeof(options))
        if model is not None:
            options.model_path = encoded_path(model, "model")
        options.precision = choice(precision, abi.PRECISIONS, "precision")
        options.threads = 0 if threads is None else positive(threads, "threads")
        options.memory_limit = (
            0 if memory_limit is None else integer(memory_limit, 1, 2**64 - 1, "memory_limit")
        )
        self._log = abi.LogCallback(_log)
        options.log = self._log
        handle = c_void_p()
        message = ctypes.create_string_buffer(4096)
        status = self._library.pipeline_create(
            byref(options), byref(handle), message, len(message)
        )
        if status != abi.OK:
            raise error_for(status, message.value.decode("utf-8", "replace"))
        self._handle = handle
        self._calls = 0
        self._lock = threading.Lock()
        self._finalizer = weakref.finalize(self, self._library.pipeline_destroy, handle)

    # ------------------------------------------------------------------ lifetime

    def close(self) -> None:
        """Frees the model; closing twice does nothing. Pictures outlive their pipeline.

        Raises :class:`BusyError` while a call runs: cancel it first.
        """
        with self._lock:
            if self._calls:
                raise BusyError("a call is running on this pipeline: cancel it before closing")
            self._handle = c_void_p()
            self._finalizer()

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def cancel(self) -> bool:
        """Makes the running call raise :class:`CancelledError`, within one block of the model.

        From any thread, also from callbacks. False when no call was running: nothing happens then.
        """
        status = self._library.pipeline_cancel(self._handle)
        if status not in (abi.OK, abi.IDLE):
            self._check(status)
        return status == abi.OK

    @property
    def info(self) -> ModelInfo:
        """What the model is."""
        raw = abi.PipelineInfo(struct_size=sizeof(abi.PipelineInfo))
        self._check(self._library.pipeline_get_info(self._handle, byref(raw)))
        values = {name: getattr(raw, name) for name, _ in raw._fields_[1:]}
        rates = (values.pop("rate_min"), values.pop("rate_max"))
        is_sparse = values.pop("is_sparse")
        names = {number: name for name, number in abi.PRECISIONS.items()}
        return ModelInfo(
            **{
                **values,
                "family": raw.family.decode(),
                "precision": names[raw.precision],
                "rates": rates if is_sparse else None,
            }
        )

    def find_class(self, name: str) -> int:
        """The label of the class that has this name in the model's folder, in whatever case."""
        text = utf8(name, "name")
        label = ctypes.c_int32()
        self._check(self._library.find_class(self._handle, text, len(text), byref(label)))
        return label.value

    # ------------------------------------------------------------------ pictures

    def __call__(
        self,
        prompt: str = "",
        negative_prompt: str = "",
        *,
        height: Optional[int] = None,
        width: Optional[int] = None,
        num_inference_steps: Optional[int] = None,
        guidance_scale: Optional[float] = None,
        seed: Optional[int] = None,
        num_images_per_prompt: int = 1,
        rates: Rates = None,
        schedule: Schedule = None,
        token_table: Optional[TokenTable] = None,
        sampler: SamplerName = None,
        eta: float = 0.0,
        class_label: Union[int, str, None] = None,
        on_step: Optional[OnStep] = None,
        on_preview: Optional[OnPreview] = None,
    ) -> list[Image]:
        """Draws ``num_images_per_prompt`` pictures of a prompt; picture i has seed ``seed`` + i.

        A model that draws classes is given a ``class_label`` instead: its number, or its name where
        the model's folder lists names. ``None`` stands for the model's default, and for a random seed (see :attr:`Image.seed`).
        Guidance is on above 1.

        What the sparse blocks keep: ``rates`` prune (at the end, at the start of denoising), and
        ``schedule`` says how the rate gets from one to the other; or ``token_table`` in place of both,
        a mapping from timesteps to rates or grids ``{0: 0.44, 500: (10, 6)}``, or a function that is
        asked for each timestep before work begins. ``eta`` is the share of the noise that the DDIM
        sampler draws anew.

        ``on_step`` is given a :class:`Progress` after each step; a true result cancels. ``on_preview``
        is given that and a small picture [h, w, 3] of uint8. Functions run on the calling thread; what
        they raise cancels the call and is raised from it.
        """
        call = LongCall(self.cancel)
        options = generate_options(
            self._library,
            call,
            prompt=prompt,
            negative_prompt=negative_prompt,
            height=height,
            width=width,
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            seed=secrets.randbits(32) if seed is None else seed,
            num_images_per_prompt=num_images_per_prompt,
            rates=rates,
            schedule=schedule,
            token_table=token_table,
            sampler=sampler,
            eta=eta,
            class_label=self._label(class_label),
        )
        watch(options, call, on_step, on_preview)
        images = c_void_p()
        self._run(self._library.generate, byref(options), byref(images), call=call)
        return ImageSet(self._library, images).images()

    def cost(
        self,
        prompt: str = "",
        negative_prompt: str = "",
        *,
        height: Optional[int] = None,
        width: Optional[int] = None,
        num_inference_steps: Optional[int] = None,
        guidance_scale: Optional[float] = None,
        num_images_per_prompt: int = 1,
        rates: Rates = None,
        schedule: Schedule = None,
        token_table: Optional[TokenTable] = None,
        sampler: SamplerName = None,
        eta: float = 0.0,
        class_label: Union[int, str, None] = None,
    ) -> Cost:
        """What a request would cost, without running it. A function for ``token_table`` is asked twice."""
        call = LongCall(self.cancel)
        options = generate_options(
            self._library,
            call,
            prompt=prompt,
            negative_prompt=negative_prompt,
            height=height,
            width=width,
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            seed=0,
            num_images_per_prompt=num_images_per_prompt,
            rates=rates,
            schedule=schedule,
            token_table=token_table,
            sampler=sampler,
            eta=eta,
            class_label=self._label(class_label),
        )
        raw = abi.Cost(struct_size=sizeof(abi.Cost))
        # Never more steps than were asked for, nor than a model may be trained with.
        steps = (abi.StageCost * min(options.steps or self.info.default_steps, 1_000_000))()
        count = c_size_t()

        def get(handle: c_void_p) -> int:
            status = self._library.get_cost(handle, byref(options), byref(raw))
            return status or self._library.get_step_costs(
                handle, byref(options), steps, len(steps), byref(count)
            )

        self._run(get, call=call)
        return cost_of(raw, steps[: count.value])

    # ------------------------------------------------------------------ the stages

    def tokenize(
        self, prompts: Union[str, Sequence[str]], max_length: Optional[int] = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Token ids and mask (1 = token, 0 = padding), int32 [B, L], cut or padded to
        ``max_length`` tokens (``None``: the model's)."""
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
        self, seed: int, height: Optional[int] = None, width: Optional[int] = None, batch: int = 1
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
        embedding: Optional[npt.ArrayLike] = None,
        mask: Optional[npt.ArrayLike] = None,
        rates: Rates = None,
        schedule: Schedule = None,
        token_table: Optional[TokenTable] = None,
        class_labels: Optional[npt.ArrayLike] = None,
    ) -> np.ndarray:
        """One forward of the backbone: latents [B, C, h, w] → prediction, float32 [B, C_out, h, w].

        ``embedding`` is [B, L, text_channels], ``mask`` [B, L] (``None``: all tokens are real). A
        model that draws classes takes ``class_labels`` [B] in their place, where
        ``info.class_count`` is no class. What the sparse blocks keep is said as in a call for
        pictures.
        """
        info = self.info
        latents = array(latents, np.float32, 4, "latents")
        batch, channels, height, width = latents.shape
        if channels != info.latent_channels:
            raise InvalidArgumentError(
                f"latents have {channels} channels; this model has {info.latent_channels}"
            )
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
        set_sparsity(options, rates, schedule, token_table)
        prediction = np.empty((batch, info.output_channels, height, width), np.float32)
        self._fill(prediction, self._library.denoise, byref(options))
        return prediction

    def decode(self, latents: npt.ArrayLike) -> np.ndarray:
        """The sampler's latents [B, C, h, w] (their scaling factor is divided out here) → pixels,
        float32 [B, 3, H, W] in −1 … 1."""
        info = self.info
        latents = array(latents, np.float32, 4, "latents")
        batch, channels, height, width = latents.shape
        if channels != info.latent_channels:
            raise InvalidArgumentError(
                f"latents have {channels} channels; this model has {info.latent_channels}"
            )
        decoded = self._empty((batch, 3, height * info.latent_scale, width * info.latent_scale))
        self._fill(
            decoded, self._library.decode, pointer(latents, ctypes.c_float),
            *sizes((batch, height, width)),
        )
        return decoded

    def sampler(
        self,
        num_inference_steps: Optional[int] = None,
        sampler: SamplerName = None,
        eta: float = 0.0,
        seed: int = 0,
        drawn: int = 0,
    ) -> Sampler:
        """A sampler for a denoising loop of one's own: the model's, or the one named.

        A stochastic one draws its noise from ``seed``, behind the ``drawn`` values that :meth:`noise`
        took: the size of its array.
        """
        options = abi.SamplerOptions()
        self._library.sampler_options_init(byref(options), sizeof(options))
        options.steps = optional(num_inference_steps, "num_inference_steps")
        options.sampler = choice(sampler, abi.SAMPLERS, "sampler")
        options.eta = float(eta)
        options.seed = integer(seed, 0, 2**64 - 1, "seed")
        options.drawn = integer(drawn, 0, 2**30, "drawn")
        handle = c_void_p()
        self._run(self._library.sampler_create, byref(options), byref(handle))
        return Sampler(self._library, handle)

    # ------------------------------------------------------------------ inside

    def _label(self, given: Union[int, str, None]) -> Optional[int]:
        return self.find_class(given) if isinstance(given, str) else given

    def _run(self, function: Callable[..., int], *arguments: Any, call: Optional[LongCall] = None):
        """Makes a call that may take long."""
        call = call or LongCall(self.cancel)
        with self._entered() as handle:
            self._check(call.run(lambda: function(handle, *arguments)))

    def _fill(self, array: np.ndarray, function: Callable[..., int], *arguments: Any) -> None:
        """Makes a call that fills an array and says how many elements that takes."""
        needed = c_size_t()
        self._run(
            function, *arguments, pointer(array, ctypes.c_float), array.size, byref(needed)
        )

    def _empty(self, shape: tuple[int, ...]) -> np.ndarray:
        try:
            return np.empty(shape, np.float32)
        except (MemoryError, ValueError) as error:
            raise error_for(5, f"no memory for an array of shape {shape}: {error}") from None

    def _entered(self) -> _Entered:
        return _Entered(self)

    def _check(self, status: int) -> None:
        self._library.check(status, "pipeline", self._handle)


class _Entered:
    """Keeps a pipeline's handle from being closed during a call."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def __enter__(self) -> c_void_p:
        with self._pipeline._lock:
            self._pipeline._calls += 1
            return self._pipeline._handle

    def __exit__(self, *_: object) -> None:
        with self._pipeline._lock:
            self._pipeline._calls -= 1


def _check_shape(values: np.ndarray, wanted: tuple[int, ...], name: str) -> None:
    if values.shape != wanted:
        raise InvalidArgumentError(f"{name} is {values.shape}, not {wanted}")


def _log(message: bytes, _: object) -> None:
    _logger.warning("%s", message.decode("utf-8", "replace"))
