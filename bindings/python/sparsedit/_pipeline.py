"""The pipeline: a loaded model and what can be asked of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from ctypes import byref, c_void_p
from typing import TYPE_CHECKING, Any, Literal

from ._calls import LongCall
from ._convert import choice
from ._errors import BusyError, CancelledError
from ._image import Image, ImageSet, Pictures
from ._lists import Prompts, Seeds, of_list, subjects, with_callbacks
from ._options import Request, complete, shows
from ._request import CostAnswer, generate_options, watch
from ._stages import Stages
from ._types import Cost, OnPreview, OnStep

if TYPE_CHECKING:
    from ._options import Unpack


class Pipeline(Stages):
    """A loaded model with its worker thread.

    ``model`` is a diffusers pipeline folder, ``None`` the model inside the library. ``precision`` is
    ``"f32"``, ``"bf16"`` or ``None`` for what suits the CPU; ``threads`` ``None`` for one per CPU;
    ``memory_limit`` is the most bytes that it may hold beside mapped model files.

    Any thread may use a pipeline, one at a time: a second call while one runs raises
    :class:`BusyError`. Other Python threads run while the library works, and Ctrl-C cancels. A pipeline
    cannot be used in a child after a fork: use the ``spawn`` start method, or make it in the child. The
    library's advice goes to the logger ``sparsedit``.
    """

    @shows(Request)
    def __call__(
        self,
        prompt: Prompts = "",
        negative_prompt: Prompts | None = None,
        *,
        seed: Seeds = None,
        on_step: OnStep | None = None,
        on_preview: OnPreview | None = None,
        callback: Callable[[int, float, Any], Any] | None = None,
        callback_steps: int = 1,
        callback_on_step_end: Callable[..., Any] | None = None,
        output_type: Literal["pil", "np", None] = None,
        **request: Unpack[Request],
    ) -> Pictures[Image]:
        """Draws ``num_images_per_prompt`` pictures of a prompt; picture i has seed ``seed`` + i.

        Prompts, negative prompts and seeds may be lists of one length; what is not a list is used for
        all. The requests are drawn one after another, and the pictures are in that order.

        A model that draws classes takes a ``class_label`` in place of prompts: a number, or a name
        where the model's folder lists names. ``None`` stands for the model's default; for ``seed`` it
        is a random seed, which :attr:`Image.seed` tells. Guidance is on above 1.

        ``rates`` are the shares of tokens that the sparse blocks prune at the end and at the start of
        denoising, and ``token_schedule`` says how the rate changes between them. ``token_table`` takes the
        place of both: a mapping from timesteps to rates or grids, ``{0: 0.44, 500: (10, 6)}``, or a
        function that is called for each timestep before the work begins. ``eta`` is the share of the
        noise that the DDIM sampler draws anew.

        ``on_step`` is called with a :class:`Progress` after each step, ``on_preview`` with that and a
        small picture [h, w, 3] of uint8. These functions run on the calling thread, and what they
        return is ignored. :meth:`cancel` stops the call; so does an exception, which this call raises.

        As in diffusers, ``callback(step, timestep, None)`` is called for every ``callback_steps``-th
        step and ``callback_on_step_end(pipe, step, timestep, {})`` for each, but without latents.
        ``output_type="pil"`` returns pictures of Pillow in place of :class:`Image`, and ``"np"`` arrays
        [height, width, 3] of float32 from 0 to 1. The result is a list, and so is its attribute
        ``images``.
        """
        choice(output_type, {None: 0, "pil": 1, "np": 2}, "output_type")
        whole = self._complete(request, "__call__")
        requests = subjects(prompt, negative_prompt, seed, self.info.max_prompt_bytes)
        on_step = with_callbacks(
            self, on_step, callback, callback_steps, callback_on_step_end,
            lambda: self._timesteps(whole),
        )
        begin = time.monotonic()

        def watching(function: Callable[..., Any] | None, place: int) -> Any:
            if function is None or len(requests) == 1:
                return function
            return of_list(function, place, len(requests), begin)

        def draw(place: int, text: str, negative: str, number: int) -> Pictures[Image]:
            call = LongCall(self.cancel)
            options = generate_options(self._library, call, whole, text, negative, number)
            watch(options, call, watching(on_step, place), watching(on_preview, place))
            images = c_void_p()
            self._run(self._library.generate, byref(options), byref(images), call=call)
            return ImageSet(self._library, images).images()

        if len(requests) == 1:
            pictures = draw(0, *requests[0])
        else:
            pictures = self._draw_list(draw, requests)
        converted: Pictures[Image] = pictures.converted(output_type)
        return converted

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

    @shows(Request)
    def cost(
        self,
        prompt: str = "",
        negative_prompt: str | None = None,
        **request: Unpack[Request],
    ) -> Cost:
        """The cost of a request, without running it. A function for ``token_table`` is called twice."""
        call = LongCall(self.cancel)
        whole = self._complete(request, "cost")
        options = generate_options(self._library, call, whole, prompt, negative_prompt)
        answer = CostAnswer(options)

        def get(handle: c_void_p) -> Any:
            status = self._library.pipeline_get_cost(handle, byref(options), byref(answer.cost))
            return status or self._library.pipeline_get_step_costs(handle, byref(options), *answer.steps)

        self._run(get, call=call)
        return answer.value()

    def _complete(self, given: Mapping[str, Any], function: str) -> Request:
        """A request with every default, and with a class by its number."""
        request = complete(given, function)
        if isinstance(request["class_label"], str):
            request["class_label"] = self.find_class(request["class_label"])
        return request

    def _timesteps(self, request: Request) -> list[float]:
        steps, name, eta = request["num_inference_steps"], request["sampler"], request["eta"]
        timesteps: list[float] = self.sampler(steps, name, eta).timesteps.tolist()
        return timesteps
