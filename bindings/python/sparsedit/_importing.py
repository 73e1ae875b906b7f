"""Imports published checkpoints as folders that open at once."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from ctypes import byref, sizeof
from typing import Any, Literal

from . import _interface as abi
from ._calls import LongCall
from ._convert import choice, encoded_name, encoded_path, optional
from ._errors import InvalidArgumentError, error_for
from ._library import library


def import_model(
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    folder: str | os.PathLike[str],
    *,
    format: Literal["bf16", "f32", "f16"] = "bf16",
    variant: str | None = None,
    size: int | None = None,
    heads: int | None = None,
    sparse_grid: int | None = None,
    generation: Literal["alpha", "sigma", None] = None,
    on_progress: Callable[[int, int], Any] | None = None,
) -> None:
    """Makes ``folder``, which must not be there yet, of published checkpoints.

    ``sources`` are files (``.safetensors``, or ``.bin``, ``.pt`` and ``.pth`` of PyTorch, in which
    nothing is run) and folders. Each part of the model comes from the first source that has it.
    ``docs/import.md`` describes the sources and the other parameters.

    ``on_progress`` gets the bytes that are written and the bytes in all. An exception in it cancels, and
    so does Ctrl-C.
    The folder appears when everything is on disk, or not at all.
    """
    lib = library()
    options = abi.ImportOptions()
    lib.import_options_init(byref(options), sizeof(options))
    paths = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
    if not paths:
        raise InvalidArgumentError("sources: at least one is needed")
    options.sources = (ctypes.c_char_p * len(paths))(*(encoded_path(path, "sources") for path in paths))
    options.source_count = len(paths)
    options.folder = encoded_path(folder, "folder")
    options.format = choice(format, abi.IMPORT_FORMATS, "format")
    options.generation = choice(generation, abi.IMPORT_GENERATIONS, "generation")
    if variant is not None:
        options.variant = encoded_name(variant, "variant")
    options.size = optional(size, "size")
    options.heads = optional(heads, "heads")
    options.sparse_grid = optional(sparse_grid, "sparse_grid")

    stopped: list[bool] = []
    call = LongCall(lambda: stopped.append(True))

    def tell(done: int, total: int) -> int:
        if on_progress is not None and not stopped:
            on_progress(done, total)
        return 1 if stopped else 0

    options.on_progress = abi.ImportCallback(
        lambda done, total, _: call.on_caller(lambda: tell(done, total))
    )
    message = ctypes.create_string_buffer(4096)
    status = call.run(lambda: lib.import_model(byref(options), message, len(message)))
    if status != abi.OK:
        raise error_for(status, message.value.decode("utf-8", "replace"))
