"""From Python's values to C's, with every check that ctypes leaves out.

ctypes cuts integers to their C type and strings at a NUL, both in silence.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any, Optional, Sequence, Union

import numpy as np
import numpy.typing as npt

from . import _interface as abi
from ._errors import InvalidArgumentError
from ._types import Rates


def integer(value: int, low: int, high: int, name: str) -> int:
    number = int(value)
    if number != value or not low <= number <= high:
        raise InvalidArgumentError(f"{name} is {value}; it must be an integer, {low} to {high}")
    return number


def positive(value: int, name: str) -> int:
    return integer(value, 1, 2**31 - 1, name)


def optional(value: Optional[int], name: str) -> int:
    """0 stands for the default in the library, but is a mistake of whoever writes it in Python."""
    return 0 if value is None else positive(value, name)


def sizes(shape: Sequence[int]) -> list[int]:
    return [positive(size, "an axis") for size in shape]


def utf8(text: str, name: str) -> bytes:
    if not isinstance(text, str):
        raise InvalidArgumentError(f"{name} is a {type(text).__name__}, not a string")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgumentError(f"{name} is not valid Unicode: {error}") from None


def encoded_path(path: Union[str, os.PathLike[str]], name: str) -> bytes:
    encoded = os.fsencode(path)
    if b"\0" in encoded:
        raise InvalidArgumentError(f"{name} has a NUL in it: {path!r}")
    return encoded


def array(values: npt.ArrayLike, dtype: type, rank: int, name: str) -> np.ndarray:
    result = np.ascontiguousarray(values, dtype)
    if result.ndim != rank:
        raise InvalidArgumentError(f"{name} has {result.ndim} axes, not {rank}")
    return result


def pointer(values: np.ndarray, kind: type) -> Any:
    return values.ctypes.data_as(ctypes.POINTER(kind))


def sparsity(rates: Rates) -> tuple[int, float, float]:
    if rates is None:
        return abi.SPARSITY_MODEL, 0.0, 0.0
    if isinstance(rates, str):
        if rates != "dense":
            raise InvalidArgumentError(f"rates are {rates!r}; they must be (min, max) or 'dense'")
        return abi.SPARSITY_DENSE, 0.0, 0.0
    low, high = rates
    return abi.SPARSITY_RATES, float(low), float(high)
