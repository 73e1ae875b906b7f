"""The pipeline: a loaded model and what can be asked of it."""

from __future__ import annotations

import secrets
from ctypes import byref, c_void_p
from typing import Optional, Union

from ._calls import LongCall
from ._image import Image, ImageSet
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
        the model's folder lists names. ``None`` stands for the model's default, and for a random seed
        (see :attr:`Image.seed`). Guidance is on above 1.

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
        answer = CostAnswer(options)

        def get(handle: c_void_p) -> int:
            status = self._library.get_cost(handle, byref(options), byref(answer.cost))
            return status or self._library.get_step_costs(handle, byref(options), *answer.steps)

        self._run(get, call=call)
        return answer.value()

    def _label(self, given: Union[int, str, None]) -> Optional[int]:
        return self.find_class(given) if isinstance(given, str) else given
