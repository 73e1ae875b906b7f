"""A request for pictures, in the form that the library takes."""

from __future__ import annotations

from collections.abc import Callable
from ctypes import byref, c_size_t, sizeof
from typing import Any

from . import _interface as abi
from ._calls import LongCall
from ._convert import choice, integer, number, optional, positive, set_sparsity, token_row, utf8
from ._errors import InvalidArgumentError
from ._image import pixels
from ._library import Library
from ._options import Request
from ._types import Cost, Density, OnPreview, OnStep, Progress, Rates, StageCost


def generate_options(
    library: Library,
    call: LongCall,
    request: Request,
    prompt: str,
    negative_prompt: str | None,
    seed: int = 0,
) -> abi.GenerateOptions:
    """A request, complete and with a class by number, in the library's form and checked.

    A function in it is called on the thread that waits for ``call``.
    """
    options = abi.GenerateOptions()
    library.generate_options_init(byref(options), sizeof(options))
    text, negative = utf8(prompt, "prompt"), utf8(negative_prompt or "", "negative_prompt")
    options.prompt, options.prompt_length = text, len(text)
    options.negative_prompt, options.negative_prompt_length = negative, len(negative)
    options.height = optional(request["height"], "height")
    options.width = optional(request["width"], "width")
    options.steps = optional(request["num_inference_steps"], "num_inference_steps")
    if request["guidance_scale"] is not None:
        # Below 1 there is no guidance, however far; negative means the default to the library.
        options.guidance_scale = max(number(request["guidance_scale"], "guidance_scale"), 0.0)
    options.seed = integer(seed, 0, 2**64 - 1, "seed")
    options.count = positive(request["num_images_per_prompt"], "num_images_per_prompt")
    label = request["class_label"]
    if label is not None:
        options.class_label = integer(label, 0, 2**31 - 1, "class_label")
    options.sampler = choice(request["sampler"], abi.SAMPLERS, "sampler")
    options.eta = number(request["eta"], "eta")
    options.no_clean_caption = not request["clean_caption"]
    options.exact_size = bool(request["exact_size"])
    rates, token_table = request["rates"], request["token_table"]
    token_schedule = request["token_schedule"]
    if callable(token_table):
        set_sparsity(options, None, token_schedule, None)
        ask_for_tokens(options, call, rates, token_table)
    else:
        set_sparsity(options, rates, token_schedule, token_table)
    return options


def ask_for_tokens(
    options: abi.GenerateOptions,
    call: LongCall,
    rates: Rates,
    table: Callable[[int, tuple[int, int]], Density],
) -> None:
    """Asks the caller's function what the sparse blocks keep."""
    if rates is not None:
        raise InvalidArgumentError("rates and a token_table exclude each other")

    def answer(row: Any, height: int, width: int) -> int:
        timestep = row.contents.timestep
        row[0] = token_row(timestep, table(timestep, (height, width)))
        return 0

    options.sparsity = abi.SPARSITY_CALLBACK
    options.on_tokens = abi.TokenCallback(
        lambda row, height, width, _: call.on_caller(lambda: answer(row, height, width))
    )


def watch(
    options: abi.GenerateOptions,
    call: LongCall,
    on_step: OnStep | None,
    on_preview: OnPreview | None,
) -> None:
    """Calls the caller's functions after each step."""
    if on_step is not None:

        def tell(step: Any) -> int:
            # What it returns is ignored, since methods of progress bars return many kinds of things.
            on_step(_progress(step))
            return 0

        options.on_step = abi.StepCallback(lambda step, _: call.on_caller(lambda: tell(step)))
    if on_preview is not None:

        def show(step: Any, view: Any) -> int:
            on_preview(_progress(step), pixels(view.contents))
            return 0

        options.on_preview = abi.PreviewCallback(
            lambda step, view, _: call.on_caller(lambda: show(step, view)) and None
        )


class CostAnswer:
    """Room for what the library answers when it is asked for the cost of a request."""

    def __init__(self, options: abi.GenerateOptions) -> None:
        self.cost = abi.Cost(struct_size=sizeof(abi.Cost))
        # There are never more steps than the request names, nor than a model can be trained with. The
        # default number of steps is below 1000.
        self._steps = (abi.StageCost * min(options.steps or 1000, 1_000_000))()
        self._count = c_size_t()

    @property
    def steps(self) -> tuple[Any, int, Any]:
        """Array, capacity and count, the arguments in which the library gives the steps' costs."""
        return self._steps, len(self._steps), byref(self._count)

    def value(self) -> Cost:
        """The answer as the caller sees it."""

        def stage(raw: abi.StageCost) -> StageCost:
            return StageCost(raw.macs, raw.weight_bytes, raw.activation_bytes)

        values = {name: getattr(self.cost, name) for name, *_ in self.cost._fields_[1:]}
        for name, value in values.items():
            if isinstance(value, abi.StageCost):
                values[name] = stage(value)
        return Cost(**values, steps=tuple(map(stage, self._steps[: self._count.value])))


def _progress(step: Any) -> Progress:
    raw = step.contents
    return Progress(**{name: getattr(raw, name) for name, *_ in raw._fields_[1:]})
