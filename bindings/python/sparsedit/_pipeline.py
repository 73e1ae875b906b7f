"""The pipeline: a loaded model and what can be asked of it."""

from __future__ import annotations

import threading
import time
from ctypes import byref, c_void_p
from typing import Any, Callable, Literal, Optional, Sequence, Union

from ._calls import LongCall
from ._convert import choice
from ._errors import BusyError, CancelledError
from ._image import Image, ImageSet, Pictures
from ._lists import Prompts, Seeds, of_list, subjects, with_callbacks
from ._request import CostAnswer, generate_options, watch
from ._stages import Stages
from ._types import Cost, OnPreview, OnStep, Rates, SamplerName, Schedule, TokenTable


class Pipeline(Stages):
    """A loaded model with its worker thread.

    ``model`` is a diffusers pipeline folder, ``None`` the model inside the library. ``precision`` is
    ``"f32"``, ``"bf16"`` or ``None`` for what suits the CPU; ``threads`` ``None`` for one per CPU;
    ``memory_limit`` the most bytes that it may hold beside mapped model files.

    Any thread may use a pipeline, one at a time: a second call while one runs raises
    :class:`BusyError`. The GIL is free while the library works, and Ctrl-C cancels. A pipeline does
    not survive a fork (use the ``spawn`` start method, or make it in the child). Advice of the
    library goes to the logger ``sparsedit``.
    """

    def __call__(
        self,
        prompt: Prompts = "",
        negative_prompt: Optional[Prompts] = None,
        *,
        height: Optional[int] = None,
        width: Optional[int] = None,
        num_inference_steps: Optional[int] = None,
        guidance_scale: Optional[float] = None,
        seed: Seeds = None,
        num_images_per_prompt: int = 1,
        rates: Rates = None,
        schedule: Schedule = None,
        token_table: Optional[TokenTable] = None,
        sampler: SamplerName = None,
        eta: float = 0.0,
        class_label: Union[int, str, None] = None,
        on_step: Optional[OnStep] = None,
        on_preview: Optional[OnPreview] = None,
        callback: Optional[Callable[[int, float, Any], Any]] = None,
        callback_steps: int = 1,
        callback_on_step_end: Optional[Callable[..., Any]] = None,
        output_type: Literal["pil", "np", None] = None,
    ) -> Pictures[Image]:
        """Draws ``num_images_per_prompt`` pictures of a prompt; picture i has seed ``seed`` + i.

        Lists of prompts, negative prompts and seeds run side by side, and what is given once holds for
        all; they are drawn one after another, and the pictures come in that order.

        A model that draws classes is given a ``class_label`` instead: its number, or its name where
        the model's folder lists names. ``None`` stands for the model's default, and for a random seed
        (see :attr:`Image.seed`). Guidance is on above 1.

        What the sparse blocks keep: ``rates`` prune (at the end, at the start of denoising), and
        ``schedule`` says how the rate gets from one to the other; or ``token_table`` in place of both,
        a mapping from timesteps to rates or grids ``{0: 0.44, 500: (10, 6)}``, or a function that is
        asked for each timestep before work begins. ``eta`` is the share of the noise that the DDIM
        sampler draws anew.

        ``on_step`` is given a :class:`Progress` after each step, ``on_preview`` that and a small
        picture [h, w, 3] of uint8. Functions run on the calling thread. What they return does not
        matter; :meth:`cancel` stops the call, and so does raising, which is raised from it.

        As in diffusers, ``callback(step, timestep, None)`` is called for every ``callback_steps``-th
        step and ``callback_on_step_end(pipe, step, timestep, {})`` for each, but without latents; and
        ``output_type`` ``"pil"`` gives pictures of Pillow in place of :class:`Image`, ``"np"`` arrays
        [height, width, 3] of float32 in 0 to 1. The result is a list, and its attribute ``images`` too.
        """
        choice(output_type, {None: 0, "pil": 1, "np": 2}, "output_type")
        requests = subjects(prompt, negative_prompt, seed, self.info.max_prompt_bytes)
        on_step = with_callbacks(
            self, on_step, callback, callback_steps, callback_on_step_end,
            lambda: self.sampler(num_inference_steps, sampler, eta).timesteps.tolist(),
        )
        label = self._label(class_label)

        begin = time.monotonic()

        def watching(function: Optional[Callable[..., Any]], place: int) -> Any:
            if function is None or len(requests) == 1:
                return function
            return of_list(function, place, len(requests), begin)

        def draw(place: int, text: str, negative: str, number: int) -> Pictures[Image]:
            return self._draw(
                watching(on_step, place),
                watching(on_preview, place),
                prompt=text,
                negative_prompt=negative,
                seed=number,
                height=height,
                width=width,
                num_inference_steps=num_inference_steps,
                guidance_scale=guidance_scale,
                num_images_per_prompt=num_images_per_prompt,
                rates=rates,
                schedule=schedule,
                token_table=token_table,
                sampler=sampler,
                eta=eta,
                class_label=label,
            )

        if len(requests) == 1:
            pictures = draw(0, *requests[0])
        else:
            pictures = self._draw_list(draw, requests)
        converted: Pictures[Image] = pictures.converted(output_type)
        return converted

    def _draw(
        self, on_step: Optional[OnStep], on_preview: Optional[OnPreview], **request: Any
    ) -> Pictures[Image]:
        call = LongCall(self.cancel)
        options = generate_options(self._library, call, **request)
        watch(options, call, on_step, on_preview)
        images = c_void_p()
        self._run(self._library.generate, byref(options), byref(images), call=call)
        return ImageSet(self._library, images).images()

    def _draw_list(
        self,
        draw: Callable[[int, str, str, int], Pictures[Image]],
        requests: Sequence[tuple[str, str, int]],
    ) -> Pictures[Image]:
        """Draws one request after another, between which no other call may come."""
        with self._lock:
            if self._list_thread is not None:
                raise BusyError("another call on this pipeline is running")
            self._list_thread, self._is_list_cancelled = threading.get_ident(), False
        pictures: Pictures[Image] = Pictures()
        try:
            for place, request in enumerate(requests):
                if self._is_list_cancelled:
                    raise CancelledError("cancelled")
                pictures += draw(place, *request)
        finally:
            self._list_thread = None
        return pictures

    def cost(
        self,
        prompt: str = "",
        negative_prompt: Optional[str] = None,
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
        answer = CostAnswer(options)

        def get(handle: c_void_p) -> int:
            status = self._library.pipeline_get_cost(handle, byref(options), byref(answer.cost))
            return status or self._library.pipeline_get_step_costs(handle, byref(options), *answer.steps)

        self._run(get, call=call)
        return answer.value()

    def _label(self, given: Union[int, str, None]) -> Optional[int]:
        return self.find_class(given) if isinstance(given, str) else given
