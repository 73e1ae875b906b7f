"""Turns Python's values into C's, with the checks that ctypes does not make.

ctypes cuts integers to their C type and strings at a NUL, without an error.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _interface as abi
from ._errors import InvalidArgumentError
from ._types import Density, Rates


def integer(value: Any, low: int, high: int, name: str) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or number != value or not low <= number <= high:
        raise InvalidArgumentError(f"{name} is {value!r}; it must be an integer, {low} to {high}")
    return number


def number(value: float, name: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidArgumentError(f"{name} is {value!r}; it must be a number") from None


def positive(value: int, name: str) -> int:
    return integer(value, 1, 2**31 - 1, name)


def optional(value: int | None, name: str) -> int:
    """``None`` becomes 0, which is the library's default; a 0 of the caller is a mistake."""
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


def encoded_path(path: str | os.PathLike[str], name: str) -> bytes:
    return _without_nul(os.fsencode(path), name)


def encoded_jpeg_path(path: str | os.PathLike[str], name: str) -> bytes:
    """As :func:`encoded_path`, but it refuses names of other formats, since pictures are written as JPEG."""
    encoded = encoded_path(path, name)
    if os.path.splitext(encoded)[1].lower() in _OTHER_FORMATS:
        raise InvalidArgumentError(
            f"{name} is {os.fspath(path)!r}; pictures are written as JPEG: take a name that ends in"
            " .jpg, or pil() for other formats"
        )
    return encoded


_OTHER_FORMATS = {
    *(b".png", b".webp", b".gif", b".bmp", b".tif", b".tiff", b".avif", b".jxl", b".ppm")
}


def encoded_name(text: str, name: str) -> bytes:
    return _without_nul(utf8(text, name), name)


def _without_nul(encoded: bytes, name: str) -> bytes:
    if b"\0" in encoded:
        raise InvalidArgumentError(f"{name} has a NUL in it: {encoded!r}")
    return encoded


def array(values: npt.ArrayLike, dtype: type, rank: int, name: str) -> np.ndarray:
    result: npt.NDArray[Any] = np.ascontiguousarray(values, dtype)
    if result.ndim != rank:
        raise InvalidArgumentError(f"{name} has {result.ndim} axes, not {rank}")
    return result


def pointer(values: np.ndarray, kind: type) -> Any:
    return values.ctypes.data_as(ctypes.POINTER(kind))


def choice(value: str | None, numbers: Mapping[str | None, int], name: str) -> int:
    """The number of a named choice; ``None`` is the default."""
    if value not in numbers:
        known = ", ".join(repr(known) for known in numbers if known is not None)
        raise InvalidArgumentError(f"{name} is {value!r}; it must be one of {known}")
    return numbers[value]


def set_sparsity(
    options: abi.GenerateOptions | abi.DenoiseOptions,
    rates: Rates,
    token_schedule: str | None,
    table: Mapping[int, Density] | None,
) -> None:
    """Sets how many tokens the sparse blocks keep."""
    options.token_schedule = choice(token_schedule, abi.TOKEN_SCHEDULES, "token_schedule")
    if table is not None:
        if rates is not None:
            raise InvalidArgumentError("rates and a token_table exclude each other")
        rows = (abi.TokenRow * len(table))(*(token_row(*row) for row in sorted(table.items())))
        options.sparsity = abi.SPARSITY_TABLE
        options.token_rows, options.token_row_count = rows, len(table)
    elif rates == "dense":
        options.sparsity = abi.SPARSITY_DENSE
    elif isinstance(rates, str):
        raise InvalidArgumentError(f"rates are {rates!r}; they must be (min, max) or 'dense'")
    elif rates is not None:
        options.sparsity = abi.SPARSITY_RATES
        try:
            low, high = rates
        except (TypeError, ValueError):
            raise InvalidArgumentError(
                f"rates are {rates!r}; they must be (min, max) or 'dense'"
            ) from None
        options.rate_min, options.rate_max = number(low, "a rate"), number(high, "a rate")


def token_row(timestep: int, density: Density) -> abi.TokenRow:
    row = abi.TokenRow(timestep=integer(timestep, 0, 2**31 - 1, "a timestep"))
    if isinstance(density, tuple):
        if len(density) != 2:
            raise InvalidArgumentError(f"a token grid is {density}; it must be (height, width)")
        row.height, row.width = (positive(side, "a side of a token grid") for side in density)
    else:
        row.rate = number(density, "a rate of a token_table")
    return row
