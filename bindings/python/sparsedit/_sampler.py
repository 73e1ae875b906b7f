"""The solver, for denoising loops of one's own."""

from __future__ import annotations

import ctypes
import weakref
from ctypes import c_void_p
from typing import Iterator

import numpy as np
import numpy.typing as npt

from ._convert import pointer
from ._errors import InvalidArgumentError
from ._library import Library


class Sampler:
    """The solver's state in a denoising loop; one thread at a time."""

    def __init__(self, library: Library, handle: c_void_p) -> None:
        self._library = library
        self._handle = handle
        self._finalizer = weakref.finalize(self, library.sampler_destroy, handle)

    @property
    def timesteps(self) -> np.ndarray:
        """The training timestep of each step, float64."""
        steps = range(self._library.sampler_steps(self._handle))
        return np.array([self._library.sampler_timestep(self._handle, step) for step in steps])

    def __len__(self) -> int:
        return self._library.sampler_steps(self._handle)

    def __iter__(self) -> Iterator[float]:
        return iter(self.timesteps.tolist())

    def step(self, model_output: npt.ArrayLike, sample: npt.ArrayLike) -> np.ndarray:
        """Takes the next step: a new sample. ``model_output`` has the sample's shape: the
        prediction's first ``latent_channels`` channels, guidance applied."""
        output = np.ascontiguousarray(model_output, np.float32)
        result = np.array(sample, np.float32, order="C")
        if output.shape != result.shape:
            raise InvalidArgumentError(f"model_output is {output.shape}, sample {result.shape}")
        status = self._library.sampler_step(
            self._handle, pointer(output, ctypes.c_float), pointer(result, ctypes.c_float),
            result.size,
        )
        self._library.check(status, "sampler", self._handle)
        return result
