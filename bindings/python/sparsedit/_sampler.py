"""The sampler, for denoising loops of your own."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Iterator
from ctypes import byref, c_void_p, sizeof

import numpy as np
import numpy.typing as npt

from . import _interface as abi
from ._convert import pointer
from ._errors import InvalidArgumentError
from ._library import Library


class Sampler:
    """The sampler's state in a denoising loop; one thread at a time.

    ``for timestep in sampler:`` scale the sample with :meth:`scale_input`, denoise it, apply guidance,
    and take the :meth:`step`. The first sample is noise times :attr:`initial_noise_scale`.
    """

    def __init__(self, library: Library, handle: c_void_p) -> None:
        self._library = library
        self._handle = handle
        self._finalizer = weakref.finalize(self, library.sampler_destroy, handle)
        info = abi.SamplerInfo(struct_size=sizeof(abi.SamplerInfo))
        library.check(library.sampler_get_info(handle, byref(info)), "sampler", handle)
        #: "DPM++ 2M", "DDIM", ...
        self.name: str = info.name.decode()
        #: Whether :meth:`step` takes the backbone's variance along with its prediction.
        self.uses_variance = bool(info.uses_variance)
        #: Whether steps draw noise, from the seed given to :meth:`Pipeline.sampler`.
        self.is_stochastic = bool(info.is_stochastic)
        self.initial_noise_scale: float = info.initial_noise_scale
        self._steps: int = info.steps

    @property
    def timesteps(self) -> np.ndarray:
        """The training timestep of each step, float64."""
        steps = range(self._steps)
        return np.array([self._library.sampler_timestep(self._handle, step) for step in steps])

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[float]:
        return iter(self.timesteps.tolist())

    def scale_input(self, sample: npt.ArrayLike) -> np.ndarray:
        """The input of :meth:`Pipeline.denoise` for this sample in the next step: a new array, which
        differs from the sample only for Euler."""
        result = np.array(sample, np.float32, order="C")
        data = pointer(result, ctypes.c_float)
        status = self._library.sampler_scale_input(self._handle, data, data, result.size)
        self._library.check(status, "sampler", self._handle)
        return result

    def step(self, model_output: npt.ArrayLike, sample: npt.ArrayLike) -> np.ndarray:
        """Takes the next step: a new sample.

        ``model_output`` is the prediction, guidance applied, in the sample's shape [B, C, h, w];
        where :attr:`uses_variance`, [B, 2C, h, w] with the variance in the second C channels.
        """
        output = np.ascontiguousarray(model_output, np.float32)
        result = np.array(sample, np.float32, order="C")
        wanted = result.shape
        if self.uses_variance:
            if result.ndim < 2:
                raise InvalidArgumentError(f"sample is {wanted}; it must be [B, C, ...]")
            wanted = (wanted[0], 2 * wanted[1], *wanted[2:])
        if output.shape != wanted:
            raise InvalidArgumentError(f"model_output is {output.shape}, not {wanted}")
        if self.uses_variance:
            # The library takes all predictions before all variances.
            output = np.concatenate(np.split(output, 2, axis=1))
        status = self._library.sampler_step(
            self._handle, pointer(output, ctypes.c_float), output.size,
            pointer(result, ctypes.c_float), result.size,
        )
        self._library.check(status, "sampler", self._handle)
        return result
