"""Calls for several prompts or seeds at once, and callbacks in the form of diffusers."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ._convert import integer, positive, utf8
from ._errors import InvalidArgumentError, UnsupportedError
from ._types import OnStep, Progress

Prompts = str | Sequence[str]
Seeds = int | Sequence[int] | None


def subjects(
    prompt: Prompts, negative_prompt: Prompts | None, seed: Seeds, longest: int
) -> list[tuple[str, str, int]]:
    """Prompt, negative prompt and seed of each request: lists run side by side, and what is given
    once holds for all. Every prompt is checked before the first is drawn.

    ``longest`` is how many bytes a prompt may have.
    """
    columns = {
        "prompt": _texts(prompt, "prompt", longest),
        "negative_prompt": _texts(negative_prompt or "", "negative_prompt", longest),
        "seed": _seeds(seed),
    }
    count = max(map(len, columns.values()))
    for name, values in columns.items():
        if len(values) not in (1, count):
            raise InvalidArgumentError(
                f"{name} is a list of {len(values)}; there are {count} requests"
            )
    spread = [values * count if len(values) == 1 else values for values in columns.values()]
    return [
        (text, negative, secrets.randbits(32) if number is None else number)
        for text, negative, number in zip(*spread)
    ]


def _texts(given: Prompts, name: str, longest: int) -> list[Any]:
    texts = [given] if isinstance(given, str) else _listed(given, name)
    if len(texts) > 1:
        for index, text in enumerate(texts):
            encoded = utf8(text, f"{name}[{index}]")
            if len(encoded) > longest or b"\0" in encoded:
                fault = "has a NUL" if b"\0" in encoded else f"is {len(encoded)} bytes long"
                raise InvalidArgumentError(f"{name}[{index}] {fault} (at most {longest} bytes)")
    return texts


def _seeds(given: Seeds) -> list[Any]:
    if isinstance(given, (list, tuple, range, np.ndarray)):
        return [integer(seed, 0, 2**64 - 1, "a seed") for seed in _listed(given, "seed")]
    return [given]


def _listed(given: Any, name: str) -> list[Any]:
    try:
        values = list(given)
    except TypeError:
        raise InvalidArgumentError(
            f"{name} is a {type(given).__name__}, neither a string nor a list of them"
        ) from None
    if not values:
        raise InvalidArgumentError(f"{name} is an empty list")
    return values


def of_list(
    function: Callable[..., Any], place: int, count: int, begin: float
) -> Callable[..., Any]:
    """``on_step`` or ``on_preview`` for request ``place`` of ``count``, with the progress of all requests
    since ``begin``."""

    def tell(progress: Progress, *rest: Any) -> None:
        image = place * progress.images + progress.image
        images = count * progress.images
        seconds = time.monotonic() - begin
        # All pictures of a list take about the same time.
        done = (image * progress.steps + progress.step) / (images * progress.steps)
        left = seconds / done - seconds
        function(
            replace(progress, image=image, images=images, seconds=seconds, seconds_left=left), *rest
        )

    return tell


class _NoTensors(dict[str, Any]):
    def __missing__(self, key: str) -> Any:
        raise UnsupportedError(f"{key} is not handed to callbacks: use the stages for that")


def with_callbacks(
    pipeline: Any,
    on_step: OnStep | None,
    callback: Callable[..., Any] | None,
    callback_steps: int,
    callback_on_step_end: Callable[..., Any] | None,
    timesteps: Callable[[], Sequence[float]],
) -> OnStep | None:
    """One function that calls all three after each step.

    Those of diffusers get the step's number, from 0, and its timestep, but no latents, which stay in
    the library.
    """
    every = positive(callback_steps, "callback_steps")
    if callback is None and callback_on_step_end is None:
        return on_step
    times = [int(t) if float(t).is_integer() else float(t) for t in timesteps()]

    def tell(progress: Progress) -> None:
        if on_step is not None:
            on_step(progress)
        index = progress.step - 1
        if callback is not None and index % every == 0:
            callback(index, times[index], None)
        if callback_on_step_end is not None:
            callback_on_step_end(pipeline, index, times[index], _NoTensors())

    return tell
